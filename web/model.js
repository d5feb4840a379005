// The document of a run, seen as the page needs it: which metric plays which part, rates by interval, phases, failing spans. Pure.
(function (S) {
  "use strict";

  const { Buckets, Sum, join } = S.histogram;

  /** What a protocol calls its requests. Where a script uses several, the one with the most requests is shown. */
  const PROTOCOLS = [
    { name: "TCP", requests: "tcp_reqs", failed: "tcp_req_failed", duration: "tcp_req_duration", waiting: "tcp_req_waiting", fromDue: true },
    { name: "HTTP", requests: "http_reqs", failed: "http_req_failed", duration: "http_req_duration", waiting: "http_req_waiting" },
  ];
  /** What stands for requests where a script makes none, with its name on the page. */
  const INSTEAD = [
    ["tcp_msgs_received", "messages"], ["ws_msgs_received", "messages"], ["tcp_msgs_sent", "messages"], ["ws_msgs_sent", "messages"],
    ["tcp_reads", "reads"],
  ];
  const OPENED = ["tcp_sockets", "ws_sessions"];
  const STEPS = [
    ["Resolve", ["tcp_socket_resolving"]],
    ["Connect", ["tcp_socket_connecting", "http_req_connecting", "ws_connecting"]],
    ["TLS", ["tcp_tls_handshaking", "http_req_tls_handshaking"]],
    ["Waiting to send", ["tcp_req_blocked", "http_req_blocked"]],
    ["Sending", ["http_req_sending"]],
    ["First byte", ["tcp_req_waiting", "http_req_waiting"]],
    ["Receiving", ["http_req_receiving"]],
  ];

  const sum = (values) => values.reduce((all, value) => all + (value || 0), 0);

  function median(values) {
    const sorted = values.filter((value) => value !== null && value !== undefined).sort((a, b) => a - b);
    if (!sorted.length) return null;
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  class Model {
    /** `filter`: null for the whole run, or one tag and its value, such as `["scenario", "orders"]`. */
    constructor(doc, filter = null) {
      this.doc = doc;
      this.run = doc.run;
      this.filter = filter;
      this.scenarios = doc.scenarios || [];
      this.thresholds = doc.thresholds || [];
      this.metrics = doc.metrics || [];
      this.generator = doc.generator || { verdict: "unknown", findings: [], limits: {}, lost: [] };
      this.isLive = doc.run.state === "running";
      this.byId = new Map(doc.timeline.series.map((series) => [series.id, series]));
      this.byName = new Map(this.metrics.map((metric) => [metric.name, metric]));
      this.step = doc.timeline.step;
      this.length = doc.run.length || 0;
      this.buckets = new Buckets(doc.timeline.histogram);
      this.n = this.intervals();
      this.parts();
      this.failing = this.failingSpans();
      this.phases = this.phaseList();
    }

    /** Whole intervals; one that is under way would look like a fall. */
    intervals() {
      const all = this.doc.timeline.intervals;
      const isWhole = all * this.step <= this.length + 1e-6;
      const isShort = this.length - (all - 1) * this.step < this.step / 4;
      return Math.max(0, (this.isLive && !isWhole) || (!this.isLive && all > 1 && isShort) ? all - 1 : all);
    }

    /** How long interval `i` lasted, in seconds. The first one may begin a moment before the run. */
    lasted(i) {
      if (i === 0 && this.run.lead) return Math.max(Math.min(this.step, this.length) - this.run.lead, this.step / 4);
      const rest = this.length - i * this.step;
      return this.isLive || rest >= this.step ? this.step : Math.max(rest, this.step / 4);
    }

    parts() {
      const total = (name) => {
        const metric = this.byName.get(name);
        return metric && metric.counter ? metric.counter.count : 0;
      };
      const protocols = PROTOCOLS.filter((protocol) => total(protocol.requests) > 0);
      this.protocol = protocols.sort((a, b) => total(b.requests) - total(a.requests))[0] || null;
      const instead = INSTEAD.find(([name]) => total(name) > 0);
      this.requests = this.protocol ? [this.protocol.requests, "requests"] : instead || null;
      this.latency = this.latencyMetric();
      this.opened = OPENED.find((name) => total(name) > 0) || null;
      this.isOpenLoop = this.scenarios.some((scenario) => scenario.open);
    }

    latencyMetric() {
      const counted = (name) => {
        const metric = this.byName.get(name);
        return metric && metric.trend ? metric.trend.count : 0;
      };
      if (this.protocol && counted(this.protocol.duration)) return this.protocol.duration;
      const own = this.metrics
        .filter((metric) => metric.custom && metric.trend && metric.contains === "time" && !metric.parent)
        .sort((a, b) => b.trend.count - a.trend.count)[0];
      const others = [own && own.name, "tcp_message_latency", "tcp_socket_connecting", "ws_connecting", "iteration_duration"];
      return others.find((name) => name && counted(name)) || null;
    }

    /** The times that the rows of instances tell, of the whole run; null where there are none. */
    instanceTrend() {
      const names = ["tcp_req_duration", "http_req_duration", "tcp_message_latency", "iteration_duration"];
      const metric = names.map((name) => this.byName.get(name)).find((each) => each && each.trend && each.trend.count);
      return metric ? metric.trend : null;
    }

    /** Steps of a connection and a request that happened: [name, trend]. */
    steps() {
      const found = [];
      for (const [name, metrics] of STEPS) {
        const metric = metrics.map((m) => this.byName.get(m)).find((m) => m && m.trend && m.trend.count > 0 && (m.trend.max > 0 || m.trend.p99 > 0));
        if (metric) found.push([name, metric.trend]);
      }
      const whole = this.protocol && this.byName.get(this.protocol.duration);
      if (whole && whole.trend && whole.trend.count) found.push(["Whole request", whole.trend]);
      return found;
    }

    /** Totals of a whole metric, or null if the script never used it. */
    metric(name) {
      return (name && this.byName.get(name)) || null;
    }

    /** The series of a metric in the filter of the page; `whole` says that there is none for the filter. */
    series(name) {
      if (!name) return null;
      const of = (scope) => this.doc.timeline.series.find((series) => series.metric === name && this.sameScope(series.scope, scope));
      if (this.filter) {
        const [tag, value] = this.filter;
        const part = of({ [tag]: value });
        if (part) return part;
      }
      return of(null) || null;
    }

    sameScope(a, b) {
      if (!a || !b) return !a && !b;
      const keys = Object.keys(a);
      return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
    }

    /** Series of a metric for each value of one tag. */
    seriesBy(name, tag) {
      return this.doc.timeline.series.filter(
        (series) => series.metric === name && series.scope && Object.keys(series.scope).length === 1 && tag in series.scope);
    }

    /** Whether the filter of the page applies to this metric. */
    isFiltered(name) {
      const series = this.series(name);
      return Boolean(this.filter && series && series.scope);
    }

    /** A counter per second, by interval: nothing counted is 0, because the run went on. */
    perSecond(series) {
      if (!series) return null;
      const counts = series.counter ? series.counter.sum : series.rate ? series.rate.total : series.trend.count;
      return Array.from({ length: this.n }, (_, i) => (counts[i] || 0) / this.lasted(i));
    }

    /** Passes of a rate per second; for `tcp_req_failed` a pass is a failure. */
    passesPerSecond(series) {
      return series && Array.from({ length: this.n }, (_, i) => (series.rate.passes[i] || 0) / this.lasted(i));
    }

    /** Everything that went wrong by interval: failed requests, and errors of sockets, which may have kept requests from being sent. */
    troubles() {
      const failed = this.series(this.protocol && this.protocol.failed);
      const errors = this.series("tcp_errors");
      if (!failed && !errors) return null;
      return Array.from({ length: this.n }, (_, i) => Math.max((failed && failed.rate.passes[i]) || 0, (errors && errors.counter.sum[i]) || 0));
    }

    /** Failures by interval, as counts: failed requests, else errors of sockets. */
    failures() {
      const failed = this.series(this.protocol && this.protocol.failed);
      if (failed) return { counts: failed.rate.passes, word: "failed" };
      const errors = this.series("tcp_errors");
      if (errors) return { counts: errors.counter.sum, word: "errors" };
      return null;
    }

    /** Requests by interval, to which failures are compared; null if only errors of sockets are known. */
    failureTotals() {
      const failed = this.series(this.protocol && this.protocol.failed);
      return failed && failed.rate.total;
    }

    /** What the scenarios planned per second at a moment; null where no arrival rate was planned. */
    planned(at) {
      let found = null;
      for (const scenario of this.plannedScenarios()) {
        const value = planAt(scenario, at);
        if (value !== null) found = (found || 0) + value;
      }
      return found;
    }

    plannedScenarios() {
      const chosen = this.filter && this.filter[0] === "scenario" ? this.scenarios.filter((s) => s.name === this.filter[1]) : this.scenarios;
      return chosen.filter((scenario) => scenario.unit === "iterations/s" && scenario.plan.length);
    }

    /** Iterations that were planned in all, or null. */
    plannedIterations() {
      const rated = this.scenarios.filter((s) => s.unit === "iterations/s" && s.plan.length);
      if (!rated.length) return null;
      return rated.reduce((all, { plan }) => {
        for (let i = 1; i < plan.length; i += 1) all += ((plan[i][1] + plan[i - 1][1]) / 2) * (plan[i][0] - plan[i - 1][0]);
        return all;
      }, 0);
    }

    /** The end of the plan, in seconds of the run. */
    plannedEnd() {
      const ends = this.scenarios.map((scenario) => scenario.end).filter((end) => end > 0);
      return ends.length ? Math.max(...ends) : this.run.planned || null;
    }

    /**
     * Spans with over ten times the usual failures: [[from, to], …] in seconds. At most five; gaps that are short for the run are
     * closed first, then the shortest gaps.
     */
    failingSpans() {
      const counts = this.troubles();
      if (!counts || this.n < 3) return [];
      const all = sum(counts);
      if (!all) return [];
      const usual = median(counts);
      const most = Math.max(...counts);
      const bound = Math.max(10 * usual, most * 0.1, Math.min(2, most));
      let spans = [];
      counts.forEach((count, i) => {
        const last = spans[spans.length - 1];
        if (count < bound) return;
        if (last && i - last[1] <= Math.max(2, this.n * 0.015)) last[1] = i + 1;
        else spans.push([i, i + 1]);
      });
      // A few failures among thousands of requests are no phase of the run.
      const requests = this.failureTotals();
      spans = spans.filter(([from, to]) => {
        const failed = sum(counts.slice(from, to));
        const total = requests && sum(requests.slice(from, to));
        return failed >= Math.max(5, all * 0.04) && (!total || failed >= total * 0.002);
      });
      while (spans.length > 5) {
        const gaps = spans.slice(1).map((span, i) => span[0] - spans[i][1]);
        const at = gaps.indexOf(Math.min(...gaps));
        spans.splice(at, 2, [spans[at][0], spans[at + 1][1]]);
      }
      // A run that fails from its first second to its last has no usual state that a span could stand out from.
      if (sum(spans.map(([from, to]) => to - from)) > this.n * 0.9) return [];
      return spans.map(([from, to]) => [from * this.step, Math.min(to * this.step, this.length)]);
    }

    /** The shortest span that holds 95 % of the failures: {from, to, share, all}; null without failures or if it is the run. */
    worstSpan() {
      const counts = this.troubles();
      if (!counts) return null;
      const all = sum(counts);
      if (all < 1) return null;
      let [best, inside, from] = [null, 0, 0];
      for (let to = 1; to <= this.n; to += 1) {
        inside += counts[to - 1];
        while (inside - counts[from] >= all * 0.95) {
          inside -= counts[from];
          from += 1;
        }
        if (inside >= all * 0.95 && (!best || to - from < best.to - best.from)) best = { from, to, share: inside / all, all };
      }
      if (!best || (best.to - best.from > this.n * 0.6 && this.n > 3)) return null;
      return { ...best, from: best.from * this.step, to: Math.min(best.to * this.step, this.length) };
    }

    /** Phases in order: [{name, from, to}], from the plans; failing spans cut into them. */
    phaseList() {
      const end = this.isLive ? Math.max(this.horizon(), this.length) : this.length;
      const plannedEnd = this.plannedEnd() ?? this.length;
      const started = this.scenarios.length ? Math.min(...this.scenarios.map((scenario) => scenario.start || 0)) : 0;
      const regular = Math.min(plannedEnd, end);
      const { up, down } = this.ramps(started, regular);
      const list = [];
      const add = (name, from, to) => {
        if (to - from > Math.min(this.step * 0.6, end * 0.004)) list.push({ name, from, to });
      };
      const isAbortedEarly = !this.isLive && this.length < plannedEnd - this.step;
      const setup = Math.min(this.run.setup || 0, started);
      add("setup", 0, setup);
      add("waiting", setup, started);
      add("ramp-up", started, up);
      add(up > started || down < regular || this.hasPlan() ? "steady" : "run", up, down);
      add("ramp-down", down, regular);
      if (!isAbortedEarly) add("graceful stop", regular, end);
      return cut(list, this.failing);
    }

    hasPlan() {
      return this.scenarios.length > 0 && this.scenarios.every((scenario) => scenario.plan && scenario.plan.length > 1);
    }

    /** When all plans have reached their height, and when the first one leaves it for good. */
    ramps(started, regular) {
      let [up, down] = [started, regular];
      for (const { plan } of this.scenarios) {
        if (!plan || plan.length < 2) continue;
        const top = Math.max(...plan.map(([, value]) => value));
        const first = plan.findIndex(([, value]) => value >= top * 0.98);
        const last = plan.length - 1 - [...plan].reverse().findIndex(([, value]) => value >= top * 0.98);
        if (plan[0][1] < top * 0.98) up = Math.max(up, plan[first][0]);
        if (plan[plan.length - 1][1] < top * 0.98 && last < plan.length - 1) down = Math.min(down, plan[last][0]);
      }
      up = Math.min(up, regular);
      return { up, down: Math.max(Math.min(down, regular), up) };
    }

    /** The end of the time axis: the length, and while the run goes on the end of the plan, once a fifth of it is over. */
    horizon(whole = null) {
      if (!this.isLive) return Math.max(this.length, this.step);
      const plannedEnd = this.plannedEnd();
      if (!plannedEnd) return Math.max(this.length * 1.1, 10 * this.step);
      const end = plannedEnd + Math.min(this.run.graceful || 0, plannedEnd / 20);
      const isEarly = this.length < plannedEnd / 5 && plannedEnd > 120;
      const showsWhole = whole === null ? !isEarly : whole;
      return showsWhole ? Math.max(end, this.length) : Math.max(this.length * 1.25, 10 * this.step);
    }

    /** Indices of the steady phase without failing spans; all intervals where there is no such phase. */
    steady() {
      const spans = this.phases.filter((phase) => phase.name === "steady" || phase.name === "run");
      const isIn = (i) => spans.some(({ from, to }) => i * this.step >= from - 1e-9 && (i + 1) * this.step <= to + 1e-9);
      const found = [];
      for (let i = 0; i < this.n; i += 1) if (isIn(i)) found.push(i);
      return found.length ? found : Array.from({ length: this.n }, (_, i) => i);
    }

    /** Intervals of the last ten seconds. */
    lately() {
      const count = Math.max(1, Math.round(10 / this.step));
      return Array.from({ length: Math.min(count, this.n) }, (_, i) => this.n - Math.min(count, this.n) + i);
    }

    /** The histogram of some intervals of a trend; null if the series has none. */
    joined(series, indices) {
      if (!series || !series.hist) return null;
      const all = new Sum(this.buckets);
      let last = -1;
      for (const i of indices) {
        const entry = Math.floor(i / series.hist.every);
        if (entry !== last) all.add(series.hist.data[entry]);
        last = entry;
        all.bound(series.trend.min[i], series.trend.max[i]);
      }
      return all;
    }

    join(series, from, to) {
      return join(this.buckets, series, from, to);
    }

    /** Tags by which the charts can be filtered: [[tag, value], …]. */
    filters() {
      const basis = [this.requests && this.requests[0], this.latency, "iterations"].filter(Boolean);
      const values = new Map();
      for (const series of this.doc.timeline.series) {
        const keys = series.scope ? Object.keys(series.scope) : [];
        if (!basis.includes(series.metric) || keys.length !== 1) continue;
        if (!values.has(keys[0])) values.set(keys[0], new Set());
        values.get(keys[0]).add(series.scope[keys[0]]);
      }
      const tags = [...values].filter(([, of]) => of.size > 1 && of.size <= 6).sort((a, b) => (b[0] === "scenario") - (a[0] === "scenario"));
      return tags.flatMap(([tag, of]) => [...of].sort().map((value) => [tag, value])).slice(0, 12);
    }
  }

  function planAt(scenario, at) {
    const { plan } = scenario;
    if (!plan.length || at < plan[0][0] - 1e-9 || at > plan[plan.length - 1][0] + 1e-9) return null;
    for (let i = 1; i < plan.length; i += 1) {
      const [[t0, v0], [t1, v1]] = [plan[i - 1], plan[i]];
      if (at <= t1) return t1 === t0 ? v1 : v0 + ((v1 - v0) * (at - t0)) / (t1 - t0);
    }
    return plan[plan.length - 1][1];
  }

  /** Cuts failing spans out of phases and puts them in between. */
  function cut(phases, failing) {
    let parts = phases;
    for (const [from, to] of failing) {
      parts = parts.flatMap((phase) => {
        if (phase.to <= from || phase.from >= to) return [phase];
        return [{ ...phase, to: from }, { ...phase, from: to }].filter((part) => part.to - part.from > 1e-9);
      });
      parts.push({ name: "failing", from, to });
    }
    return parts.sort((a, b) => a.from - b.from);
  }

  S.model = { Model, median, sum };
})((globalThis.Senary ??= {}));
