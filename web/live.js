// Where the document comes from: embedded in the file, or from the test while it runs.
(function (S) {
  "use strict";

  /** The document in the page, packed as base64 of gzip of JSON; null if there is none. */
  async function embedded() {
    const tag = document.getElementById("senary-data");
    if (!tag) return null;
    const text = atob(tag.textContent.trim());
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) packed[i] = text.charCodeAt(i);
    tag.remove();
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  /** Replaces what `old` holds from index `from` on. */
  function tail(old, fresh, from) {
    const kept = old.slice(0, from);
    while (kept.length < from) kept.push(null);
    return kept.concat(fresh);
  }

  /**
   * The whole document from the one before and an update, whose arrays begin at interval `timeline.from`; a series that says `from`
   * itself begins there.
   */
  function merge(old, next) {
    const from = next.timeline.from || 0;
    if (!old || from === 0) return next;
    const before = new Map(old.timeline.series.map((series) => [series.id, series]));
    const series = next.timeline.series.map((fresh) => {
      const known = before.get(fresh.id);
      const start = fresh.from ?? from;
      before.delete(fresh.id);
      if (!known || start === 0) return fresh;
      const type = fresh.type;
      const merged = { ...fresh, [type]: {} };
      for (const [field, values] of Object.entries(fresh[type])) merged[type][field] = tail(known[type][field] || [], values, start);
      if (fresh.hist) merged.hist = { every: fresh.hist.every, data: tail(known.hist ? known.hist.data : [], fresh.hist.data, Math.floor(start / fresh.hist.every)) };
      return merged;
    });
    return { ...next, timeline: { ...next.timeline, from: 0, series: [...series, ...before.values()] } };
  }

  /** Follows a running test: `take` gets each whole document, `silence` how many seconds ago the last one came. */
  function follow(take, silence) {
    let doc = null;
    let last = performance.now();
    const source = new EventSource("../live");
    source.addEventListener("data", (event) => {
      last = performance.now();
      doc = merge(doc, JSON.parse(event.data));
      take(doc);
      if (doc.run.state !== "running") {
        source.close();
        clearInterval(timer);
      }
    });
    const timer = setInterval(() => silence((performance.now() - last) / 1000), 1000);
    return () => {
      source.close();
      clearInterval(timer);
    };
  }

  S.live = { embedded, merge, follow };
})((globalThis.Senary ??= {}));
