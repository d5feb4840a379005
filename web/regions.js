// The markup of all regions of the page. Pure: the page puts it in, and Senary writes it into a report, which shows it without a script.
(function (S) {
  "use strict";

  const { span } = S.format;
  const DEFAULT_SORT = { type: "trend", key: "p99", isDown: true };
  /** The width of the page on a desk, within its margins. */
  const WIDE = 1152;
  /** Up to as many own metrics stand beside the checks. */
  const MOST_BESIDE = 4;

  /** How nobody has sorted, filtered or folded anything yet. */
  const untouched = () => ({ sort: DEFAULT_SORT, query: "", stale: 0, isPaused: false, unfolded: new Set(), filter: null, isUnfolded: () => false, wide: WIDE, isNarrow: false, isMiddle: false, curveWidth: curveWidth(WIDE) });

  const curveWidth = (wide) => Math.round((wide - 24) * (650 / 1152));

  function ownWidth({ wide, isNarrow, isMiddle }, many) {
    const columns = isNarrow ? 1 : many <= MOST_BESIDE ? (isMiddle ? 1 : 2) : isMiddle ? 2 : 3;
    return Math.floor((wide - (columns - 1) * 36) / columns);
  }

  function timelineWords(model) {
    if (model.n < 2) return "";
    if (!model.isLive) return "Every chart shares this time axis. Point at any of them to read all of them; drag to zoom.";
    return `Every chart shares this time axis. The right-hand figures are of the last ${model.step === 1 ? "second" : span(model.step)}.`;
  }

  /** The markup by the name of the region, and how many own metrics there are. */
  function all(model, view) {
    const { first, details } = S;
    const many = details.ownMetrics(model).length;
    view.ownWidth = ownWidth(view, many);
    const regions = {
      bar: first.bar(model),
      verdict: first.verdict(model),
      running: first.running(model, view),
      tiles: first.tiles(model),
      thresholds: first.thresholds(model, view),
      "timeline-words": timelineWords(model),
      latency: details.latency(model, view),
      errors: details.errors(model, view),
      checks: details.checks(model),
      own: details.own(model, view),
      "metrics-heading": details.metricsHeading(view),
      metrics: details.metrics(model, view),
      generator: details.generator(model),
      setup: details.setup(model),
      footer: details.footer(model),
    };
    return { regions, many };
  }

  /** What stands in the report of a run that is over before its script runs, as JSON. What only a script can do is left out. */
  function still(json) {
    const model = new S.model.Model(JSON.parse(json));
    if (model.isLive) return "{}";
    const { regions, many } = all(model, untouched());
    for (const name of ["running", "timeline-words", "metrics-heading", ...(many ? [] : ["own"])]) delete regions[name];
    return JSON.stringify(regions);
  }

  S.regions = { DEFAULT_SORT, MOST_BESIDE, untouched, curveWidth, all, still };
})((globalThis.Senary ??= {}));
