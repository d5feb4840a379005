// What each chart of the stack shows: lines, bars, cells and labels for a window of time. Pure: no DOM.
(function (S) {
  "use strict";

  const { axis, axisTime, axisBytes, time, bytes, rate, count, short, roughPercent, moment, span, plural, missing, SPACE } = S.format;
  const { median, sum } = S.model;
  const most = S.figures.max;

  /** Colours of series in their order, with dashes so that they differ in print, too. */
  const SERIES = [["--accent"], ["--s2"], ["--s3", [5, 3]], ["--s4", [2, 3]], ["--p95", [8, 3]], ["--ink-2", [3, 2]], ["--max", [1, 2]]];

  /**
   * A window of time, cut into points of one pixel at least: {from, to, k intervals per point, first, xs (middles, in seconds)}. It may
   * reach into the future.
   */
  function windowOf(model, [from, to], pixels) {
    const { step } = model;
    const first = Math.max(0, Math.floor(from / step + 1e-9));
    const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
    const known = Math.min(last, model.n) - first;
    const k = Math.max(1, Math.ceil(Math.max(known, (last - first) / 2) / Math.max(pixels, 50)));
    const start = Math.floor(first / k) * k;
    const xs = [];
    for (let i = start; i < last; i += k) xs.push(Math.min((i + k / 2) * step, Math.max(model.length, to)));
    return { from, to, k, first: start, xs, n: model.n, step, seconds: k * step };
  }

  /** Joins values by point: medians with the least and the most for lines, or what `how` makes of each point's values. */
  function joined(win, values, how) {
    const found = { mid: [], low: null, high: null };
    if (!values) return { mid: win.xs.map(() => null) };
    if (win.k > 1 && !how) [found.low, found.high] = [[], []];
    for (let g = 0; g < win.xs.length; g += 1) {
      const from = win.first + g * win.k;
      const part = [];
      for (let i = from; i < Math.min(from + win.k, win.n); i += 1) if (!missing(values[i])) part.push(values[i]);
      found.mid.push(part.length ? (how ? how(part) : win.k === 1 ? part[0] : median(part)) : null);
      if (found.low) {
        found.low.push(part.length ? Math.min(...part) : null);
        found.high.push(part.length ? most(part) : null);
      }
    }
    return found;
  }

  const mean = (values, indices) => {
    const known = values ? indices.map((i) => values[i]).filter((value) => !missing(value)) : [];
    return known.length ? sum(known) / known.length : null;
  };

  /** A line of rates or levels; its label shows the steady phase's mean, while the run goes on the last interval. */
  function valueLine(model, win, values, rest) {
    const { mid, low, high } = joined(win, values);
    const resting = values ? (model.isLive ? values[model.n - 1] : mean(values, model.steady())) : null;
    return { values: mid, low, high, resting, width: 1.5, ...rest };
  }

  const WINDOWS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

  /** The least number of intervals over which a percentile has 2 / (1 − p) samples nearly everywhere; null if there is none. */
  function windowFor(model, series, win, p) {
    const needed = 2 / (1 - p);
    const counts = series.trend.count;
    const last = Math.min(model.n, win.first + win.xs.length * win.k);
    for (const k of [win.k, ...WINDOWS.filter((each) => each > win.k)]) {
      if (k > win.k && k > (last - win.first) / 3) return null;
      if (k > 1 && !series.hist && k > win.k) return null;
      let [enough, all] = [0, 0];
      for (let i = Math.floor(win.first / k) * k; i < last; i += k) {
        let n = 0;
        for (let j = i; j < Math.min(i + k, last); j += 1) n += counts[j] || 0;
        if (n === 0) continue;
        all += 1;
        enough += n >= needed ? 1 : 0;
      }
      if (all && enough >= all * 0.75) return k;
    }
    return null;
  }

  /** A percentile over time: {values, seconds} or null if there are too few samples. Joined intervals come from joined histograms. */
  function percentileValues(model, series, win, p, field) {
    const k = windowFor(model, series, win, p);
    if (!k) return null;
    const needed = 2 / (1 - p);
    const cache = new Map();
    const valueAt = (i) => {
      const from = Math.floor(i / k) * k;
      if (cache.has(from)) return cache.get(from);
      const to = Math.min(from + k, model.n);
      let n = 0;
      for (let j = from; j < to; j += 1) n += series.trend.count[j] || 0;
      let value = null;
      if (n >= needed * 0.5 && n >= 2) {
        if (k === 1) value = series.trend[field][from];
        else if (series.hist) value = model.join(series, from, to).percentile(p);
        else value = median(series.trend[field].slice(from, to));
      }
      cache.set(from, value);
      return value;
    };
    const values = win.xs.map((_, g) => (win.first + g * win.k < model.n ? valueAt(win.first + g * win.k) : null));
    return { values, seconds: k * model.step, isJoined: k > win.k };
  }

  const PERCENTILES = [[0.5, "p50", "p50", "--p50", 1.7, "--p95"], [0.9, "p90", "p90", "--p95", 1.2], [0.95, "p95", "p95", "--p95", 1.3], [0.99, "p99", "p99", "--p99", 1.9], [0.999, "p999", "p99.9", "--p999", 1.5]];

  function percentileLine(model, win, series, [p, field, name, colour, width, text], rest = {}) {
    const found = percentileValues(model, series, win, p, field);
    if (!found) return null;
    const label = found.isJoined ? `${name} (${span(found.seconds)})` : name;
    return { name: label, colour, text, width, values: found.values, resting: restingPercentile(model, series, p, field), format: time, ...rest };
  }

  function restingPercentile(model, series, p, field) {
    if (model.isLive) {
      for (let i = model.n - 1; i >= Math.max(0, model.n - 10); i -= 1) if (!missing(series.trend[field][i])) return series.trend[field][i];
      return null;
    }
    const all = model.joined(series, model.steady());
    if (all && all.total) return all.percentile(p);
    return median(model.steady().map((i) => series.trend[field][i]));
  }

  const lastIndex = (values, test) => values.reduce((last, value, i) => (test(value) ? i : last), -1);

  const notFiltered = (model, ...names) => (model.filter && names.some((name) => name && model.series(name) && !model.isFiltered(name)) ? ["Of all scenarios: not kept by this tag."] : []);

  // The charts, in their order on the page. Each gives null where the script never used what it shows.

  function rateChart(model, win) {
    const lines = [];
    const planned = model.plannedScenarios();
    if (planned.length) {
      const values = win.xs.map((x) => model.planned(x));
      const steady = model.steady().map((i) => model.planned((i + 0.5) * model.step));
      const resting = model.isLive ? model.planned(model.length) : mean(steady, steady.map((_, i) => i));
      lines.push({ name: "planned", colour: "--max", text: "--ink-3", dash: [4, 3], width: 1.2, values, resting, format: rate });
    }
    if (model.metric("iterations")) lines.push(valueLine(model, win, model.perSecond(model.series("iterations")), { name: "iterations", colour: "--s2", format: rate }));
    if (model.requests) lines.push(valueLine(model, win, model.perSecond(model.series(model.requests[0])), { name: model.requests[1], colour: "--accent", format: rate, width: 1.7 }));
    const notes = planned.length ? [planned.length === model.scenarios.length || model.filter ? "Planned is what the scenarios asked for." : `Planned is what ${planned.length === 1 ? `${planned[0].name} asks` : "arrival rates ask"} for.`] : [];
    if (win.k > 1) notes.push(`Each point is ${span(win.seconds)}.`);
    return { lines, height: 128, notes: [...notes, ...notFiltered(model, model.requests && model.requests[0])], format: axis, topUnit: "/s", hasEvents: true };
  }

  function failureChart(model, win) {
    const failures = model.failures();
    const drops = model.series("dropped_iterations");
    const failed = failures ? Array.from({ length: model.n }, (_, i) => (failures.counts[i] || 0) / model.lasted(i)) : null;
    const dropped = drops ? model.perSecond(drops) : null;
    const total = sum(failed || []) + sum(dropped || []);
    const word = failures ? failures.word : "failed";
    const bars = [
      { name: word, colour: "--fail", ...valueLine(model, win, failed || new Array(model.n).fill(0), { name: word, colour: "--fail", format: rate }) },
      { name: "dropped", ...valueLine(model, win, dropped || new Array(model.n).fill(0), { name: "dropped", colour: "--drop", text: "--fail", format: rate }) },
    ].map((bar, i) => ({ ...bar, values: joined(win, i ? dropped || new Array(model.n).fill(0) : failed || new Array(model.n).fill(0), most).mid }));
    if (!total) return { bars: bars.map((bar) => ({ ...bar, colour: "--ink-2", text: "--ink-2" })), lines: [], height: 44, notes: [], format: axis, topUnit: "/s", isFlat: true, words: [{ text: model.isLive ? "none so far" : "none in the whole run", y: "bottom" }] };
    const what = word === "failed" ? "requests that failed" : "errors of sockets";
    return { bars, lines: [], height: 84, notes: [`Dark: ${what}. Light: iterations that could not start.`], format: axis, topUnit: "/s" };
  }

  function latencyChart(model, win, view) {
    const series = model.series(model.latency);
    if (!series) return null;
    const lines = [];
    const chosen = PERCENTILES.filter(([p]) => p !== 0.9 || view.showsP90);
    for (const each of chosen) {
      const line = percentileLine(model, win, series, each);
      if (line) lines.push(line);
    }
    const highest = joined(win, series.trend.max, most).mid;
    const resting = model.isLive ? series.trend.max[model.n - 1] : most(model.steady().map((i) => series.trend.max[i] ?? -Infinity));
    const dots = { name: "max", colour: "--max", text: "--ink-3", values: highest, resting: Number.isFinite(resting) ? resting : null, format: time };
    const isRequest = model.protocol && model.latency === model.protocol.duration;
    const each = win.seconds === 1 ? "each second" : `each point is ${span(win.seconds)}`;
    const joinedName = lines.find((line) => /\(/.test(line.name));
    const long = joinedName ? `; ${joinedName.name.replace(/ \((.*)\)/, " over $1")}, because ${win.seconds === 1 ? "one second" : "one point"} has too few` : "";
    const what = isRequest ? (model.protocol.fromDue ? "Successful requests" : "Requests") : "Samples";
    const kind = isRequest ? (model.protocol.fromDue ? "due to last byte" : "whole request") : model.latency;
    // Nothing but zeros, such as the requests of a target that refused every connection, has no place on a log scale.
    const isLog = !view.isLinear && most(highest.map((value) => value ?? 0)) > 0;
    const hasZeros = isLog && lines.some((line) => line.values.some((value) => value === 0));
    const notes = [`${what}, ${each}${long}.`, ...(hasZeros ? ["Zeros lie below a log scale."] : []), ...notFiltered(model, model.latency)];
    return { lines, dots, height: 196, isLog, unit: `${kind}, ${isLog ? "log" : "linear"} scale`, notes, format: axisTime, isTime: true };
  }

  const ROWS = 8;

  /** Cells of the heat map: columns of whole intervals, eight rows per decade. */
  function heatChart(model, win, view, pixels) {
    const series = model.series(model.latency);
    if (!series || !series.hist) return null;
    const shown = Math.max(1, Math.ceil((win.to - win.from) / win.step));
    const every = Math.max(series.hist.every, win.k, Math.ceil((shown * 5.2) / Math.max(pixels, 50)));
    const cells = [];
    let [highest, low, high, zeros] = [0, Infinity, -Infinity, 0];
    for (let from = Math.floor(win.first / every) * every; from < Math.min(model.n, win.first + win.xs.length * win.k); from += every) {
      const joinedCounts = model.join(series, from, Math.min(from + every, model.n));
      const rows = new Map();
      for (const [bucket, n] of joinedCounts.counts) {
        // Zeros are in the first bucket; a row for them would be decades away from all others.
        if (bucket === 0) {
          zeros += n;
          continue;
        }
        const row = Math.floor(Math.log10(model.buckets.middle(bucket)) * ROWS + 1e-9);
        rows.set(row, (rows.get(row) || 0) + n);
      }
      for (const [row, n] of rows) {
        cells.push({ x0: from * win.step, x1: Math.min((from + every) * win.step, Math.max(model.length, win.step)), row, n });
        highest = Math.max(highest, n);
        low = Math.min(low, row);
        high = Math.max(high, row + 1);
      }
    }
    if (!cells.length) return null;
    const [bottom, top] = [10 ** (low / ROWS), 10 ** (high / ROWS)];
    const what = every * win.step === 1 ? "second" : span(every * win.step);
    return { cells, rows: ROWS, highest, height: 150, isLog: true, range: [Math.min(bottom, top / 10), top], lines: [], notes: ["Shows what percentiles hide.", `A column is ${what === "second" ? "one second" : what}.${zeros ? ` Without ${short(zeros)} of 0${SPACE}ms.` : ""}`], format: axisTime, isTime: true, hasSchemeNote: true, isRequest: Boolean(model.protocol && model.latency === model.protocol.duration) };
  }

  function dueChart(model, win) {
    const protocol = model.protocol;
    if (!protocol || !protocol.fromDue) return null;
    const [due, sent] = [model.series(protocol.duration), model.series(protocol.waiting)];
    if (!due || !sent) return null;
    if (!model.isOpenLoop) return { sentence: "Left out: without an arrival rate a request has no planned moment, so it is due when it is sent." };
    // The highest percentile that there are enough samples for.
    const [p, name] = [[0.99, "p99"], [0.95, "p95"], [0.5, "p50"]].find(([each]) => windowFor(model, due, win, each) && windowFor(model, sent, win, each)) || [];
    if (!p) return null;
    const lines = [
      percentileLine(model, win, sent, [p, name, "from sent", "--s3", 1.4], { dash: [4, 3] }),
      percentileLine(model, win, due, [p, name, "from due", "--accent", 1.6]),
    ];
    return { lines, unit: `${name} latency, log scale`, height: 92, isLog: true, notes: ["The gap is waiting before the request could be sent."], format: axisTime, isTime: true };
  }

  function openChart(model, win) {
    const series = model.series("senary_open_sockets");
    if (!series || !model.opened || !most(series.gauge.last.slice(0, Math.max(model.n, 1)).map((v) => v ?? 0))) return null;
    return { lines: [valueLine(model, win, series.gauge.last.slice(0, model.n), { name: "open", colour: "--accent", format: (v) => count(Math.round(v)) })], height: 72, notes: notFiltered(model, "senary_open_sockets"), format: axis, isWhole: true };
  }

  function connectingChart(model, win) {
    if (!model.opened) return null;
    const lines = [valueLine(model, win, model.perSecond(model.series(model.opened)), { name: "opened", colour: "--s2", format: rate })];
    const errors = model.series("tcp_errors");
    const bars = errors ? [{ ...valueLine(model, win, model.perSecond(errors), { name: "failed", colour: "--fail", format: rate }), values: joined(win, model.perSecond(errors), most).mid }] : [];
    return { lines, bars, height: 72, notes: notFiltered(model, model.opened), format: axis, topUnit: "/s" };
  }

  function vuChart(model, win) {
    const by = model.filter && model.filter[0] === "scenario" ? model.seriesBy("vus", "scenario").filter((s) => s.scope.scenario === model.filter[1]) : model.seriesBy("vus", "scenario");
    const whole = model.series("vus");
    if (!whole && !by.length) return null;
    const names = by.length ? by : [whole];
    const sorted = [...names].sort((a, b) => most(b.gauge.max.map((v) => v ?? 0)) - most(a.gauge.max.map((v) => v ?? 0)));
    const shown = sorted.length > 7 ? sorted.slice(0, 6) : sorted;
    const format = (v) => count(Math.round(v));
    const lines = shown.map((series, i) => valueLine(model, win, series.gauge.last.slice(0, model.n), { name: series.scope ? series.scope.scenario : "active", colour: SERIES[i % SERIES.length][0], dash: SERIES[i % SERIES.length][1], format }));
    if (sorted.length > shown.length) {
      const others = Array.from({ length: model.n }, (_, i) => sum(sorted.slice(6).map((series) => series.gauge.last[i])));
      lines.push(valueLine(model, win, others, { name: "others", colour: SERIES[6][0], dash: SERIES[6][1], format }));
    }
    const dropped = model.metric("dropped_iterations");
    const limited = dropped && dropped.counter && dropped.counter.count ? shown.map((series) => [series, model.scenarios.find((s) => series.scope && s.name === series.scope.scenario)]).filter(([series, s]) => s && s.open && s.max_vus && most(series.gauge.max.map((v) => v ?? 0)) >= s.max_vus) : [];
    const words = limited.map(([series, s]) => ({ text: `${s.name} at its limit of ${s.max_vus}: drops`, at: (lastIndex(series.gauge.max.slice(0, model.n), (v) => v >= s.max_vus) + 1) * model.step, value: s.max_vus }));
    return { lines: lines.reverse(), height: Math.max(72, lines.length * 15 - 8), notes: [], format: axis, isWhole: true, words };
  }

  function throughputChart(model, win) {
    const [sent, received] = [model.series("data_sent"), model.series("data_received")];
    if (!sent && !received) return null;
    const lines = [
      sent && valueLine(model, win, model.perSecond(sent), { name: "sent", colour: "--s2", format: bytes }),
      received && valueLine(model, win, model.perSecond(received), { name: "received", colour: "--accent", format: bytes }),
    ].filter(Boolean);
    return { lines, height: 72, notes: notFiltered(model, "data_sent"), format: axisBytes, topUnit: "/s", isBytes: true };
  }

  function generatorChart(model, win) {
    const series = model.doc.timeline.series.find((s) => s.metric === "senary_worker_busy" && !s.scope);
    if (!series) return null;
    const busy = series.trend.max.slice(0, model.n).map((value) => (missing(value) ? null : Math.min(value / 100, 1)));
    const limit = model.generator.limits && model.generator.limits.busy;
    return {
      lines: [valueLine(model, win, busy, { name: "busy", colour: "--accent", format: roughPercent, isFilled: true })], height: 72, notes: [], format: (v) => `${Math.round(v * 100)}${v ? SPACE + "%" : ""}`,
      ticks: [0, 0.5, 1], range: [0, 1.12], limit: limit ? { value: limit, text: `above ${Math.round(limit * 100)}${SPACE}% the verdict changes` } : null,
    };
  }

  function latenessChart(model, win) {
    const series = model.doc.timeline.series.find((s) => s.metric === "senary_start_lag" && !s.scope);
    if (!series || !model.isOpenLoop) return null;
    const late = series.trend.max.slice(0, model.n).map((value) => (value > 0 ? value : null));
    const limit = model.generator.limits && model.generator.limits.start_lag;
    return {
      lines: [valueLine(model, win, late, { name: "late by", colour: "--accent", format: time })], height: 76, isLog: true, notes: [], format: axisTime, isTime: true,
      limit: limit ? { value: limit, text: `above ${axisTime(limit)} the verdict changes` } : null,
    };
  }

  const CHARTS = [
    { id: "rate", title: "Rate", unit: "per second", make: rateChart },
    { id: "failures", title: "Failures and drops", unit: "per second", make: failureChart },
    { id: "latency", title: "Latency", unit: "log scale", make: latencyChart },
    { id: "heat", title: "Latency heat map", unit: "log scale, ", make: heatChart },
    { id: "due", title: "From due, from sent", unit: "p99 latency, log scale", make: dueChart },
    { id: "open", title: "Connections", unit: "open", make: openChart },
    { id: "connecting", title: "Connecting", unit: "per second", make: connectingChart },
    { id: "vus", title: "Virtual users", unit: "active", make: vuChart },
    { id: "throughput", title: "Throughput", unit: "bytes per second", make: throughputChart },
    { id: "generator", title: "Generator", unit: "busiest worker, share of time", make: generatorChart },
    { id: "lateness", title: "Start lateness", unit: "latest start, log scale", make: latenessChart },
  ];

  /** The sentence that tells a chart to those who do not see it: unit, range, and the worst moment. */
  function inWords(chart, spec, win) {
    const parts = [];
    for (const line of [...(spec.bars || []), ...spec.lines, ...(spec.dots ? [spec.dots] : [])]) {
      const known = line.values.map((value, i) => [value, i]).filter(([value]) => !missing(value));
      if (!known.length) continue;
      const high = known.reduce((a, b) => (b[0] > a[0] ? b : a));
      const low = known.reduce((a, b) => (b[0] < a[0] ? b : a));
      parts.push(`${line.name} from ${line.format(low[0])} to ${line.format(high[0])}, highest at ${moment(win.xs[high[1]] - win.seconds / 2)}`);
    }
    return `${chart.title}, ${spec.unit || chart.unit}. ${parts.join("; ") || "No data"}. ${plural(win.xs.length, "point")}.`;
  }

  /** The rows of a chart as a table: head and values, the moment first. */
  function tableOf(spec, win) {
    if (spec.cells) {
      const rows = spec.cells.map(({ x0, row, n }) => [x0, 10 ** (row / spec.rows), 10 ** ((row + 1) / spec.rows), n]);
      return { head: ["seconds", "from_ms", "to_ms", "count"], rows };
    }
    const lines = [...(spec.bars || []), ...spec.lines, ...(spec.dots ? [spec.dots] : [])];
    const rows = win.xs.map((x, g) => [Math.max(0, x - win.seconds / 2), ...lines.map((line) => line.values[g] ?? null)]);
    return { head: ["seconds", ...lines.map((line) => line.name)], rows: rows.filter((row) => row.slice(1).some((value) => !missing(value))) };
  }

  S.charts = { CHARTS, windowOf, inWords, tableOf, joined };
})((globalThis.Senary ??= {}));
