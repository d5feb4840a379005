// The first screen as markup: bar, verdict, the state of a running test, tiles, thresholds. Pure.
(function (S) {
  "use strict";

  const { NONE, SPACE, count, time, timeParts, byteParts, bytes, rate, moment, percent, roughPercent, escape, plural, missing, span, date, clock } = S.format;
  const { icon, ring, logo, spark, stateLine, shareBar } = S.figures;
  const W = S.words;

  const SECTIONS = [["timeline", "Timeline"], ["latency", "Latency"], ["errors", "Errors"], ["checks", "Checks"], ["metrics", "Metrics"], ["generator", "Generator"], ["setup", "Setup"]];

  function bar(model) {
    const { run } = model;
    const what = [run.script, run.target && `against ${run.target}`].filter(Boolean).map(escape).join(" ");
    return (
      `<div class="wrap"><span class="brand">${logo()}Senary</span><span class="what">${what}</span>` +
      `<nav aria-label="Sections">${SECTIONS.map(([id, name]) => `<a href="#${id}" data-goto="${id}">${name}</a>`).join("")}</nav>` +
      `<button class="button" type="button" data-action="theme">Theme</button></div>`
    );
  }

  function stateIcon(model) {
    if (model.isLive) return ring(model.length / (model.plannedEnd() || Math.max(model.length * 4, 1)));
    if (model.run.state === "passed") return icon(W.silent(model).length === model.thresholds.length ? "none" : "ok", 46);
    return icon({ failed: "fail", aborted: "bar", interrupted: "bar" }[model.run.state] || "none", 46);
  }

  function facts(model) {
    const { run, scenarios, doc } = model;
    const instances = (doc.instances || []).length || 1;
    const list = model.isLive
      ? [`started ${clock(run.start)}`, plural(scenarios.length, "scenario"), plural(instances, "instance"), "updates every second"]
      : [date(run.start), `ran ${span(run.length)}`, plural(scenarios.length, "scenario"), plural(instances, "instance"), missing(run.exit_code) ? null : `exit code ${run.exit_code}`];
    return list.filter(Boolean).map((fact) => `<span>${fact}</span>`).join("");
  }

  function verdict(model) {
    const { text, isBad, hasDoubt } = W.beside(model);
    const findings = W.findings(model)
      .map(([name, answer, words]) => `<div class="finding">${icon(name)}<div><b>${answer}</b> ${words}</div></div>`)
      .join("");
    return (
      `<div class="left">${stateIcon(model)}<h1>${W.STATES[model.run.state] || "Finished"} <small${isBad ? ' class="bad"' : ""}>${hasDoubt ? icon("warn") : ""}${text}</small></h1>` +
      `<p class="sentence">${W.sentence(model)}</p><p class="facts">${facts(model)}</p></div>` +
      `<div class="right"><h2>Can these figures be believed?</h2>${findings}</div>`
    );
  }

  /** Between verdict and tiles while the test runs: pulse, buttons, progress. */
  function running(model, view) {
    if (!model.isLive) return "";
    const planned = model.plannedEnd();
    const left = planned === null ? null : planned - model.length;
    const remaining = left === null ? "" : left > 0 ? ` <span><b>${moment(left)}</b> remaining${model.run.graceful ? `, then up to ${moment(model.run.graceful)} graceful stop` : ""}</span>` : " <span>graceful stop</span>";
    const pulse = view.stale > 3
      ? `<span class="pulse stale">${icon("warn")}No report for ${Math.round(view.stale)}${SPACE}s</span>`
      : view.isPaused ? `<span class="pulse stale">${icon("none")}Paused</span>` : `<span class="pulse"><i></i>Live</span>`;
    const stop = model.run.can_stop ? `<button class="button" type="button" data-action="stop">Stop the test…</button>` : "";
    return (
      `<div class="line">${pulse}<span><b>${moment(model.length)}</b> elapsed</span>${remaining}` +
      `<button class="button" type="button" data-action="pause">${view.isPaused ? "Go on drawing" : "Pause drawing"}</button>${stop}</div>` + progress(model) +
      (model.n && model.run.phase !== "setup" ? `<p class="lately">Figures below are of the last ${Math.min(10, Math.ceil(model.length))}${SPACE}s; the shaded strip in the charts.</p>` : `<p class="lately">${W.phaseWords(model)}</p>`)
    );
  }

  function progress(model) {
    const end = Math.max(model.plannedEnd() || model.length * 1.25, model.length);
    const at = (t) => `${((Math.min(t, end) / end) * 100).toFixed(3)}%`;
    const wide = (from, to) => `left:${at(from)};width:calc(${at(to)} - ${at(from)})`;
    const done = `<i style="${wide(0, model.length)}"></i>`;
    const bad = model.failing.map(([from, to]) => `<i class="bad" style="${wide(from, to)}"></i>`).join("");
    const cuts = model.phases.filter((phase) => phase.from > 0 && phase.from < model.length && phase.name !== "failing" && !model.failing.some(([, to]) => to === phase.from));
    const gaps = cuts.map((phase) => `<i class="gap" style="left:${at(phase.from)}"></i>`).join("");
    const words = progressWords(model, end);
    return `<div class="progress" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="${Math.round(end)}" aria-valuenow="${Math.round(model.length)}">${done}${bad}${gaps}</div><div class="progress-words">${words}</div>`;
  }

  /** What is written below the progress, as far as it has room: failures first, then the end, then the other phases in their order. */
  function progressWords(model, end) {
    const screen = document.documentElement.clientWidth;
    const room = Math.min(screen - (screen > 760 ? 64 : 32), 1176);
    const taken = [];
    const place = (text, at, kind = "") => {
      const width = text.length * 6.6;
      const left = Math.max(Math.min((at / end) * room, room - width), 0);
      if (taken.some((each) => left < each.right + 12 && left + width + 12 > each.left)) return;
      const style = left + width > room - 1 ? "right:0" : `left:${((left / room) * 100).toFixed(2)}%`;
      taken.push({ left, right: left + width, word: `<span class="${kind}" style="${style}">${text}</span>` });
    };
    const isBad = (phase) => phase.name === "failing";
    for (const phase of model.phases.filter(isBad)) place(`✕ failing since ${moment(phase.from)}`, phase.from, "bad");
    place(`${moment(end)} end`, end);
    for (const phase of model.phases.filter((each) => !isBad(each))) place(phase.from === 0 ? phase.name : `${phase.name} from ${moment(phase.from)}`, phase.from);
    return taken.sort((one, other) => one.left - other.left).map((each) => each.word).join("");
  }

  const average = (values, indices) => (values && indices.length ? S.model.sum(indices.map((i) => values[i])) / indices.length : null);
  const total = (model, name) => (model.metric(name) && model.metric(name).counter ? model.metric(name).counter : null);

  /** A tile: {name, figure, unit, context, isBad, spark}. */
  function counterTile(model, name, metric, { parts, context, whole }) {
    const counter = total(model, metric);
    const series = model.series(metric);
    if (!counter) return { name };
    const rates = model.perSecond(series);
    if (model.isLive) {
      const [figure, unit] = parts(average(rates, model.lately()));
      return { name, figure, unit: unit + "/s", context: `${whole(counter.count)} so far`, spark: { values: rates } };
    }
    return { name, ...context(counter), spark: { values: rates } };
  }

  const plain = (value) => [rate(value), ""];

  function tiles(model) {
    const requests = model.requests;
    const iterations = model.metric("iterations");
    const figures = { parts: plain, whole: count, context: (c) => ({ figure: rate(c.rate), unit: "/s", context: `${count(c.count)} in all` }) };
    const data = { parts: byteParts, whole: bytes, context: (c) => ({ figure: byteParts(c.count)[0], unit: byteParts(c.count)[1], context: `${bytes(c.rate)}/s` }) };
    const planned = model.isLive && model.planned(model.length);
    const list = [
      { ...counterTile(model, "Iterations", iterations && "iterations", figures), ...(planned ? { context: `plan ${rate(planned)}/s` } : {}) },
      counterTile(model, requests ? W.cap(requests[1]) : "Requests", requests && requests[0], figures),
      failedTile(model), latencyTile(model), openTile(model), droppedTile(model),
      counterTile(model, "Sent", "data_sent", data), counterTile(model, "Received", "data_received", data),
    ];
    return list.map((tile) => tileMarkup(model, tile)).join("");
  }

  function tileMarkup(model, { name, figure, unit, context, isBad, spark: drawing }) {
    const end = model.horizon();
    const drawn = drawing && model.n > 1 ? spark({ step: model.step, end, spans: model.failing, ...drawing }) : `<svg class="spark" aria-hidden="true"></svg>`;
    const small = unit ? `<small>${unit}</small>` : "";
    const gap = unit && !unit.startsWith("/") ? "" : "";
    return (
      `<div class="tile${isBad ? " bad" : ""}"><div class="name">${name}</div><div class="figure">${figure ?? NONE}${gap}${figure === undefined ? "" : small}</div>` +
      `<div class="context">${figure === undefined ? "not measured" : context || SPACE}</div>${drawn}</div>`
    );
  }

  function failedTile(model) {
    const metric = model.metric(model.protocol && model.protocol.failed);
    const series = metric && model.series(metric.name);
    if (metric && metric.rate && metric.rate.passes + metric.rate.fails > 0) {
      const { passes, fails } = metric.rate;
      const values = model.passesPerSecond(series);
      const bars = { values, kind: "bars", colour: "var(--fail)" };
      if (model.isLive) {
        const of = model.lately();
        const [failed, all] = [S.model.sum(of.map((i) => series.rate.passes[i])), S.model.sum(of.map((i) => series.rate.total[i]))];
        const share = all ? failed / all : null;
        return { name: "Failed", figure: percent(share), context: plural(passes, "request"), isBad: failed > 0, spark: bars };
      }
      return { name: "Failed", figure: percent(passes / (passes + fails)), context: plural(passes, "request"), isBad: passes > 0, spark: bars };
    }
    const errors = total(model, "tcp_errors");
    if (errors || total(model, "tcp_sockets")) {
      const values = errors ? model.perSecond(model.series("tcp_errors")) : new Array(model.n).fill(0);
      return { name: "Errors", figure: count(errors ? errors.count : 0), context: "of sockets", isBad: Boolean(errors && errors.count), spark: { values, kind: "bars", colour: "var(--fail)" } };
    }
    return { name: "Failed" };
  }

  const LATENCY_NAMES = { tcp_socket_connecting: "Connecting p99", ws_connecting: "Connecting p99", iteration_duration: "Iteration p99" };

  function latencyTile(model) {
    const metric = model.metric(model.latency);
    if (!metric || !metric.trend) return { name: "Latency p99" };
    const series = model.series(model.latency);
    const name = LATENCY_NAMES[model.latency] || "Latency p99";
    let { p99, p50 } = metric.trend;
    if (model.isLive && series) {
      const joined = model.joined(series, model.lately());
      [p99, p50] = joined ? [joined.percentile(0.99), joined.percentile(0.5)] : [S.model.median(model.lately().map((i) => series.trend.p99[i])), S.model.median(model.lately().map((i) => series.trend.p50[i]))];
    }
    const [figure, unit] = timeParts(p99);
    return { name, figure, unit, context: `p50 ${time(p50)}`, spark: series ? { values: series.trend.p99.slice(0, model.n), log: true } : null };
  }

  function openTile(model) {
    const gauge = model.metric("senary_open_sockets");
    const opened = total(model, model.opened);
    if (!gauge && !opened) return { name: "Connections open" };
    const context = opened ? `${count(opened.count)} opened` : null;
    if (!gauge || !gauge.gauge || (gauge.gauge.max === 0 && opened)) {
      const rates = model.perSecond(model.series(model.opened));
      if (model.isLive) return { name: "Connections", figure: rate(average(rates, model.lately())), unit: "/s", context, spark: { values: rates } };
      return { name: "Connections", figure: count(opened.count), unit: "opened", context: `${rate(opened.rate)}/s`, spark: { values: rates } };
    }
    const series = model.series("senary_open_sockets");
    const drawing = series ? { values: series.gauge.last.slice(0, model.n) } : null;
    if (!model.isLive) return { name: "Connections open", figure: count(gauge.gauge.max), unit: "at most", context, spark: drawing };
    const errors = model.perSecond(model.series("tcp_errors"));
    return { name: "Connections open", figure: count(gauge.gauge.last), context: errors ? `${rate(average(errors, model.lately()))} failed/s` : context, spark: drawing };
  }

  function droppedTile(model) {
    const dropped = total(model, "dropped_iterations");
    const iterations = total(model, "iterations");
    if (!dropped && !iterations && (!model.isLive || !model.n)) return { name: "Dropped" };
    const values = dropped ? model.perSecond(model.series("dropped_iterations")) : new Array(model.n).fill(0);
    const drawing = { values, kind: "bars", colour: "var(--fail)" };
    const all = dropped ? dropped.count : 0;
    const planned = model.plannedIterations();
    if (model.isLive) return { name: "Dropped", figure: rate(average(values, model.lately()) || 0), unit: "/s", context: plural(all, "iteration"), isBad: all > 0, spark: drawing };
    const share = planned ? percent(all / Math.max(planned, all)) + " of the plan" : plural(all, "iteration");
    return { name: "Dropped", figure: count(all), context: planned ? share : model.isOpenLoop ? share : "no arrival rate", isBad: all > 0, spark: drawing };
  }

  const SHOWN = 12;
  /** An expression of more letters is broken into lines. */
  const LONG = 60;

  function thresholdRow(model, threshold) {
    const share = W.shareUsed(threshold);
    const state = !threshold.has_data ? "none" : threshold.ok ? "ok" : "fail";
    const word = { none: "no data", ok: "held", fail: "crossed" }[state];
    const isBad = state === "fail";
    const bad = isBad ? " bad" : "";
    const end = model.horizon();
    const shareText = share === null ? NONE : share < 1e4 ? roughPercent(share) : `over ${count(share === Infinity ? 999 : 999999)}${SPACE}%`;
    return (
      `<tr><td class="whole"><span class="state${isBad ? " crossed" : ""}">${icon(state)}${word}</span></td>` +
      `<td class="whole expression${threshold.metric.length + threshold.source.length > LONG ? " long" : ""}"><code>${escape(threshold.metric)}<i> ${escape(threshold.source)}</i></code></td>` +
      `<td class="n strong${bad}"><span class="named">measured </span>${W.thresholdValue(threshold, threshold.value, threshold.limit)}</td>` +
      `<td class="n quiet"><span class="named">limit </span>${W.limitText(threshold)}</td>` +
      `<td class="drop share">${share === null ? "" : shareBar(Math.min(share, 10), isBad)}</td><td class="n drop ${bad || "quiet"}">${shareText}</td>` +
      `<td class="timeline">${stateLine({ changes: threshold.has_data && !W.isJudgedAtEnd(model, threshold) ? threshold.changes : [], now: Math.min(model.length, end), end })}<span class="named${bad}">${W.since(model, threshold)}</span></td>` +
      `<td class="drop ${bad || "quiet"}">${W.since(model, threshold)}</td></tr>`
    );
  }

  function thresholds(model, view) {
    if (!model.thresholds.length) {
      return `<p class="empty">No thresholds were set. With one, the run can pass or fail: <code>thresholds: { ${escape(example(model))} }</code></p>`;
    }
    const sorted = W.sortedThresholds(model);
    const isLong = sorted.length > SHOWN;
    const urgent = sorted.filter((t) => !t.has_data || !t.ok);
    const close = sorted.filter((t) => t.has_data && t.ok).sort((a, b) => (W.shareUsed(b) ?? 0) - (W.shareUsed(a) ?? 0));
    const shown = isLong && !view.isUnfolded("thresholds") ? [...urgent, ...close.slice(0, 5)] : sorted;
    const isFolding = isLong && urgent.length + 5 < sorted.length;
    const more = isFolding ? `<button class="button more" type="button" data-unfold="thresholds" data-key="more-thresholds">${shown.length < sorted.length ? `show all ${sorted.length}` : "show fewer"}</button>` : "";
    return (
      `<table class="thresholds blocks"><thead><tr><th style="width:102px">Threshold</th><th></th><th class="n">Measured</th><th class="n">Limit</th>` +
      `<th class="share">Share of the limit used</th><th class="used"></th><th style="width:216px">State from 0:00 to ${model.isLive ? "now" : moment(model.length)}</th><th style="width:112px"></th></tr></thead><tbody>` +
      shown.map((threshold) => thresholdRow(model, threshold)).join("") + `</tbody></table>${more}`
    );
  }

  function example(model) {
    if (!model.latency) return 'checks: ["rate>0.99"]';
    return `${model.latency}: ["p(99)<${Number(Math.max(1, (model.metric(model.latency).trend.p99 || 1) * 2).toPrecision(1))}"]`;
  }

  S.first = { bar, verdict, running, tiles, thresholds, SECTIONS };
})((globalThis.Senary ??= {}));
