// Round values on axes, for numbers, times, bytes and moments; and the small charts of own metrics. Pure.
(function (S) {
  "use strict";

  const { escape, missing, moment } = S.format;
  const { line, thin, max, apart } = S.figures;

  /** The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`. */
  function niceStep(least, isWhole) {
    const size = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((each) => each >= least * 0.999) || 10 * size;
    return isWhole ? Math.max(1, Math.ceil(step)) : step;
  }

  /** From 0 to above `highest`: {range, ticks}. */
  function linear(highest, height, isWhole) {
    const top = highest > 0 ? highest * 1.16 : 1;
    const lines = height > 110 ? 3.9 : height > 60 ? 2.9 : 1;
    const step = niceStep(top / lines, isWhole || highest <= 0);
    const ticks = [];
    for (let at = 0; at <= top * 1.0001; at += step) ticks.push(Number(at.toPrecision(12)));
    return { range: [0, Math.max(top, ticks.length > 1 ? ticks[1] * 1.05 : top)], ticks: ticks.length > 1 ? ticks : [0, step] };
  }

  /** Decades between two values; a half step where a chart would have none. */
  function logarithmic(low, high, height) {
    if (!(low > 0) || !(high > 0)) return { range: [1, 10], ticks: [1, 10] };
    let bottom = 10 ** Math.floor(Math.log10(low) + 1e-9);
    const top = Math.max(high * 1.35, bottom * 10.5);
    // Most of the plot below the lowest value would be empty.
    if (low / bottom > 5 && top / bottom > 100) bottom = low / 1.6;
    else if (low / bottom > 3) bottom = low / 1.6;
    let ticks = [];
    for (let at = 10 ** Math.ceil(Math.log10(bottom) - 1e-9); at <= top; at *= 10) ticks.push(Number(at.toPrecision(6)));
    const most = Math.max(2, Math.floor(height / 26));
    if (ticks.length > most) ticks = ticks.filter((_, i) => i % Math.ceil(ticks.length / most) === 0);
    if (ticks.length < 2) {
      ticks = [1, 2, 5].flatMap((factor) => [-1, 0, 1, 2].map((power) => factor * 10 ** (Math.floor(Math.log10(bottom)) + power)));
      ticks = ticks.map((at) => Number(at.toPrecision(6))).filter((at) => at >= bottom && at <= top).sort((a, b) => a - b);
    }
    return { range: [bottom, top], ticks };
  }

  const MOMENTS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

  /** Moments on the time axis, `gap` pixels apart at least: {ticks, unit, format}. */
  function moments(from, to, pixels, gap = 66) {
    const least = ((to - from) / Math.max(pixels, 1)) * gap;
    const step = MOMENTS.find((each) => each >= least) || MOMENTS[MOMENTS.length - 1];
    const ticks = [];
    for (let at = Math.ceil(from / step - 1e-9) * step; at <= to + 1e-9; at += step) ticks.push(Number(at.toPrecision(12)));
    const unit = to >= 86400 ? "days" : to >= 3600 ? "hours:minutes:seconds" : "minutes:seconds";
    const format = (at) => (to >= 86400 && at < 86400 && at > 0 ? moment(at).replace(/:\d\d$/, "") : moment(at, step < 1 ? 1 : 0));
    return { ticks, unit, format };
  }

  /** The chart of an own metric as SVG text: lines or bars, with a bottom and a top value and some moments. */
  function ownDrawing(model, { lines, bars, top, format, width }) {
    const height = 56;
    const [right, above, below] = [76, 6, 22];
    const end = model.horizon();
    const values = bars ? [["", bars, "var(--accent)"]] : lines;
    const known = values.flatMap(([, list]) => list).filter((value) => !missing(value));
    if (known.length < 2) return `<p class="quiet">Too short for a chart.</p>`;
    const lowest = Math.min(0, ...[known.reduce((a, b) => (b < a ? b : a))]);
    const highest = top || (max(known) > lowest ? max(known) : lowest + 1);
    const [topText, bottomText] = [format(highest), lowest === 0 ? "0" : format(lowest)];
    // A figure that is cut off at its left would be read as another one.
    const left = Math.max(58, Math.max(topText.length, bottomText.length) * 7 + 10);
    const pixels = width - left - right;
    const x = (t) => left + (t / end) * pixels;
    const y = (value) => above + height - ((value - lowest) / (highest - lowest || 1)) * (height - 6);
    let content = model.failing.map(([from, to]) => `<rect x="${x(from).toFixed(1)}" y="${above}" width="${Math.max(x(to) - x(from), 1).toFixed(1)}" height="${height}" fill="var(--failing)"/>`).join("");
    content += `<path d="M${left} ${y(highest)}H${width - right}" stroke="var(--grid)"/><path d="M${left} ${y(lowest)}H${width - right}" stroke="var(--rule-2)"/>`;
    content += `<text x="${left - 6}" y="${y(highest) + 4}" text-anchor="end">${escape(topText)}</text><text x="${left - 6}" y="${y(lowest) + 4}" text-anchor="end">${escape(bottomText)}</text>`;
    const marks = moments(0, end, pixels, 130);
    for (const at of marks.ticks) content += `<text x="${x(at).toFixed(1)}" y="${above + height + 16}" text-anchor="${at === 0 ? "start" : "middle"}">${marks.format(at)}</text>`;
    const names = [];
    for (const [name, list, colour] of values) {
      const thinned = thin(list, Math.max(pixels, 20), bars ? max : S.model.median);
      const at = (i) => x(Math.min((i + 0.5) * thinned.size * model.step, end));
      if (bars) {
        const wide = Math.max((thinned.size * model.step * pixels) / end - 0.6, 1);
        thinned.values.forEach((value, i) => {
          if (value > 0) content += `<rect x="${(at(i) - wide / 2).toFixed(1)}" y="${y(value).toFixed(1)}" width="${wide.toFixed(1)}" height="${(y(lowest) - y(value)).toFixed(1)}" fill="${colour}"/>`;
        });
        continue;
      }
      const points = thinned.values.map((value, i) => (missing(value) ? null : [at(i), y(value)]));
      content += `<path d="${line(points)}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
      if (thinned.values.length < 10) content += points.filter(Boolean).map(([cx, cy]) => `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="2" fill="${colour}"/>`).join("");
      const last = points.filter(Boolean).pop();
      if (name && last) names.push({ name, colour, y: last[1] + 4 });
    }
    apart(names.sort((a, b) => a.y - b.y), 15, above + 8, above + height + 4);
    content += names.map((each) => `<text class="name" x="${width - right + 8}" y="${each.y.toFixed(1)}" style="fill:${each.colour}">${each.name}</text>`).join("");
    const total = above + height + below;
    return `<svg viewBox="0 0 ${width} ${total}" width="${width}" height="${total}" aria-hidden="true">${content}</svg>`;
  }

  S.scales = { linear, logarithmic, moments };
  S.details.ownDrawing = ownDrawing;
})((globalThis.Senary ??= {}));
