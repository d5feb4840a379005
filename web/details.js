// Everything below the charts as markup: latency in detail, errors, checks, own metrics, all metrics, generator, setup and log. Pure.
(function (S) {
  "use strict";

  const { NONE, SPACE, count, time, moment, percent, escape, plural, missing, bytes, number, perSecond, short, brief, roughPercent, value: metricValue } = S.format;
  const { icon, spark, failLine, rangeMark, decades, curve, max } = S.figures;
  const W = S.words;

  const heading = (title, words, tools = "") => `<div class="heading"><h2>${title}</h2>${words ? `<p>${words}</p>` : ""}${tools ? `<div class="tools">${tools}</div>` : ""}</div>`;
  const axisTo = (model) => (model.isLive ? "now" : moment(model.length));

  // Latency in detail

  function curves(model) {
    const metric = model.metric(model.latency);
    const trend = metric && metric.trend;
    const points = trend && trend.curve && trend.curve.length > 1 ? trend.curve : null;
    if (!points) return [];
    const waiting = model.protocol && model.protocol.fromDue && model.metric(model.protocol.waiting);
    const hasDue = model.isOpenLoop && waiting && waiting.trend && waiting.trend.curve && model.latency === model.protocol.duration;
    const list = [{ name: hasDue ? "whole run, from due" : "whole run", colour: "var(--p99)", points, isMain: true }];
    if (hasDue && waiting.trend.curve.length > 1) list.push({ name: "from sent", colour: "var(--s3)", dash: "4 3", points: waiting.trend.curve });
    const series = model.doc.timeline.series.find((s) => s.metric === model.latency && !s.scope);
    if (model.failing.length && series && series.hist) {
      const indices = Array.from({ length: model.n }, (_, i) => i).filter((i) => !model.failing.some(([from, to]) => (i + 1) * model.step > from + 1e-9 && i * model.step < to - 1e-9));
      const joined = model.joined(series, indices);
      const [from, to] = [model.failing[0][0], model.failing[model.failing.length - 1][1]];
      const name = model.failing.length === 1 ? `without ${moment(from)} to ${moment(to)}` : "without failing spans";
      if (joined && joined.curve().length > 1) list.push({ name, colour: "var(--s2)", points: joined.curve().filter(([p]) => p >= points[0][0] - 1e-6) });
    }
    return list;
  }

  function latency(model, view) {
    const metric = model.metric(model.latency);
    if (!metric || !metric.trend || !metric.trend.count) {
      return heading("Latency in detail") + `<p class="empty">No time was measured${model.isLive ? " yet" : " in this run"}.</p>`;
    }
    const isRequest = model.protocol && model.latency === model.protocol.duration;
    const what = isRequest ? `${count(metric.trend.count)} ${model.protocol.fromDue ? "successful " : ""}requests${model.protocol.fromDue ? "; failures are counted under Errors" : ""}.` : `${count(metric.trend.count)} samples of <code>${escape(model.latency)}</code>.`;
    const list = curves(model);
    const names = list.map((each) => `<span style="color:${each.colour}">${each.name}</span>`).join("");
    const drawn = list.length ? `<div class="curve-names">${names}</div><div class="curve" data-curve>${curve({ curves: list, width: view.curveWidth || 650, isNarrow: view.isNarrow })}</div>` : `<p class="empty">A curve needs at least twenty samples.</p>`;
    const figure = metric.trend.max === 0 ? `<p class="empty">All of them took 0${SPACE}ms.</p>` : drawn;
    return (
      heading("Latency in detail", what) +
      `<div class="detail"><div><h3 class="sub">How slow were the slowest?</h3><p>Percentile on the x axis, each step ten times rarer.</p>${figure}</div>` +
      `<div><h3 class="sub">Where the time went</h3><p>The dot is p50, the tick p95, the bar ends at p99.</p>${steps(model)}</div></div>`
    );
  }

  function steps(model) {
    const list = model.steps();
    if (!list.length) return `<p class="empty">No step of a connection or a request was measured.</p>`;
    const [low, high] = decades(list.flatMap(([, t]) => [t.p50, t.p99]));
    const rows = list.map(([name, t]) => {
      const strong = name === "Whole request" ? " strong" : "";
      return `<tr><td class="line${strong}">${name}</td><td class="n${strong}">${time(t.p50)}</td><td class="n${strong}">${time(t.p95)}</td><td class="n${strong}">${time(t.p99)}</td><td style="padding-left:14px">${rangeMark({ ...pick(t), low, high, hasBase: true })}</td></tr>`;
    });
    return `<div class="scroll"><table><thead><tr><th>Step</th><th class="n">p50</th><th class="n">p95</th><th class="n">p99</th><th style="padding-left:14px">p50 to p99, ${S.format.axisTime(low)} … ${S.format.axisTime(high)}</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
  }

  const pick = ({ p50, p95, p99 }) => ({ p50, p95, p99 });

  // Errors

  const KINDS = { dropped: "dropped", interrupted: "interrupted", never_settled: "never settled", exception: "exception", rejection: "rejection", engine: "engine", vu: "VU failed", setup: "setup", teardown: "teardown", stopped: "stopped", output: "output" };
  const REST = 10;

  /** What a series counted per second by interval, whatever its type; null if there is no series. A short last interval is no fall. */
  function ratesOf(model, id) {
    const series = id && model.byId.get(id);
    if (!series) return null;
    const values = series.counter ? series.counter.sum : series.rate ? series.rate.passes : series.trend ? series.trend.count : null;
    return values && values.slice(0, model.n).map((value, i) => (value || 0) / model.lasted(i));
  }

  /** The series of requests that has exactly the ones of this error: those with its code, else all that failed. */
  function seriesOf(model, error) {
    if (error.series || error.kind !== "http") return error.series;
    const tagged = model.seriesBy("http_reqs", "error_code").find(({ scope, counter }) => scope.error_code === error.code && S.model.sum(counter.sum) === error.count);
    const failed = model.metric("http_req_failed");
    return tagged ? tagged.id : failed && failed.rate && failed.rate.passes === error.count ? "http_req_failed" : null;
  }

  function errorRow(model, error, all, hasShares) {
    const isFailure = W.FAILURES.has(error.kind);
    const name = error.code || KINDS[error.kind] || error.kind;
    const values = ratesOf(model, seriesOf(model, error));
    // What happened in a last interval that is too short to be drawn has no peak.
    const peak = values && max(values) > 0 ? max(values) : null;
    const drawn = values && values.length > 1 ? spark({ values, step: model.step, end: model.horizon(), spans: model.failing, kind: "bars", colour: isFailure ? "var(--fail)" : "var(--drop)", height: 22, className: "mini" }) : "";
    const place = error.place ? ` <span class="place">at <code>${escape(error.place)}</code></span>` : "";
    const remedy = error.remedy ? `<span class="remedy">${escape(error.remedy).replace(/\b([a-z]+[A-Z]\w*)\b/g, "<code>$1</code>")}</span>` : "";
    const shares = (error.shares || []).slice(0, 3).map(([, value, share]) => `${escape(value)} ${roughPercent(share)}`).join(", ");
    return (
      `<tr><td class="whole"><span class="code${error.code ? " mono" : ""}">${icon(isFailure ? "fail" : "bar", 14)}${escape(name)}</span></td>` +
      `<td class="whole said"><bdi>${escape(error.message || "")}</bdi>${place}${remedy}</td>${hasShares ? `<td class="whole quiet mostly">${shares}</td>` : ""}` +
      `<td class="n strong"><span class="named">count </span>${count(error.count)}</td><td class="n"><span class="named">share </span>${isFailure && all ? percent(error.count / all) : NONE}</td>` +
      `<td class="n"><span class="named">first </span>${moment(error.first)}</td><td class="n"><span class="named">last </span>${moment(error.last)}</td>` +
      `<td class="whole when apart"><div>${drawn}<span class="quiet">${peak === null ? "" : `peak ${perSecond(peak)}`}</span></div></td></tr>`
    );
  }

  function errorsTitle(model, failures, never) {
    const metric = model.metric(model.protocol && model.protocol.failed);
    const parts = [];
    const failed = metric && metric.rate ? metric.rate.passes : 0;
    const kinds = failures.length ? ` in ${plural(failures.length, "kind")}` : "";
    const sum = S.model.sum(failures.map((error) => error.count));
    // Errors without a request, such as connects that failed, are told apart from failed requests.
    if (failed && Math.abs(sum - failed) > failed * 0.02) parts.push(plural(failed, "failed request"), `${plural(sum, "error")}${kinds}`);
    else if (failed) parts.push(`${plural(failed, "failed request")}${kinds}`);
    else if (sum) parts.push(`${plural(sum, "error")}${kinds}`);
    const of = (kind) => S.model.sum(never.filter((error) => error.kind === kind).map((error) => error.count));
    if (of("dropped")) parts.push(`${plural(of("dropped"), "iteration")} never started`);
    if (of("interrupted")) parts.push(`${of("dropped") ? count(of("interrupted")) : plural(of("interrupted"), "iteration")} ${of("interrupted") === 1 ? "was" : "were"} interrupted`);
    return parts.length > 2 ? `${parts[0]}; ${parts.slice(1).join(", ")}.` : parts.length ? parts.join("; ") + "." : "";
  }

  /** An exception that only passes on the error of a socket is told in the row of that error. */
  function withoutEchoes(errors) {
    const sockets = errors.filter((error) => error.kind === "socket");
    const echoed = new Map();
    const kept = errors.filter((error) => {
      if (error.kind !== "rejection" && error.kind !== "exception") return true;
      const source = sockets.find((socket) => socket.place && socket.place === error.place && error.message.includes(`during ${socket.method}`));
      if (source) echoed.set(source, (echoed.get(source) || 0) + error.count);
      return !source;
    });
    return kept.map((error) => (echoed.has(error) ? { ...error, remedy: error.remedy || `uncaught ${echoed.get(error) === 1 ? "once" : `${count(echoed.get(error))} times`}` } : error));
  }

  function errors(model, view) {
    const list = withoutEchoes(model.doc.errors || []);
    const others = model.doc.others || [];
    if (!list.length && !others.length) {
      const failed = model.metric(model.protocol && model.protocol.failed);
      const some = failed && failed.rate && failed.rate.passes;
      return heading("Errors") + (some ? `<p class="empty">${plural(some, "request")} failed, without an error that was recorded.</p>` : `<p class="empty">${model.protocol ? "No request failed, no" : "No"} iteration was dropped or interrupted${model.isLive ? " so far" : ""}.</p>`);
    }
    const failures = list.filter((error) => W.FAILURES.has(error.kind)).sort((a, b) => b.count - a.count);
    const never = list.filter((error) => !W.FAILURES.has(error.kind));
    const all = S.model.sum(failures.map((error) => error.count));
    const hasShares = list.some((error) => (error.shares || []).length > 0);
    const isOpen = view.isUnfolded("errors");
    const shown = isOpen ? failures : failures.slice(0, REST);
    const rest = failures.slice(shown.length);
    const restCount = S.model.sum(rest.map((error) => error.count)) + S.model.sum(others.map((other) => other.count));
    const restRow = restCount || rest.length
      ? `<p class="more quiet">${rest.length ? `${plural(rest.length, "rarer kind")}, ` : "More kinds than are listed, "}${plural(restCount, "error")}. ${rest.length ? `<button class="button" type="button" data-unfold="errors" data-key="more-errors">show all</button>` : ""}</p>`
      : "";
    return (
      heading("Errors", errorsTitle(model, failures, never)) +
      `<table class="errors blocks"><thead><tr><th>Code</th><th>What it said, where</th>${hasShares ? "<th>Mostly</th>" : ""}<th class="n">Count</th><th class="n">Share</th><th class="n">First</th><th class="n">Last</th><th class="apart" style="width:262px">When, 0:00 to ${axisTo(model)}</th></tr></thead><tbody>` +
      [...shown, ...never].map((error) => errorRow(model, error, all, hasShares)).join("") + `</tbody></table>${restRow}`
    );
  }

  // Checks

  const groupName = (path) => path.split("::").filter(Boolean).join(" › ");

  function checks(model) {
    const list = model.doc.checks || [];
    if (!list.length) return heading("Checks") + `<p class="empty">${model.isLive ? "No check has run so far." : "This script makes no checks."}</p>`;
    const [passes, fails] = [S.model.sum(list.map((c) => c.passes)), S.model.sum(list.map((c) => c.fails))];
    const groups = new Map();
    for (const check of list) {
      if (!groups.has(check.group)) groups.set(check.group, []);
      groups.get(check.group).push(check);
    }
    const rows = [...groups].map(([group, of]) => {
      const head = group ? `<tr class="group"><td class="said" colspan="4">${escape(groupName(group))}</td></tr>` : "";
      return head + of.map((check) => checkRow(model, check, Boolean(group))).join("");
    });
    return (
      heading("Checks", passes + fails ? `${percent(passes / (passes + fails))} of ${short(passes + fails)} passed` : "none has run") +
      `<table class="checks"><thead><tr><th>Group, check</th><th class="n">Passed</th><th class="n">Failed</th><th style="width:166px;padding-left:24px">When it failed</th></tr></thead><tbody>${rows.join("")}</tbody></table>`
    );
  }

  function checkRow(model, check, isInGroup) {
    const all = check.passes + check.fails;
    const series = check.series && model.byId.get(check.series);
    const values = series && series.rate ? series.rate.total.slice(0, model.n).map((total, i) => (total || 0) - (series.rate.passes[i] || 0)) : null;
    const drawn = !all ? `<span class="quiet">never ran</span>` : values && values.length > 1 ? failLine({ values, step: model.step, end: model.horizon() }) : "";
    return `<tr><td class="said${isInGroup ? " name" : ""}"><bdi>${escape(check.name)}</bdi></td><td class="n">${all ? percent(check.passes / all) : NONE}</td><td class="n ${check.fails ? "bad" : "quiet"}">${count(check.fails)}</td><td style="padding-left:24px">${drawn}</td></tr>`;
  }

  // Own metrics

  const FOLD = 12;

  function ownMetrics(model) {
    return model.metrics.filter((metric) => metric.custom && !metric.parent && !metric.own);
  }

  function own(model, view) {
    const list = ownMetrics(model);
    if (!list.length) return "";
    const shown = list.length > FOLD && !view.isUnfolded("own") ? list.slice(0, FOLD) : list;
    const charts = shown.map((metric) => ownChart(model, metric, view)).join("");
    const more = list.length > FOLD ? `<button class="button more" type="button" data-unfold="own" data-key="more-own">${shown.length < list.length ? `show all ${list.length}` : "show fewer"}</button>` : "";
    return heading("Your own metrics", "drawn by type, without configuration") + `<div class="own-grid${list.length > 4 ? " three" : ""}">${charts}</div>${more}`;
  }

  function ownChart(model, metric, view) {
    const series = model.series(metric.name);
    const { kind, figure, lines, bars, top, format } = ownParts(model, metric, series);
    const drawing = lines || bars ? S.details.ownDrawing(model, { lines, bars, top, format, width: view.ownWidth || 570 }) : "";
    return `<div class="own" data-own="${escape(metric.name)}"><div class="title"><code>${escape(metric.name)}</code><span>${kind}</span><b>${figure}</b></div>${drawing}</div>`;
  }

  /** How a metric of the script is drawn: by its type, with the figure that says most about it. */
  function ownParts(model, metric, series) {
    const text = (value) => metricValue(value, metric.contains);
    const onAxis = metric.contains === "default" ? brief : text;
    const cut = (values) => values.slice(0, model.n);
    if (metric.gauge) return { kind: `gauge${metric.contains === "time" ? ", time" : metric.contains === "data" ? ", bytes" : ""}`, figure: `at most ${text(metric.gauge.max)}`, format: onAxis, lines: series && [["", cut(series.gauge.last), "var(--accent)"]] };
    if (metric.trend) {
      const { p50, p95 } = metric.trend;
      return { kind: "trend", figure: `p50 ${text(p50)}, p95 ${text(p95)}`, format: onAxis, lines: series && [["p95", cut(series.trend.p95), "var(--p95)"], ["p50", cut(series.trend.p50), "var(--accent)"]] };
    }
    if (metric.rate) {
      const { passes, fails } = metric.rate;
      const shares = series && cut(series.rate.total).map((total, i) => (total ? series.rate.passes[i] / total : null));
      return { kind: "rate, share", figure: percent(passes + fails ? passes / (passes + fails) : null), format: (value) => roughPercent(value), top: 1, lines: shares && [["", shares, "var(--accent)"]] };
    }
    const total = metric.contains === "default" ? count(metric.counter.count) : text(metric.counter.count);
    return { kind: "counter, per second", figure: `${total} in all`, format: (value) => onAxis(value) + "/s", bars: series && model.perSecond(series) };
  }

  // All metrics

  const TREND = [["min", "min"], ["avg", "avg"], ["p50", "p50"], ["p90", "p90"], ["p95", "p95"], ["p99", "p99"], ["p999", "p99.9"], ["max", "max"], ["count", "count"]];
  const COUNTER = [["count", "Total"], ["rate", "Per second"]];
  const VALUES = [["value", "Value"], ["min", "Least"], ["max", "Most"]];
  const PARTS = 8;

  /** Whether a metric is what the filter asks for: part of its name, or `tag:value`. */
  function matches(metric, query) {
    const wanted = query.trim().toLowerCase();
    if (!wanted) return !metric.own;
    if (metric.name.toLowerCase().includes(wanted)) return true;
    return Object.entries(metric.tags || {}).some(([tag, value]) => `${tag}:${value}`.toLowerCase().includes(wanted));
  }

  /** Rows of the table of one type: whole metrics in the order of the sort, each followed by its parts. The values of tags that no chart tells apart are there when they are asked for. */
  function rows(model, type, view) {
    const ofType = model.metrics.filter((metric) => type.some((key) => metric[key]));
    const query = view.query || "";
    const found = ofType.filter((metric) => matches(metric, query));
    const figure = (metric) => {
      const { key } = view.sort;
      if (key === "name") return metric.name;
      const data = metric.trend || metric.counter || metric.gauge || metric.rate;
      return (key === "value" ? (metric.rate ? metric.rate.rate : metric.gauge.last) : data[key]) ?? -Infinity;
    };
    const isOther = (metric) => (metric.trend && metric.contains !== "time" ? 1 : 0);
    const compare = (a, b) => {
      // Times cannot be compared with other values, which follow them.
      if (view.sort.key !== "name" && isOther(a) !== isOther(b)) return isOther(a) - isOther(b);
      const [x, y] = [figure(a), figure(b)];
      const order = typeof x === "string" ? x.localeCompare(y) : x - y;
      return view.sort.isDown ? -order : order;
    };
    const isSorted = view.sort.key && type.includes(view.sort.type);
    const order = (list) => (isSorted ? [...list].sort(compare) : list);
    const tops = order(found.filter((metric) => !metric.parent || !found.some((other) => other.name === metric.parent)));
    return tops.flatMap((top) => {
      const parts = top.parent ? [] : order(found.filter((metric) => metric.parent === top.name));
      const telling = query ? parts : parts.filter((part) => part.kind !== "value" && (part.kind === "submetric" || sizeOf(part) !== sizeOf(top)));
      const shown = query || view.isUnfolded("parts:" + top.name) ? telling : foldParts(telling);
      const row = { metric: top, isPart: false, isLonely: Boolean(top.parent) };
      const more = telling.length - shown.length;
      return [row, ...shown.map((metric) => ({ metric, isPart: true })), ...(more ? [{ more, of: top.name }] : [])];
    });
  }

  /** How many samples a metric has; a part with as many as its metric says nothing new. */
  const sizeOf = ({ trend, counter, rate }) => (trend ? trend.count : counter ? counter.count : rate ? rate.passes + rate.fails : null);

  /** Few parts are all shown; of many those that thresholds, scenarios and groups made. Instances are shown to who asks for them. */
  function foldParts(all) {
    const parts = all.filter((metric) => !(metric.tags && "instance" in metric.tags));
    if (parts.length <= PARTS) return parts;
    const named = parts.filter((metric) => metric.kind !== "tag");
    return named.slice(0, Math.max(PARTS, parts.filter((metric) => metric.kind === "submetric").length));
  }

  const partName = (metric) => (metric.name.startsWith(metric.parent + "{") ? metric.name.slice(metric.parent.length) : metric.name);

  function nameCell({ metric, isPart, isLonely }) {
    return `<td><code class="${isPart ? "part" : ""}" title="${escape(metric.name)}">${escape(isPart && !isLonely ? partName(metric) : metric.name)}</code></td>`;
  }

  const moreRow = ({ more, of }, columns) => `<tr><td colspan="${columns}"><button class="button part" type="button" data-unfold="parts:${escape(of)}" data-key="parts:${escape(of)}">${plural(more, "more part")}</button></td></tr>`;

  function head(type, label, columns, view, extra = "") {
    const cell = ([key, name], isFirst) => {
      const isSorted = view.sort.type === type && view.sort.key === key;
      const sort = isSorted ? ` aria-sort="${view.sort.isDown ? "descending" : "ascending"}"` : "";
      return `<th class="${isFirst ? "" : "n"}"${sort}><button type="button" data-sort="${type}:${key}" data-key="sort:${type}:${key}">${name}</button></th>`;
    };
    return `<thead><tr>${cell(["name", label], true)}${columns.map((column) => cell(column, false)).join("")}${extra}</tr></thead>`;
  }

  function trendTable(model, view) {
    const list = rows(model, ["trend"], view);
    if (!list.length) return "";
    const times = list.filter((row) => row.metric && row.metric.contains === "time" && row.metric.trend.count).map((row) => row.metric.trend);
    const [low, high] = decades(times.flatMap((t) => [t.p50 / 3, t.max]));
    const body = list.map((row) => {
      if (row.more) return moreRow(row, TREND.length + 2);
      const { metric } = row;
      const cells = TREND.map(([key]) => {
        const isSorted = view.sort.type === "trend" && view.sort.key === key;
        const value = metric.trend[key];
        return `<td class="n${isSorted ? " strong" : ""}">${key === "count" ? count(value) : metricValue(value, metric.contains)}</td>`;
      });
      const t = metric.trend;
      const mark = metric.contains !== "time" ? `<span class="quiet">not a time</span>` : t.count && t.p50 > 0 ? rangeMark({ p50: t.p50, p99: t.p99, min: t.min, max: t.max, low, high }) : "";
      return `<tr>${nameCell(row)}${cells.join("")}<td style="padding-left:26px">${mark}</td></tr>`;
    });
    const extra = `<th style="padding-left:26px">${S.format.axisTime(low)} … ${S.format.axisTime(high)}</th>`;
    return `<div class="scroll metrics"><table>${head("trend", "Trend", TREND, view, extra)}<tbody>${body.join("")}</tbody></table></div>`;
  }

  function counterTable(model, view) {
    const list = rows(model, ["counter"], view);
    if (!list.length) return "";
    const body = list.map((row) => {
      if (row.more) return moreRow(row, 3);
      const { metric } = row;
      const text = (value) => (metric.contains === "data" ? bytes(value) : metric.contains === "time" ? time(value) : number(value));
      const rate = metric.contains === "default" ? perSecond(metric.counter.rate) : text(metric.counter.rate) + "/s";
      return `<tr>${nameCell(row)}<td class="n">${text(metric.counter.count)}</td><td class="n">${rate}</td></tr>`;
    });
    return `<table class="metrics">${head("counter", "Counter", COUNTER, view)}<tbody>${body.join("")}</tbody></table>`;
  }

  function valueTable(model, view) {
    const list = rows(model, ["rate", "gauge"], { ...view, sort: view.sort.type === "value" ? { ...view.sort, type: "rate" } : view.sort });
    if (!list.length) return "";
    const body = list.map((row) => {
      if (row.more) return moreRow(row, 4);
      const { metric } = row;
      const text = (value) => metricValue(value, metric.contains);
      if (metric.rate) {
        const all = metric.rate.passes + metric.rate.fails;
        return `<tr>${nameCell(row)}<td class="n">${all ? percent(metric.rate.passes / all) : NONE}</td><td class="n quiet">${NONE}</td><td class="n quiet">${NONE}</td></tr>`;
      }
      return `<tr>${nameCell(row)}<td class="n">${text(metric.gauge.last)}</td><td class="n quiet">${text(metric.gauge.min)}</td><td class="n quiet">${text(metric.gauge.max)}</td></tr>`;
    });
    return `<table class="metrics">${head("value", "Rate or gauge", VALUES, view)}<tbody>${body.join("")}</tbody></table>`;
  }

  const metricsHeading = (view) =>
    heading("All metrics", "Press a heading to sort; parts stay below the metric they belong to.",
      `<input type="search" data-filter placeholder="Filter: name or tag:value" aria-label="Filter metrics by name or tag:value" value="${escape(view.query || "")}">` +
      `<button class="button" type="button" data-save="metrics.csv">CSV</button><button class="button" type="button" data-save="metrics.json">JSON</button>`);

  function metrics(model, view) {
    const trends = trendTable(model, view);
    const [counters, values] = [counterTable(model, view), valueTable(model, view)];
    if (!trends && !counters && !values) return `<p class="empty">${view.query ? `No metric matches “${escape(view.query)}”.` : "No metric has a value yet."}</p>`;
    return `${trends}<div class="pair" style="margin-top:18px">${counters || "<div></div>"}${values}</div>`;
  }

  /** The metrics that are shown, for CSV and JSON. */
  function shownMetrics(model, view) {
    return [["trend"], ["counter"], ["rate", "gauge"]].flatMap((type) => rows(model, type, view).filter((row) => row.metric).map((row) => row.metric));
  }

  // Generator

  /** What stands in the row of an instance for its requests, where a script makes none. */
  const COUNTED = [["iterations", "Iterations"], ["tcp_msgs_sent", "Messages"]];

  function instanceRow(model, instance, what) {
    const [name, word, css] = instance.state === "ok" && instance.note ? ["warn", escape(instance.note), " doubt"] : { ok: ["ok", model.isLive ? "reporting" : "reported to the end", ""], lost: ["warn", instance.note ? escape(instance.note) : `lost at ${moment(instance.lost)}`, " doubt"], silent: ["none", "never reported", ""] }[instance.state] || ["none", instance.state, ""];
    const values = ratesOf(model, instance.series);
    const drawn = values && values.length > 1 ? spark({ values, step: model.step, end: model.horizon(), spans: model.failing, height: 20 }) : "";
    const files = missing(instance.open_files) ? NONE : `${count(instance.open_files)} of ${count(instance.open_files_limit)}`;
    const clock = missing(instance.clock) ? NONE : `${instance.clock > 0 ? "+" : ""}${time(instance.clock).replace("-", "−")}`;
    // Of one instance the table of metrics has the same figures, and more exact ones.
    const { p50, p99 } = ((model.doc.instances || []).length === 1 && model.instanceTrend()) || instance;
    const cell = (label, text) => `<td class="n"><span class="named">${label} </span>${text}</td>`;
    return (
      `<tr><td>${escape(instance.name)}${instance.segment ? ` <span class="quiet segment">${escape(instance.segment)}${instance.vus ? `, ${plural(instance.vus, "VU")}` : ""}</span>` : ""}</td><td><span class="state${css}">${icon(name)}${word}</span></td>` +
      cell(what.toLowerCase(), count(instance.requests)) + cell("p50", time(p50)) + cell("p99", time(p99)) + cell("failed", percent(instance.failed)) +
      cell("CPU", roughPercent(instance.cpu)) + cell("late by", time(instance.lag)) + cell("descriptors", files) + cell("memory", bytes(instance.memory)) + cell("clock", clock) +
      `<td class="whole apart" style="width:158px">${drawn}</td></tr>`
    );
  }

  function generator(model) {
    const list = model.doc.instances || [];
    const words = list.length <= 1 ? `one instance${model.run.workers ? `, ${plural(model.run.workers, "worker")} on ${plural(model.run.cores, "core")}` : ""}` : `${list.length} instances; figures are merged without loss, not averaged.`;
    const what = COUNTED.find(([name]) => list.some(({ series }) => series && series.startsWith(name)))?.[1] || "Requests";
    if (!list.length) return heading("Generator", words) + `<p class="empty">Nothing was measured of the generator.</p>`;
    return (
      heading("Generator", words) +
      `<table class="instances blocks"><thead><tr><th>Instance</th><th>State</th><th class="n">${what}</th><th class="n">p50</th><th class="n">p99</th><th class="n">Failed</th><th class="n">CPU, most</th><th class="n">Start lateness</th><th class="n">Descriptors</th><th class="n">Memory</th><th class="n">Clock</th><th style="padding-left:26px">${what}/s</th></tr></thead><tbody>` +
      list.map((instance) => instanceRow(model, instance, what)).join("") + `</tbody></table>`
    );
  }

  // Setup and log

  const LEVELS = { warning: ["▲", "WARN", "warn"], warn: ["▲", "WARN", "warn"], error: ["×", "ERROR", "error"], fatal: ["×", "FATAL", "error"], info: ["·", "INFO", ""], debug: ["·", "DEBUG", ""], trace: ["·", "TRACE", ""] };

  function logLine({ t, level, text, more }) {
    const [sign, word, css] = LEVELS[level] || LEVELS.info;
    const again = more ? `   <span class="more">+${SPACE}${count(more)} more like this</span>` : "";
    return `<span class="t">${moment(t, 3)}</span> <span class="${css}">${sign} ${word.padEnd(5)}</span> <bdi>${escape(text)}</bdi>${again}`;
  }

  function setup(model) {
    const { run, scenarios, doc } = model;
    const system = [run.version, run.os && `${run.os} ${run.arch || ""}`.trim(), run.cores && plural(run.cores, "core"), run.kernel && `kernel ${run.kernel}`].filter(Boolean).map(escape).join(", ");
    const tags = Object.entries(run.tags || {}).map(([tag, value]) => `${tag}=${value}`).join(", ");
    const rows = [
      ["Command", run.command && `<span class="mono">${escape(run.command)}</span>`],
      ["Senary", system],
      ...scenarios.map((scenario) => [escape(scenario.name), escape(`${scenario.executor}: ${scenario.words}`)]),
      ...(run.options || []).map(([name, words]) => [escape(name), escape(words)]),
      ["Tags", tags && escape(tags)],
      ["Host", run.host && escape(run.host)],
    ].filter(([, words]) => words);
    const log = doc.log && doc.log.length ? `<div class="log" tabindex="0" role="log" aria-live="off" aria-label="Last lines of the log">${doc.log.map(logLine).join("\n")}</div>` : `<p class="empty">Nothing was logged${model.isLive ? " so far" : " before the end"}.</p>`;
    return (
      heading("Setup and log", "Everything needed to run it again. Values of secrets are hidden.", run.command ? `<button class="button" type="button" data-action="copy-command" data-key="copy-command">Copy command</button>` : "") +
      `<div class="pair setup"><dl>${rows.map(([name, words]) => `<dt>${name}</dt><dd>${words}</dd>`).join("")}</dl>${log}</div>`
    );
  }

  function footer(model) {
    const { run } = model;
    return (
      `<span>Senary ${escape(run.version || "")}</span><span>${model.isLive ? "The page is served by the test itself." : "This file is complete: it loads nothing and works offline."}</span>` +
      `<span>Times are relative to ${S.format.clock(run.start)}.</span><span class="print-only" data-address></span>` +
      `<span class="downloads print-hide">Download all data: <button type="button" data-save="all.csv">CSV</button>, <button type="button" data-save="all.json">JSON</button></span>`
    );
  }

  S.details = { latency, errors, checks, own, ownMetrics, metrics, metricsHeading, shownMetrics, generator, setup, footer, heading, curves };
})((globalThis.Senary ??= {}));
