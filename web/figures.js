// Small drawings as SVG text: icons, sparklines, state lines, range marks, the percentile curve. Pure: data in, markup out.
(function (S) {
  "use strict";

  const { time, percent, escape, moment, axisTime } = S.format;

  const OCTAGON = "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z";
  const SHAPES = {
    fail: `<path d="${OCTAGON}" fill="currentColor"/><path d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" stroke="var(--page)" stroke-width="1.6" stroke-linecap="round"/>`,
    ok: `<circle cx="8" cy="8" r="6.9" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M4.8 8.2l2.3 2.2 4.1-4.5" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"/>`,
    warn: `<path d="M8 1.8L15 14.2H1z" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round"/><path d="M8 6.2v4" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/><circle cx="8" cy="12.2" r=".85" fill="currentColor"/>`,
    bar: `<path d="${OCTAGON}" fill="none" stroke="currentColor" stroke-width="1.3"/><path d="M4.8 8h6.4" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>`,
    none: `<circle cx="8" cy="8" r="6.6" fill="none" stroke="currentColor" stroke-width="1.3" stroke-dasharray="2.6 1.8"/>`,
  };
  const COLOURS = { fail: "icon-fail", ok: "icon-ok", warn: "icon-warn", bar: "icon-fail", none: "icon-none" };

  const icon = (name, size = 16) =>
    `<svg class="${COLOURS[name]}" width="${size}" height="${size}" viewBox="0 0 16 16" aria-hidden="true">${SHAPES[name]}</svg>`;

  /** The ring of a running test, filled to `share`. */
  function ring(share) {
    const around = 2 * Math.PI * 6.6;
    const part = Math.min(Math.max(share, 0.02), 1) * around;
    return (
      `<svg class="icon-live" width="46" height="46" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.6" fill="none" ` +
      `stroke="var(--rule-2)" stroke-width="1.6"/><circle cx="8" cy="8" r="6.6" fill="none" stroke="currentColor" stroke-width="1.6" ` +
      `stroke-dasharray="${part.toFixed(2)} ${around.toFixed(2)}" transform="rotate(-90 8 8)"/></svg>`
    );
  }

  const logo = () => {
    const dots = Array.from({ length: 6 }, (_, i) => {
      const angle = (i * Math.PI) / 3 - Math.PI / 2;
      return `<circle cx="${(9 + 6.6 * Math.cos(angle)).toFixed(2)}" cy="${(9 + 6.6 * Math.sin(angle)).toFixed(2)}" r="2.1"/>`;
    });
    return `<svg width="18" height="18" viewBox="0 0 18 18" fill="currentColor" aria-hidden="true">${dots.join("")}</svg>`;
  };

  const round = (value) => Number(value.toFixed(2));

  /** At most `most` values: medians for lines, maxima for bars. */
  function thin(values, most, how) {
    const size = Math.ceil(values.length / most);
    if (size <= 1) return { values, size: 1 };
    const found = [];
    for (let i = 0; i < values.length; i += size) {
      const part = values.slice(i, i + size).filter((value) => value !== null && value !== undefined);
      found.push(part.length ? how(part) : null);
    }
    return { values: found, size };
  }

  const max = (values) => values.reduce((a, b) => (b > a ? b : a), -Infinity);

  /** A line as path data, broken at gaps. */
  function line(points) {
    let [path, isOpen] = ["", false];
    for (const point of points) {
      if (point) path += `${isOpen ? "L" : "M"}${round(point[0])} ${round(point[1])}`;
      isOpen = Boolean(point);
    }
    return path;
  }

  const grounds = (spans, x, height) =>
    spans.map(([from, to]) => `<rect x="${round(x(from))}" y="0" width="${round(Math.max(x(to) - x(from), 0.8))}" height="${height}" fill="var(--failing)"/>`).join("");

  /**
   * A sparkline over the time axis of the page: {values, step, end, spans, kind: "line" | "bars", colour}. It starts at 0 unless
   * `log` is set.
   */
  function spark({ values, step, end, spans = [], kind = "line", colour = "var(--accent)", height = 24, log = false, className = "spark" }) {
    const width = 150;
    const x = (t) => (t / end) * width;
    const bars = kind === "bars";
    const thinned = thin(values, 110, bars ? max : S.model.median);
    const known = thinned.values.filter((value) => value !== null && value !== undefined && (!log || value > 0));
    let content = grounds(spans, x, height);
    const at = (i) => x(Math.min((i + 0.5) * thinned.size * step, end));
    if (bars) {
      content += `<path d="M0 ${height - 0.5}H${width}" stroke="var(--rule-2)" vector-effect="non-scaling-stroke"/>`;
      const top = max(known);
      const wide = Math.max((thinned.size * step * width) / end - 0.15, 0.9);
      const high = (value) => Math.max((value / top) * (height - 2), 1);
      thinned.values.forEach((value, i) => {
        if (value > 0) content += `<rect x="${round(at(i) - wide / 2)}" y="${round(height - high(value))}" width="${round(wide)}" height="${round(high(value))}" fill="${colour}"/>`;
      });
    } else if (known.length) {
      const scale = log ? Math.log : (value) => value;
      const [top, bottom] = [scale(max(known)), log ? scale(Math.min(...known)) : 0];
      const y = (value) => (top === bottom ? (log || top !== 0 ? height / 2 : height - 2) : height - 2 - ((scale(value) - bottom) / (top - bottom)) * (height - 4));
      const points = thinned.values.map((value, i) => (value === null || value === undefined || (log && value <= 0) ? null : [at(i), y(value)]));
      const dot = known.length === 1 ? points.find(Boolean) : null;
      content += dot
        ? `<circle cx="${round(dot[0])}" cy="${round(dot[1])}" r="1.5" fill="${colour}"/>`
        : `<path d="${line(points)}" fill="none" stroke="${colour}" stroke-width="1.3" vector-effect="non-scaling-stroke"/>`;
    }
    return `<svg class="${className}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" height="${height}" aria-hidden="true">${content}</svg>`;
  }

  /** The states of a threshold over the run: thin while held, thick while crossed, dotted where nothing is known yet. */
  function stateLine({ changes, now, end }) {
    const width = 200;
    const x = (t) => round((Math.min(t, end) / end) * width);
    let content = now < end ? `<path d="M${x(now)} 7H${width}" stroke="var(--rule-2)" stroke-dasharray="2 3"/>` : "";
    changes.forEach(([t, isHeld], i) => {
      const from = i === 0 && isHeld ? 0 : t;
      const to = i + 1 < changes.length ? changes[i + 1][0] : now;
      // Nobody knows whether it was held before it was judged for the first time.
      if (i === 0 && !isHeld) content += `<path d="M0 7H${x(t)}" stroke="var(--rule-2)" stroke-dasharray="2 3"/>`;
      content += isHeld
        ? `<path d="M${x(from)} 7H${x(to)}" stroke="var(--ok)" stroke-width="1.5"/>`
        : `<rect x="${x(from)}" y="3" width="${Math.max(x(to) - x(from), 2)}" height="8" fill="var(--fail)"/>`;
    });
    if (!changes.length) content = `<path d="M0 7H${width}" stroke="var(--rule-2)" stroke-dasharray="2 3"/>`;
    return `<svg viewBox="0 0 ${width} 14" preserveAspectRatio="none" width="100%" height="14" shape-rendering="crispEdges" aria-hidden="true">${content}</svg>`;
  }

  /** When a check failed: marks on a line. */
  function failLine({ values, step, end }) {
    const width = 150;
    const thinned = thin(values, 150, max);
    let content = `<path d="M0 7H${width}" stroke="var(--ok)" stroke-width="1.5"/>`;
    const wide = Math.max((thinned.size * step * width) / end, 1.2);
    thinned.values.forEach((value, i) => {
      if (value > 0) content += `<rect x="${round((i * thinned.size * step * width) / end)}" y="2" width="${round(wide)}" height="10" fill="var(--fail)"/>`;
    });
    return `<svg viewBox="0 0 ${width} 14" preserveAspectRatio="none" width="100%" height="14" shape-rendering="crispEdges" aria-hidden="true">${content}</svg>`;
  }

  /** The share of a limit: a bar against a tick at 60 % of the width; beyond the edge it ends in an arrow. */
  function shareBar(share, isCrossed) {
    const [width, tick] = [170, 102];
    const full = share * tick;
    const long = Math.min(full, width - 4);
    const colour = isCrossed ? "var(--fail)" : "var(--ink-2)";
    const bar = full > 0 ? `<rect x="0" y="4.5" width="${round(Math.max(long, 1.5))}" height="5" fill="${colour}"/>` : "";
    const arrow = full > width - 4 ? `<path d="M${width - 5} 2.5L${width} 7l-5 4.5z" fill="${colour}"/>` : "";
    return (
      `<svg viewBox="0 0 ${width} 14" width="${width}" height="14" aria-hidden="true"><path d="M0 7H${width}" stroke="var(--rule)" stroke-width="1.5"/>${bar}${arrow}` +
      `<path d="M${tick} 0v14" stroke="var(--ink)" stroke-width="1.6"/></svg>`
    );
  }

  /** Times on one logarithmic scale from `low` to `high`: bar from p50 to p99, dot at p50, tick at p95; thin from min to max. */
  function rangeMark({ p50, p95, p99, min, max: most, low, high, hasBase }) {
    const width = 150;
    const x = (value) => round(3 + (Math.log(Math.max(value, low) / low) / Math.log(high / low)) * (width - 6));
    const decades = [];
    for (let at = low * 10; at < high * 0.999; at *= 10) decades.push(`M${x(at)} 13v-2`);
    const base = hasBase ? `<path d="M0 13.5H${width}${decades.join("")}" stroke="var(--rule-2)" fill="none"/>` : `<path d="M0 7H${width}" stroke="var(--rule)"/>`;
    const thinLine = min !== undefined ? `<path d="M${x(min)} 7H${x(most)}" stroke="var(--max)" stroke-width="1.3"/>` : "";
    const tick = p95 !== undefined ? `<path d="M${x(p95)} 2.5v9" stroke="var(--accent)" stroke-width="1.7"/>` : "";
    return (
      `<svg viewBox="0 0 ${width} 15" width="${width}" height="15" aria-hidden="true">${base}${thinLine}<rect x="${x(p50)}" y="5.2" ` +
      `width="${round(Math.max(x(p99) - x(p50), 0.5))}" height="3.6" fill="var(--p50)" opacity=".8"/>${tick}<circle cx="${x(p50)}" cy="7" r="3" fill="var(--accent)"/></svg>`
    );
  }

  /** Decades around some times: [low, high] in milliseconds. */
  function decades(values) {
    const known = values.filter((value) => value > 0);
    if (!known.length) return [0.01, 1000];
    const low = 10 ** Math.floor(Math.log10(Math.min(...known)) + 1e-9);
    const high = 10 ** Math.ceil(Math.log10(Math.max(...known)) - 1e-9);
    return [low, Math.max(high, low * 10)];
  }

  const MARKS = [[50, "p50"], [90, "p90"], [99, "p99"], [99.9, "p99.9"], [99.99, "p99.99"]];

  /**
   * The percentile curve: x by rarity, y logarithmic. Each curve is {name, colour, dash, points: [[percent, ms] …], isMain}. The values
   * at the marks stand on the main curve.
   */
  function curve({ curves, width, isNarrow }) {
    const height = 256;
    const [left, right, top, bottom] = [50, isNarrow ? 14 : Math.max(132, Math.max(...curves.map(({ name }) => name.length)) * 7.3 + 10), 14, 32];
    const all = curves.flatMap(({ points }) => points.map(([, value]) => value)).filter((value) => value > 0);
    if (!all.length) return "";
    const [least, high] = [Math.min(...all), Math.max(...all) * 1.9];
    const decade = 10 ** Math.floor(Math.log10(least) + 1e-9);
    const low = least / decade > 2.5 ? least / 1.6 : decade;
    const rarity = (p) => -Math.log10(Math.max(1 - p / 100, 1e-6));
    const most = Math.max(...curves.map(({ points }) => rarity(points[points.length - 1][0])), 1);
    const x = (p) => left + 34 + (rarity(p) / (most * 1.005)) * (width - left - right - 34) - rarity(0);
    const y = (value) => height - bottom - (Math.log(value / low) / Math.log(high / low)) * (height - top - bottom);
    let content = "";
    for (let at = low === decade ? decade : decade * 10; at <= high; at *= 10) {
      content += `<path d="M${left + 2} ${round(y(at))}H${width - right}" stroke="var(--grid)"/><text x="${left - 6}" y="${round(y(at) + 4)}" text-anchor="end">${axisTime(at)}</text>`;
    }
    const marks = MARKS.filter(([p]) => rarity(p) <= most + 1e-6);
    for (const [p, name] of marks) content += `<path d="M${round(x(p))} ${top}V${height - bottom}" stroke="var(--grid)"/><text x="${round(isNarrow ? Math.min(x(p), width - 20) : x(p))}" y="${height - bottom + 18}" text-anchor="middle">${name}</text>`;
    for (const each of [...curves].reverse()) {
      const points = each.points.filter(([, value]) => value > 0).map(([p, value]) => [x(p), y(value)]);
      content += `<path d="${line(points)}" fill="none" stroke="${each.colour}" stroke-width="${each.isMain ? 1.9 : 1.5}"${each.dash ? ` stroke-dasharray="${each.dash}"` : ""}/>`;
    }
    const main = curves.find((each) => each.isMain) || curves[0];
    const known = marks.filter(([p]) => isOn(main.points, p));
    for (const [p] of known) {
      const value = at(main.points, p);
      if (!(value > 0)) continue;
      const isFirst = p === 50;
      content +=
        `<circle cx="${round(x(p))}" cy="${round(y(value))}" r="3" fill="${main.colour}" stroke="var(--page)"/>` +
        `<text class="mark" x="${round(x(p) - 6)}" y="${round(y(value) - 7)}" text-anchor="${isFirst && x(p) < left + 60 ? "middle" : "end"}">${time(value)}</text>`;
    }
    if (!isNarrow) content += curveNames(curves, { x: width - right + 9, y, top, bottom: height - bottom });
    return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(curveWords(main, known))}">${content}</svg>`;
  }

  function curveNames(curves, { x, y, top, bottom }) {
    const names = curves.map((each) => ({ ...each, y: y(each.points[each.points.length - 1][1]) + 4 })).sort((a, b) => a.y - b.y);
    apart(names, 15, top + 4, bottom);
    return names.map((each) => `<text class="name" x="${x}" y="${round(each.y)}" style="fill:${each.colour}">${escape(each.name)}</text>`).join("");
  }

  const curveWords = (main, marks) => `Percentiles of ${main.name}: ` + marks.map(([p, name]) => `${name} ${time(at(main.points, p))}`).join(", ");

  /** Whether a curve reaches a percentile: beyond its end there were too few samples to say anything. */
  const isOn = (points, p) => points.length > 0 && p <= points[points.length - 1][0] + 1e-6;

  /** The value of a curve at a percentile, between its points. */
  function at(points, p) {
    for (let i = 0; i < points.length; i += 1) {
      if (points[i][0] >= p - 1e-9) {
        if (i === 0 || points[i][0] - p < 1e-9) return points[i][1];
        const [[p0, v0], [p1, v1]] = [points[i - 1], points[i]];
        return v0 + ((v1 - v0) * (p - p0)) / (p1 - p0);
      }
    }
    return points.length ? points[points.length - 1][1] : null;
  }

  /** Pushes things, sorted by `y`, at least `gap` apart, within bounds where they fit. */
  function apart(things, gap, top, bottom) {
    for (let i = 0; i < things.length; i += 1) things[i].y = Math.max(things[i].y, i ? things[i - 1].y + gap : top);
    const over = things.length ? things[things.length - 1].y - bottom : 0;
    if (over <= 0) return things;
    let next = bottom;
    for (let i = things.length - 1; i >= 0 && things[i].y > next; i -= 1) {
      things[i].y = next;
      next -= gap;
    }
    return things;
  }

  S.figures = { icon, ring, logo, spark, stateLine, failLine, shareBar, rangeMark, decades, curve, curveAt: at, apart, thin, line, max, percent, moment };
})((globalThis.Senary ??= {}));
