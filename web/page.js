// The page: puts markup into its regions, follows a running test, and keeps sort, filter, zoom and theme in the address.
(function (S) {
  "use strict";

  const { escape } = S.format;
  const { Model } = S.model;
  const $ = (selector, from = document) => from.querySelector(selector);

  const STORED = "senary-theme";
  const { DEFAULT_SORT } = S.regions;

  class Page {
    constructor() {
      this.view = { ...S.regions.untouched(), isUnfolded: (id) => this.drawsAll || this.view.unfolded.has(id) };
      this.model = null;
      this.drawsAll = false;
      this.recall();
      this.stack = new S.Stack($("[data-stack]"), this);
      this.stack.zoom = this.zoomAsked || null;
      this.listen();
    }

    /** Takes a document: the first, or the next state of a running test. */
    take(doc) {
      this.doc = doc;
      this.view.stale = 0;
      if (this.view.isPaused && doc.run.state === "running") return;
      this.render();
    }

    render() {
      this.model = new Model(this.doc);
      const [tag, value] = this.view.filter || [];
      if (tag && !this.model.filters().some(([t, v]) => t === tag && v === value)) this.view.filter = null;
      this.announce();
      document.title = S.words.title(this.model);
      this.regions();
      this.drawStack();
    }

    /** The charts, with the filter of the page. */
    drawStack() {
      const whole = this.model;
      if (this.view.filter) this.model = Object.assign(new Model(this.doc, this.view.filter), { phases: whole.phases, failing: whole.failing });
      this.stack.update();
      this.model = whole;
    }

    regions() {
      const { model, view } = this;
      this.layout();
      const { regions, many } = S.regions.all(model, view);
      $('[data-region="running"]').hidden = !model.isLive;
      $('[data-region="pair"]').className = many > 0 && many <= S.regions.MOST_BESIDE ? "pair" : "";
      $("#own").hidden = many === 0;
      // What is being typed into the heading stays.
      if ($("[data-filter]")) delete regions["metrics-heading"];
      for (const [name, markup] of Object.entries(regions)) this.fill(name, markup);
      this.fill("filters", this.filters());
      document.body.classList.toggle("stale-figures", model.isLive && view.stale > 3);
    }

    layout() {
      const wide = $("#page").clientWidth - parseFloat(getComputedStyle($("#page")).paddingLeft) * 2;
      const isUpTo = (width) => matchMedia(`(max-width: ${width}px)`).matches;
      Object.assign(this.view, { isNarrow: isUpTo(760), isMiddle: isUpTo(1000) });
      this.view.curveWidth = this.drawsAll ? Math.min(wide, 640) : this.view.isMiddle ? wide : S.regions.curveWidth(wide);
      this.view.wide = wide;
    }

    /** Replaces the content of a region if it changed; keeps the focus on what had it. */
    fill(name, markup) {
      const region = $(`[data-region="${name}"]`);
      if (region.markup === markup) return;
      region.markup = markup;
      const focused = document.activeElement && region.contains(document.activeElement) ? document.activeElement : null;
      const key = focused && (focused.dataset.key || focused.dataset.action || focused.dataset.goto);
      const scrolled = [...region.querySelectorAll(".scroll, .log")].map((each) => [each.scrollLeft, each.scrollTop]);
      region.innerHTML = markup;
      region.querySelectorAll(".scroll, .log").forEach((each, i) => scrolled[i] && ([each.scrollLeft, each.scrollTop] = scrolled[i]));
      if (key) {
        const again = [...region.querySelectorAll("button, a")].find((each) => [each.dataset.key, each.dataset.action, each.dataset.goto].includes(key));
        if (again) again.focus({ preventScroll: true });
      }
    }

    filters() {
      const tags = this.model.filters();
      const { filter, showsWhole } = this.view;
      const button = (name, value, isOn, title) => `<button type="button" data-choose="${escape(value)}" data-key="choose:${escape(value)}" aria-pressed="${isOn}"${title ? ` title="${escape(title)}"` : ""}>${escape(name)}</button>`;
      const choices = tags.length ? `<span class="choices" role="group" aria-label="Show all or one part">${button("All", "", !filter)}${tags.map(([tag, value]) => button(tag === "scenario" ? value : `${tag}:${value.replace(/^::/, "")}`, `${tag}:${value}`, Boolean(filter && filter[0] === tag && filter[1] === value), `${tag}: ${value}`)).join("")}</span>` : "";
      const isFolded = this.model.isLive && this.model.plannedEnd() > 120 && this.model.length < this.model.plannedEnd() / 2;
      const axis = isFolded ? `<button class="button" type="button" data-action="axis">${showsWhole ?? this.model.length >= this.model.plannedEnd() / 5 ? "So far" : "Whole plan"}</button>` : "";
      return choices + axis;
    }

    /** Tells a crossed threshold once to those who listen, and nothing each second. */
    announce() {
      this.told ??= new Set();
      const fresh = S.words.crossed(this.model).filter((threshold) => !this.told.has(threshold.metric + threshold.source));
      for (const threshold of fresh) this.told.add(threshold.metric + threshold.source);
      if (fresh.length && this.model.isLive) $("[data-announce]").textContent = `Crossed: ${fresh.map((t) => `${t.metric} ${t.source}`).join(", ")}`;
    }

    // What people do

    listen() {
      document.addEventListener("click", (event) => this.click(event));
      document.addEventListener("input", (event) => {
        if (!event.target.matches("[data-filter]")) return;
        this.view.query = event.target.value;
        this.fill("metrics", S.details.metrics(this.model, this.view));
        this.remember();
      });
      addEventListener("resize", () => {
        cancelAnimationFrame(this.frame);
        this.frame = requestAnimationFrame(() => this.model && !this.drawsAll && this.render());
      });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.applyTheme());
      addEventListener("hashchange", () => {
        if (!location.hash.includes("=")) return;
        this.recall();
        this.stack.zoom = this.zoomAsked || null;
        if (this.model) this.render();
      });
      addEventListener("beforeprint", () => this.paper(true));
      addEventListener("afterprint", () => this.paper(false));
    }

    click(event) {
      const target = event.target.closest("button, a");
      if (!target) return;
      const { action, sort, unfold, save, choose } = target.dataset;
      if (target.dataset.goto) {
        event.preventDefault();
        $(`#${target.dataset.goto}`).scrollIntoView();
      } else if (sort) this.sort(sort);
      else if (unfold) {
        const { unfolded } = this.view;
        if (!unfolded.delete(unfold)) unfolded.add(unfold);
        this.regions();
      } else if (save) this.save(save);
      else if (choose !== undefined) {
        const at = choose.indexOf(":");
        this.view.filter = choose ? [choose.slice(0, at), choose.slice(at + 1)] : null;
        this.fill("filters", this.filters());
        this.drawStack();
        this.remember();
      } else if (action) this.act(action, target);
    }

    act(action, target) {
      const { view } = this;
      if (action === "theme") {
        this.theme = this.theme === "dark" ? "light" : "dark";
        this.chosen = this.theme;
        try {
          localStorage.setItem(STORED, this.theme);
        } catch {
          // Not allowed here; the address keeps it.
        }
        this.applyTheme();
        this.remember();
      } else if (action === "pause") {
        view.isPaused = !view.isPaused;
        this.render();
      } else if (action === "stop") {
        if (confirm("Stop the test now? Iterations under way get their graceful stop.")) fetch("../stop", { method: "POST" }).catch(() => alert("The test could not be reached."));
      } else if (action === "axis") {
        view.showsWhole = !(view.showsWhole ?? this.model.length >= this.model.plannedEnd() / 5);
        this.render();
      } else if (action === "copy-command") {
        S.save.copy(this.model.run.command).then((done) => (target.textContent = done ? "Copied" : "Copying is not allowed here"));
      }
    }

    /** First the highest, then the lowest, then the order of the document. */
    sort(which) {
      const [type, key] = which.split(":");
      const { sort } = this.view;
      const isSame = sort.type === type && sort.key === key;
      const startsDown = key !== "name";
      if (!isSame) this.view.sort = { type, key, isDown: startsDown };
      else if (sort.isDown === startsDown) this.view.sort = { type, key, isDown: !startsDown };
      else this.view.sort = DEFAULT_SORT;
      this.fill("metrics", S.details.metrics(this.model, this.view));
      this.remember();
    }

    name(suffix) {
      return `${(this.model.run.script || "senary").replace(/\.[a-z]+$/, "").replace(/[^\w.-]+/g, "-")}-${suffix}`;
    }

    save(what) {
      const { save } = S;
      const [name, type] = what.split(".");
      const metrics = S.details.shownMetrics(this.model, this.view);
      const content = {
        "metrics.csv": () => save.csv(save.metricsTable(metrics)),
        "metrics.json": () => JSON.stringify(metrics, null, 1),
        "all.csv": () => save.csv(save.everything(this.model)),
        "all.json": () => JSON.stringify(this.doc),
      }[what]();
      save.file(this.name(`${name}.${type}`), content, type === "csv" ? "text/csv" : "application/json");
    }

    chartAction(action, chart, stack) {
      const { save } = S;
      const { id, title } = chart.definition;
      if (action === "linear") this.view.isLinear = !this.view.isLinear;
      if (action === "p90") this.view.showsP90 = !this.view.showsP90;
      if (action === "linear" || action === "p90") return this.drawStack();
      const table = stack.table(chart);
      if (action === "copy") return save.copy(save.csv(table)).then((done) => ($("[data-announce]").textContent = done ? "Copied" : "Copying is not allowed here"));
      if (action === "csv") return save.file(this.name(`${id}.csv`), save.csv(table), "text/csv");
      if (action === "json") return save.file(this.name(`${id}.json`), save.json(table), "application/json");
      if (action === "png" && chart.plot) return save.png(this.name(`${id}.png`), title, chart.plot.ctx.canvas, stack.paint("--page"), stack.paint("--ink"));
      return this.asTable(chart, table);
    }

    asTable(chart, { head, rows }) {
      const old = $(".as-table", chart.row);
      if (old) return old.remove();
      const host = document.createElement("div");
      host.className = "as-table";
      host.tabIndex = 0;
      const lines = [...(chart.spec.bars || []), ...chart.spec.lines, ...(chart.spec.dots ? [chart.spec.dots] : [])];
      const cell = (value, i) => (i === 0 ? S.format.moment(value, this.stack.win.seconds < 1 ? 1 : 0) : value === null ? "–" : lines[i - 1] ? lines[i - 1].format(value) : S.format.number(value));
      const shown = rows.slice(0, 2000);
      host.innerHTML = `<table><thead><tr>${head.map((name) => `<th class="n">${escape(name === "seconds" ? "Time" : name)}</th>`).join("")}</tr></thead><tbody>${shown.map((row) => `<tr>${row.map((value, i) => `<td class="n">${cell(value, i)}</td>`).join("")}</tr>`).join("")}</tbody></table>${rows.length > shown.length ? `<p class="quiet">The first ${shown.length} of ${rows.length} rows; CSV has all.</p>` : ""}`;
      chart.row.append(host);
      return host.focus();
    }

    // Theme, address, paper

    applyTheme() {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      this.theme = this.drawsAll ? "light" : this.chosen || system;
      document.documentElement.dataset.theme = this.theme;
      if (this.model) this.drawStack();
    }

    remember() {
      const { sort, query, filter } = this.view;
      const parts = new URLSearchParams();
      if (sort !== DEFAULT_SORT) parts.set("sort", `${sort.type}:${sort.key}:${sort.isDown ? "down" : "up"}`);
      if (query) parts.set("filter", query);
      if (filter) parts.set("show", filter.join(":"));
      if (this.stack.zoom) parts.set("zoom", this.stack.zoom.join("-"));
      if (this.chosen) parts.set("theme", this.chosen);
      const text = parts.toString();
      try {
        history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
      } catch {
        // Some browsers refuse that for files; the view works all the same.
      }
    }

    recall() {
      const parts = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
      let stored = null;
      try {
        stored = localStorage.getItem(STORED);
      } catch {
        // Storage is not allowed here.
      }
      this.chosen = ["light", "dark"].find((theme) => theme === (parts.get("theme") || stored)) || null;
      const [type, key, order] = (parts.get("sort") || "").split(":");
      if (key) this.view.sort = { type, key, isDown: order !== "up" };
      this.view.query = parts.get("filter") || "";
      const show = parts.get("show") || "";
      const at = show.indexOf(":");
      this.view.filter = at > 0 ? [show.slice(0, at), show.slice(at + 1)] : null;
      const zoom = (parts.get("zoom") || "").split("-").map(Number);
      this.zoomAsked = zoom.length === 2 && zoom.every(Number.isFinite) && zoom[1] > zoom[0] ? zoom : null;
      this.applyTheme();
    }

    /** For paper all is drawn, light, unfolded and as narrow as a page; afterwards it is as before. */
    paper(isOn) {
      if (!this.model || this.drawsAll === isOn) return;
      this.drawsAll = isOn;
      document.body.classList.toggle("printing", isOn);
      const cursor = this.stack.at;
      if (isOn) this.stack.setCursor(null);
      this.applyTheme();
      this.regions();
      this.drawStack();
      const address = $("[data-address]");
      if (address) address.textContent = location.href.slice(0, 200);
      if (isOn) this.stack.drawAll();
      else this.stack.setCursor(cursor);
    }
  }

  async function start() {
    const page = new Page();
    S.page = page;
    const doc = await S.live.embedded();
    if (doc) {
      page.take(doc);
      return;
    }
    S.live.follow((next) => page.take(next), (seconds) => {
      page.view.stale = seconds;
      if (page.model && page.model.isLive && seconds > 3) page.regions();
    });
  }

  start().catch((error) => {
    $("#page").insertAdjacentHTML("afterbegin", `<p class="empty" style="padding:28px 0">The data of this page cannot be read: ${escape(error.message)}</p>`);
    throw error;
  });
})((globalThis.Senary ??= {}));
