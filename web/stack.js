// The stack of charts in the page: draws them with uPlot, with one cursor, one zoom and one time axis for all.
(function (S) {
  "use strict";

  const { moment, escape, missing } = S.format;
  const { apart } = S.figures;
  const { CHARTS, windowOf, inWords, tableOf } = S.charts;

  const SYNC = "senary";
  const PAD = 8; // above and below a plot, for the labels of its axis

  const colour = (name) => (name.startsWith("--") ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() : name);

  class Stack {
    /** `host`: where the charts go. `page` gives model, view and what a change of zoom or cursor means for the address. */
    constructor(host, page) {
      this.host = host;
      this.page = page;
      this.charts = new Map();
      this.zoom = null;
      this.at = null;
      this.isFixed = false;
      this.colours = {};
      this.observer = new IntersectionObserver((entries) => {
        for (const entry of entries) {
          const chart = this.charts.get(entry.target.dataset.chart);
          if (!chart) continue;
          chart.isNear = entry.isIntersecting;
          if (chart.isNear && chart.isDirty) this.draw(chart);
        }
      }, { rootMargin: "700px 0px" });
      this.listen();
    }

    // Layout

    /** Takes a new state of the run; builds the rows when which charts there are has changed. */
    update() {
      const { model } = this.page;
      this.colours = {};
      this.range = this.zoom || [0, model.horizon(this.page.view.showsWhole)];
      const isTooShort = model.n < 2;
      const before = this.kind;
      this.kind = isTooShort ? (model.isLive ? "waiting" : "short") : "charts";
      if (before !== this.kind || !this.host.firstChild) this.build();
      if (this.kind === "short") return;
      this.measure();
      this.win = windowOf(model, this.range, this.pixels);
      let index = 0;
      for (const definition of CHARTS) {
        const spec = isTooShort ? null : definition.make(model, this.win, this.page.view, this.pixels);
        this.place(definition, spec, index);
        if (spec) index += 1;
      }
      this.strips();
      this.words();
      this.showCursor();
    }

    build() {
      for (const chart of this.charts.values()) this.destroy(chart);
      this.charts.clear();
      const { model } = this.page;
      if (this.kind === "short") {
        this.host.innerHTML = `<p class="empty">The run was too short for charts: it lasted ${S.format.span(model.length)}, and a chart needs two intervals of ${S.format.span(model.step)}. The tables have all its figures.</p>`;
        return;
      }
      this.host.innerHTML =
        `<div class="strip" data-strip="top"><div class="unit"></div><div class="axis"></div><div class="when"></div></div><div data-rows></div>` +
        `<div class="strip foot" data-strip="foot"><div class="unit"></div><div class="axis"></div><div class="when"></div></div><div class="cursor" hidden></div>`;
      this.rows = this.host.querySelector("[data-rows]");
      this.cursor = this.host.querySelector(".cursor");
      if (this.kind === "waiting") this.rows.innerHTML = `<p class="empty" style="padding:14px 0">${S.words.phaseWords(model)} Charts begin with the first samples.</p>`;
    }

    measure() {
      const style = getComputedStyle(this.host);
      this.left = parseFloat(style.getPropertyValue("--left"));
      this.right = parseFloat(style.getPropertyValue("--right"));
      this.isNarrow = this.right === 0;
      this.axisWidth = this.isNarrow ? 52 : 66;
      this.pixels = Math.max(60, this.host.clientWidth - this.left - this.right);
    }

    place(definition, spec, index) {
      let chart = this.charts.get(definition.id);
      if (!spec) {
        if (chart) {
          this.destroy(chart);
          chart.row.remove();
          this.charts.delete(definition.id);
        }
        return;
      }
      if (!chart) {
        chart = { definition, row: document.createElement("div"), isDirty: true, isNear: false, only: null };
        chart.row.className = "chart";
        chart.row.dataset.chart = definition.id;
        chart.row.innerHTML = this.rowMarkup(definition);
        const next = CHARTS.slice(CHARTS.indexOf(definition) + 1).map((each) => this.charts.get(each.id)).find(Boolean);
        this.rows.insertBefore(chart.row, next ? next.row : null);
        this.charts.set(definition.id, chart);
        this.observer.observe(chart.row);
      }
      chart.isFirst = index === 0;
      chart.spec = spec;
      this.about(chart);
      chart.isDirty = true;
      if (chart.isNear || this.page.drawsAll) this.draw(chart);
    }

    rowMarkup({ id, title }) {
      const item = (action, label) => `<button type="button" data-chart-action="${action}">${label}</button>`;
      const more = id === "latency" ? item("linear", "Linear or log scale") + item("p90", "p90 on or off") : "";
      return (
        `<div class="about"><h3>${title}</h3> <span class="unit"></span><p class="note"></p></div>` +
        `<div class="plot" tabindex="0" role="img"></div><div class="labels"></div>` +
        `<details class="menu"><summary aria-label="${title}: menu">⋯</summary><div>${item("copy", "Copy CSV")}${item("csv", "CSV")}${item("json", "JSON")}${item("png", "PNG")}${item("table", "Show as table")}${more}</div></details>`
      );
    }

    about(chart) {
      const { spec, definition, row } = chart;
      const unit = row.querySelector(".unit");
      unit.textContent = spec.unit || definition.unit;
      unit.classList.toggle("scheme-note", Boolean(spec.hasSchemeNote));
      if (spec.sentence) unit.textContent = "";
      const note = (spec.notes || []).join(" ");
      const p = row.querySelector(".note");
      if (p.textContent !== note) p.textContent = note;
      const plot = row.querySelector(".plot");
      if (!spec.sentence) plot.setAttribute("aria-label", inWords(definition, spec, this.win));
      const height = spec.sentence ? 24 : spec.height + 2 * PAD;
      plot.style.minHeight = `${height}px`;
      row.querySelector(".labels").style.height = `${height}px`;
    }

    // Drawing

    destroy(chart) {
      if (chart.plot) chart.plot.destroy();
      chart.plot = null;
    }

    draw(chart) {
      chart.isDirty = false;
      const { spec, row } = chart;
      const host = row.querySelector(".plot");
      if (spec.sentence) {
        this.destroy(chart);
        host.innerHTML = `<span class="words" style="left:4px;top:2px;position:static">${escape(spec.sentence)}</span>`;
        return;
      }
      const series = this.seriesOf(chart);
      const shape = JSON.stringify([series.map(({ label, stroke, width, dash }) => [label, stroke, width, dash]), spec.isLog, spec.height, this.isNarrow, this.page.theme, this.win.xs.length < 10]);
      chart.scale = this.scaleOf(chart);
      const data = [this.win.xs, ...series.slice(1).map((each) => each.values)];
      const width = this.pixels + this.axisWidth;
      if (chart.plot && chart.shape === shape) {
        if (chart.plot.width !== width) chart.plot.setSize({ width, height: spec.height + 2 * PAD });
        chart.plot.setData(data);
      } else {
        this.destroy(chart);
        host.textContent = "";
        chart.shape = shape;
        chart.plot = new uPlot(this.options(chart, series, width), data, host);
      }
      this.plotWords(chart);
      this.labels(chart);
    }

    /** uPlot's series: x, then for each line its band, if it has one, and itself. */
    seriesOf(chart) {
      const { spec } = chart;
      const list = [{}];
      chart.bands = [];
      chart.shown = [];
      const isShown = (line) => !chart.only || chart.only === line.name;
      const fewPoints = this.win.xs.filter((_, g) => this.win.first + g * this.win.k < this.win.n).length < 10;
      for (const line of spec.lines) {
        const stroke = this.paint(line.colour);
        const show = isShown(line);
        if (line.low && show) {
          list.push({ label: line.name + " high", values: line.high, stroke: "transparent", width: 0, points: { show: false }, isBand: true });
          list.push({ label: line.name + " low", values: line.low, stroke: "transparent", width: 0, points: { show: false }, isBand: true });
          chart.bands.push({ series: [list.length - 2, list.length - 1], fill: this.faint(stroke, 0.14) });
        }
        list.push({ label: line.name, values: line.values, stroke, width: line.width || 1.5, dash: line.dash, show, fill: line.isFilled ? this.faint(stroke, 0.12) : undefined, spanGaps: false, points: { show: fewPoints && !line.dash, size: 5, fill: stroke }, line });
        chart.shown.push({ line, index: list.length - 1 });
      }
      for (const line of [...(spec.bars || []), ...(spec.dots ? [spec.dots] : [])]) {
        list.push({ label: line.name, values: line.values, stroke: this.paint(line.colour), width: 0, show: isShown(line), paths: () => null, points: { show: false }, isOwn: true, line });
        chart.shown.push({ line, index: list.length - 1 });
      }
      return list;
    }

    scaleOf(chart) {
      const { spec } = chart;
      if (spec.range && spec.ticks) return { range: spec.range, ticks: spec.ticks };
      const isShown = (line) => !chart.only || chart.only === line.name;
      let [low, high] = [Infinity, -Infinity];
      const take = (value) => {
        if (missing(value) || (spec.isLog && value <= 0)) return;
        low = Math.min(low, value);
        high = Math.max(high, value);
      };
      for (const line of spec.lines.filter(isShown)) for (const values of [line.values, line.high, line.low]) if (values) values.forEach(take);
      if (spec.dots && isShown(spec.dots)) spec.dots.values.forEach(take);
      const bars = (spec.bars || []).filter(isShown);
      if (bars.length) this.win.xs.forEach((_, g) => take(bars.reduce((all, bar) => all + (bar.values[g] || 0), 0)));
      if (spec.range) return S.scales.logarithmic(spec.range[0], spec.range[1] / 1.2, spec.height);
      if (spec.limit && spec.isLog) high = Math.max(high, spec.limit.value);
      if (spec.isLog) return S.scales.logarithmic(low, high, spec.height);
      if (spec.isFlat) return { range: [0, 1], ticks: [0] };
      // Bytes are round in thousands, times in milliseconds.
      return S.scales.linear(high, spec.height, spec.isWhole);
    }

    options(chart, series, width) {
      const { spec } = chart;
      const axisFont = `11.5px ${colour("--sans")}`;
      const labels = (u, ticks) => {
        const { spec: now } = chart;
        const top = Math.max(...ticks);
        return ticks.map((tick) => now.format(tick) + (now.topUnit && tick === top && !(this.isNarrow && now.isBytes) ? now.topUnit : ""));
      };
      return {
        width,
        height: spec.height + 2 * PAD,
        padding: [PAD, 0, PAD, 0],
        legend: { show: false },
        scales: {
          x: { time: false, range: () => [this.range[0], this.range[1]] },
          y: { range: () => chart.scale.range, distr: spec.isLog ? 3 : 1, log: 10 },
        },
        axes: [
          { show: false },
          { size: this.axisWidth, gap: 7, font: axisFont, stroke: this.paint("--ink-3"), ticks: { show: false }, grid: { stroke: this.paint("--grid"), width: 1 }, splits: () => chart.scale.ticks, filter: (u, ticks) => ticks, values: labels },
        ],
        series: series.map(({ values, isBand, isOwn, line, ...rest }) => rest),
        bands: chart.bands,
        cursor: {
          x: false, y: false,
          points: { show: (u, i) => this.cursorPoint(series[i]) },
          drag: { x: true, y: false, setScale: false, dist: 6 },
          sync: { key: SYNC, setSeries: false },
          bind: { dblclick: () => null },
        },
        hooks: {
          drawClear: [(u) => this.grounds(u, chart)],
          drawAxes: [(u) => this.under(u, chart)],
          draw: [(u) => this.over(u, chart)],
          setCursor: [(u) => this.moved(u)],
          setSelect: [(u) => this.selected(u)],
        },
      };
    }

    cursorPoint(series) {
      const point = document.createElement("div");
      if (series.isBand || series.isOwn) {
        point.hidden = true;
        return point;
      }
      Object.assign(point.style, { width: "6px", height: "6px", marginLeft: "-3px", marginTop: "-3px", outline: `1px solid var(--page)` });
      return point;
    }

    paint(name) {
      return (this.colours[name] ??= colour(name));
    }

    faint(stroke, share) {
      const hex = /^#(..)(..)(..)$/.exec(stroke);
      return hex ? `rgb(${hex.slice(1).map((part) => parseInt(part, 16)).join(" ")} / ${share})` : stroke;
    }

    /** Ground of phases and failing spans, and the strip of the last seconds. */
    grounds(u, chart) {
      const { ctx, bbox } = u;
      const { model } = this.page;
      const ratio = devicePixelRatio;
      const x = (t) => u.valToPos(Math.min(Math.max(t, this.range[0]), this.range[1]), "x", true);
      ctx.save();
      const fill = (from, to, style) => {
        if (to <= this.range[0] || from >= this.range[1]) return;
        ctx.fillStyle = style;
        ctx.fillRect(x(from), bbox.top, Math.max(x(to) - x(from), ratio), bbox.height);
      };
      for (const { name, from, to } of model.phases) {
        if (name === "ramp-up" || name === "ramp-down" || name === "setup") fill(from, to, this.paint("--ramp"));
        if (name === "graceful stop") fill(from, to, this.paint("--stop"));
        if (name !== "failing") continue;
        fill(from, to, this.paint("--failing"));
        ctx.strokeStyle = this.faint(this.paint("--fail"), 0.6);
        ctx.lineWidth = ratio;
        ctx.setLineDash([ratio, 3 * ratio]);
        for (const edge of [from, to]) if (edge > this.range[0] && edge < this.range[1]) strokeLine(ctx, x(edge), bbox.top, x(edge), bbox.top + bbox.height);
        ctx.setLineDash([]);
      }
      if (model.isLive && model.n) {
        const now = model.n * model.step;
        fill(Math.max(0, now - 10), now, this.paint("--strip"));
        ctx.strokeStyle = this.paint("--accent");
        ctx.lineWidth = 1.5 * ratio;
        if (now <= this.range[1]) strokeLine(ctx, x(now), bbox.top, x(now), bbox.top + bbox.height);
      }
      void chart;
      ctx.restore();
    }

    /** Bars, dots, cells and limits: below the lines. */
    under(u, chart) {
      const { ctx, bbox } = u;
      const { spec } = chart;
      const ratio = devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top - 2, bbox.width, bbox.height + 4);
      ctx.clip();
      if (!spec.isLog) {
        ctx.strokeStyle = this.paint("--rule-2");
        ctx.lineWidth = ratio;
        const y = Math.round(u.valToPos(0, "y", true)) - ratio / 2;
        strokeLine(ctx, bbox.left, y, bbox.left + bbox.width, y);
      }
      if (spec.cells) this.cells(u, spec);
      this.bars(u, chart);
      if (spec.limit) {
        const y = u.valToPos(spec.limit.value, "y", true);
        ctx.strokeStyle = this.paint("--warn");
        ctx.lineWidth = ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        strokeLine(ctx, bbox.left, y, bbox.left + bbox.width, y);
      }
      ctx.restore();
    }

    bars(u, chart) {
      const { ctx, bbox } = u;
      const bars = (chart.spec.bars || []).filter((bar) => !chart.only || chart.only === bar.name);
      const half = this.win.seconds / 2;
      this.win.xs.forEach((x, g) => {
        let base = 0;
        const [from, to] = [u.valToPos(x - half, "x", true), u.valToPos(x + half, "x", true)];
        const wide = Math.max(to - from - (to - from > 3 * devicePixelRatio ? devicePixelRatio : 0), devicePixelRatio);
        for (const bar of bars) {
          const value = bar.values[g] || 0;
          if (!value) continue;
          const [top, bottom] = [u.valToPos(base + value, "y", true), u.valToPos(base, "y", true)];
          ctx.fillStyle = this.paint(bar.colour);
          ctx.fillRect(from, Math.min(top, bottom - devicePixelRatio), wide, Math.max(bottom - top, devicePixelRatio));
          base += value;
        }
      });
      void bbox;
    }

    cells(u, spec) {
      const { ctx } = u;
      const heat = this.paint("--heat");
      for (const { x0, x1, row, n } of spec.cells) {
        const [left, right] = [Math.round(u.valToPos(x0, "x", true)), Math.round(u.valToPos(x1, "x", true))];
        const [top, bottom] = [Math.round(u.valToPos(10 ** ((row + 1) / spec.rows), "y", true)), Math.round(u.valToPos(10 ** (row / spec.rows), "y", true))];
        ctx.fillStyle = this.faint(heat, shade(n, spec.highest));
        ctx.fillRect(left, top, Math.max(right - left, 1), bottom - top);
      }
    }

    /** Dots and events: above the lines. */
    over(u, chart) {
      const { ctx, bbox } = u;
      const { spec } = chart;
      const ratio = devicePixelRatio;
      ctx.save();
      if (spec.dots && (!chart.only || chart.only === spec.dots.name)) {
        const size = (this.win.xs.length < 60 ? 3 : 1.8) * ratio;
        ctx.fillStyle = this.faint(this.paint(spec.dots.colour), 0.75);
        spec.dots.values.forEach((value, g) => {
          if (!(value > 0)) return;
          const [x, y] = [u.valToPos(this.win.xs[g], "x", true), u.valToPos(value, "y", true)];
          if (x >= bbox.left && x <= bbox.left + bbox.width && y >= bbox.top) ctx.fillRect(x - size / 2, y - size / 2, size, size);
        });
      }
      if (chart.isFirst) this.events(u);
      ctx.restore();
    }

    /** Events as dotted lines with a word; at most six, those of thresholds first. */
    events(u) {
      const { ctx, bbox } = u;
      const { model } = this.page;
      const ratio = devicePixelRatio;
      ctx.font = `${11.5 * ratio}px ${colour("--sans")}`;
      ctx.textBaseline = "alphabetic";
      let last = -Infinity;
      let row = 0;
      const events = (model.doc.events || []).filter((event) => event.word !== "held" && event.t >= this.range[0] && event.t <= this.range[1]).slice(0, 6);
      for (const { t, word, text } of events) {
        const x = u.valToPos(t, "x", true);
        row = x - last < 110 * ratio ? row + 1 : 0;
        last = x;
        const y = bbox.top + bbox.height - (14 + row * 15) * ratio;
        const words = eventWords(word, text);
        const wide = ctx.measureText(words).width + 8 * ratio;
        const isRight = x - wide < bbox.left;
        const fits = !isRight || x + wide < bbox.left + bbox.width;
        ctx.strokeStyle = this.paint("--ink-2");
        ctx.lineWidth = ratio;
        ctx.setLineDash([1.5 * ratio, 2 * ratio]);
        strokeLine(ctx, x, y - 10 * ratio, x, bbox.top + bbox.height);
        ctx.setLineDash([]);
        ctx.fillStyle = this.paint("--ink-2");
        ctx.textAlign = isRight ? "left" : "right";
        if (fits) ctx.fillText(words, x + (isRight ? 4 : -4) * ratio, y);
      }
    }

    /** Sentences inside a plot: that there was nothing, where a limit is, where VUs ran out. */
    plotWords(chart) {
      const { spec, row } = chart;
      const host = row.querySelector(".plot");
      for (const old of host.querySelectorAll(":scope > .words")) old.remove();
      const top = (value) => this.y(chart, value);
      const add = (text, css, style) => {
        const span = document.createElement("span");
        span.className = `words ${css}`;
        span.textContent = text;
        Object.assign(span.style, style);
        host.append(span);
      };
      if (spec.limit) add(spec.limit.text, "limit", { left: `${this.axisWidth + 5}px`, top: `${top(spec.limit.value) + 1}px` });
      for (const { text, y, at, value } of spec.words || []) {
        if (y === "bottom") add(text, "", { left: `${this.axisWidth + 4}px`, top: `${PAD + spec.height - 18}px` });
        else {
          const x = Math.min(Math.max(this.x(at), 0), this.pixels - 190);
          const right = Math.min(x + 8, this.pixels - 190);
          add(text, "", { left: `${this.axisWidth + right}px`, top: `${top(value) - 6}px` });
        }
      }
    }

    // Labels at the right

    /** Names and values at the ends of lines, pushed apart; at the cursor, or for the steady phase. */
    labels(chart) {
      const { spec, row, plot } = chart;
      const host = row.querySelector(".labels");
      if (spec.cells) return this.heatLegend(chart, host);
      if (!plot) return undefined;
      const bars = spec.bars || [];
      const things = [...spec.lines, ...bars, ...(spec.dots ? [spec.dots] : [])].map((line) => {
        const value = this.at === null ? line.resting : line.values[this.at];
        const known = missing(value) ? null : value;
        const isBar = bars.includes(line);
        const isPlaced = known !== null && !(spec.isLog && known <= 0);
        const base = isPlaced ? known : chart.scale.range[0];
        const y = this.y(chart, base) - 8;
        return { line, value: known, isBar, y: Math.min(Math.max(y, PAD - 4), PAD + spec.height - 12), order: known === null ? -1 : known };
      });
      const hasKeys = bars.length > 1;
      if (hasKeys) things.forEach((thing, i) => Object.assign(thing, { y: spec.isFlat ? 8 + i * 14 : PAD + spec.height * 0.2 + i * 30, order: 1e9 - i }));
      things.sort((a, b) => a.y - b.y || b.order - a.order);
      // The last label ends above the line that closes the row.
      if (!hasKeys) apart(things, 15, 0, spec.height + 1);
      const markup = things.map(({ line, value, isBar, y }) => {
        const css = chart.only && chart.only !== line.name ? " off" : "";
        const text = value === null ? "–" : line.format(value);
        const key = isBar && hasKeys && !spec.isFlat ? `<i style="background:var(${line.colour})"></i>` : "";
        return `<button class="label${css}" type="button" data-label="${escape(line.name)}" aria-pressed="${chart.only === line.name}" style="top:${y.toFixed(1)}px;color:var(${line.text || line.colour})"><span title="${escape(line.name)}">${escape(line.name)}</span> <b>${text}</b>${key}</button>`;
      }).join("");
      if (host.innerHTML !== markup) host.innerHTML = markup;
      return undefined;
    }

    heatLegend({ spec }, host) {
      const steps = Array.from({ length: 6 }, (_, i) => `<i style="background:color-mix(in srgb, var(--heat) ${10 + i * 18}%, transparent)"></i>`).join("");
      host.innerHTML = `<div class="legend"><span>${spec.isRequest ? "requests" : "samples"} per cell</span><div class="steps">${steps}</div><div class="ends"><span>1</span><span>${S.format.count(spec.highest)}</span></div></div>`;
    }

    /** Where a value lies in its row, in pixels from the top of the plot's element. */
    y(chart, value) {
      const [low, high] = chart.scale.range;
      const place = chart.spec.isLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      return PAD + (1 - place) * chart.spec.height;
    }

    words() {
      const { model } = this.page;
      const places = this.win.seconds < 1 ? 1 : 0;
      const isWhole = !model.phases.some((phase) => phase.name === "steady");
      const resting = model.isLive ? "now" : isWhole ? "whole run" : "steady phase";
      const text = this.at === null ? resting : `at ${moment(this.win.xs[this.at] - this.win.seconds / 2, places)}`;
      for (const when of this.host.querySelectorAll(".when")) when.textContent = text;
    }

    // The time axis

    strips() {
      const marks = S.scales.moments(this.range[0], this.range[1], this.pixels, this.isNarrow ? 50 : 66);
      for (const strip of this.host.querySelectorAll(".strip")) {
        const isTop = strip.dataset.strip === "top";
        const height = isTop ? (this.isNarrow ? 44 : 46) : 22;
        strip.querySelector(".unit").textContent = isTop ? marks.unit : "";
        strip.querySelector(".axis").innerHTML =
          `<svg width="${this.pixels}" height="${height}" aria-hidden="true">${isTop ? this.brackets() : ""}${this.ticks(marks, isTop ? height - 6 : 15, isTop ? this.lately() : null)}</svg><span class="chip" hidden></span>`;
      }
    }

    x(t) {
      return ((t - this.range[0]) / (this.range[1] - this.range[0])) * this.pixels;
    }

    /** From where to where the top axis marks the last ten seconds of a running test, in pixels; with the room that their name takes. */
    lately() {
      const { model } = this.page;
      if (!model.isLive || model.n <= 10 || this.zoom) return null;
      const [left, right] = [this.x(Math.max(model.n * model.step - 10, 0)), this.x(model.n * model.step)];
      return { left, right, end: right < this.pixels - 90 ? right + 75 : right };
    }

    ticks({ ticks, format }, y, taken) {
      return ticks.map((at) => {
        const x = this.x(at);
        if (taken && taken.end > taken.right && x > taken.right - 14 && x < taken.end + 14) return "";
        const anchor = x > this.pixels - 14 ? "end" : "middle";
        return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${format(at)}</text>`;
      }).join("");
    }

    brackets() {
      const { model } = this.page;
      const [from, to] = this.range;
      let found = "";
      const now = model.isLive ? model.length : Infinity;
      for (const each of model.phases) {
        const phase = { ...each, to: Math.min(each.to, now) };
        if (phase.to <= from || phase.from >= Math.min(to, now)) continue;
        const [left, right] = [Math.max(this.x(Math.max(phase.from, from)), 0) + 1, Math.min(this.x(Math.min(phase.to, to)), this.pixels) - 1];
        const isBad = phase.name === "failing";
        const wide = right - left;
        found += `<path class="${isBad ? "bad" : ""}" d="M${left.toFixed(1)} 23v-4H${Math.max(right, left + 1).toFixed(1)}v4"/>`;
        const text = isBad ? (wide > 60 ? "✕ failing" : "failing") : phase.name;
        const isLast = phase.to >= to - 1e-9 && wide < 60;
        if (wide < (isBad ? 24 : 40) && !(isLast && this.right > 60)) continue;
        const [x, anchor] = isLast && wide < text.length * 6.5 && this.right > 60 ? [left + 1, "start"] : [(left + right) / 2, "middle"];
        if (anchor === "middle" && !isBad && wide < text.length * 5.6) continue;
        found += `<text class="phase${isBad ? " bad" : ""}" x="${x.toFixed(1)}" y="14" text-anchor="${anchor}">${text}</text>`;
      }
      const ahead = this.pixels - this.x(now);
      if (model.isLive && model.plannedEnd() && ahead > 230) found += `<text x="${((this.x(now) + this.pixels) / 2 + 40).toFixed(1)}" y="14" text-anchor="middle">planned until ${moment(model.plannedEnd())}</text>`;
      const lately = this.lately();
      if (lately) {
        const { left, right, end } = lately;
        found += `<path d="M${left.toFixed(1)} 27H${right.toFixed(1)}" style="stroke:var(--accent);stroke-width:3"/>`;
        if (end > right) found += `<text x="${(right + 5).toFixed(1)}" y="31" style="fill:var(--accent);font-weight:620">‹ last 10 s</text>`;
      }
      return found;
    }

    // Cursor and zoom

    moved(u) {
      const at = u.cursor.idx ?? null;
      if (this.isFixed || (at === null && !u.cursor.event)) return;
      this.setCursor(at !== null && at < this.win.xs.length ? at : null);
    }

    setCursor(at) {
      if (at === this.at) return;
      this.at = at;
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => {
        this.words();
        this.showCursor();
        for (const chart of this.charts.values()) if (chart.plot) this.labels(chart);
      });
    }

    showCursor() {
      if (!this.cursor) return;
      const isShown = this.at !== null && this.at < this.win.xs.length;
      this.cursor.hidden = !isShown;
      for (const chip of this.host.querySelectorAll(".chip")) {
        chip.hidden = !isShown;
        if (!isShown) continue;
        chip.textContent = moment(this.win.xs[this.at] - this.win.seconds / 2, this.win.seconds < 1 ? 1 : 0);
        chip.style.left = `${this.x(this.win.xs[this.at])}px`;
      }
      if (isShown) this.cursor.style.left = `${this.left + this.x(this.win.xs[this.at])}px`;
    }

    selected(u) {
      const { left, width } = u.select;
      if (width < 6) return;
      const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
      u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      this.setZoom([Math.max(0, from), to]);
    }

    setZoom(range) {
      const { step } = this.page.model;
      if (range && range[1] - range[0] < 2 * step) range = null;
      this.zoom = range && [Math.floor(range[0] / step) * step, Math.ceil(range[1] / step) * step];
      this.at = null;
      this.isFixed = false;
      this.update();
      this.page.remember();
    }

    listen() {
      this.host.addEventListener("dblclick", () => this.setZoom(null));
      this.host.addEventListener("mouseleave", () => this.isFixed || this.setCursor(null));
      this.host.addEventListener("keydown", (event) => this.key(event));
      this.host.addEventListener("click", (event) => this.click(event));
      let timer;
      this.host.addEventListener("touchstart", (event) => {
        this.isFixed = false;
        const [{ clientX }] = event.touches;
        timer = setTimeout(() => this.fix(clientX), 450);
      }, { passive: true });
      for (const name of ["touchend", "touchmove"]) this.host.addEventListener(name, () => clearTimeout(timer), { passive: true });
    }

    /** A long press keeps the cursor where the finger was. */
    fix(clientX) {
      const x = clientX - this.host.getBoundingClientRect().left - this.left;
      const t = this.range[0] + (x / this.pixels) * (this.range[1] - this.range[0]);
      const at = this.win.xs.findIndex((each) => each + this.win.seconds / 2 >= t);
      this.setCursor(at < 0 ? null : at);
      this.isFixed = at >= 0;
    }

    key(event) {
      if (event.key === "Escape") {
        for (const menu of this.host.querySelectorAll(".menu[open]")) menu.open = false;
        this.isFixed = false;
        this.setCursor(null);
        if (this.zoom) this.setZoom(null);
        return;
      }
      if (!event.target.closest(".plot") || !this.win) return;
      const last = Math.min(this.win.xs.length, Math.max(1, Math.ceil((this.win.n - this.win.first) / this.win.k))) - 1;
      const step = event.shiftKey ? 10 : 1;
      const at = this.at ?? (event.key === "ArrowLeft" ? last + 1 : -1);
      const next = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      this.setCursor(Math.min(Math.max(next, 0), last));
      this.isFixed = true;
    }

    click(event) {
      const label = event.target.closest("[data-label]");
      const row = event.target.closest("[data-chart]");
      const chart = row && this.charts.get(row.dataset.chart);
      if (label && chart) {
        chart.only = chart.only === label.dataset.label ? null : label.dataset.label;
        this.draw(chart);
      }
      const action = event.target.closest("[data-chart-action]");
      if (action && chart) {
        event.target.closest("details").open = false;
        this.page.chartAction(action.dataset.chartAction, chart, this);
      }
    }

    /** Draws all charts, near the screen or not: for paper. */
    drawAll() {
      for (const chart of this.charts.values()) if (chart.isDirty || !chart.plot) this.draw(chart);
    }

    table(chart) {
      return tableOf(chart.spec, this.win);
    }
  }

  function strokeLine(ctx, x0, y0, x1, y1) {
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
  }

  /** From 10 % to 100 % in six steps, by logarithm. */
  function shade(n, highest) {
    const share = highest > 1 ? Math.log(n) / Math.log(highest) : 1;
    return 0.1 + 0.18 * Math.min(5, Math.floor(share * 6));
  }

  function eventWords(word, text) {
    if (word === "crossed") return `crossed: ${text.length > 34 ? text.slice(0, 33) + "…" : text}`;
    const words = text && text !== word ? `${text}` : word;
    return words.length > 44 ? words.slice(0, 43) + "…" : words;
  }

  S.Stack = Stack;
})((globalThis.Senary ??= {}));
