// Taking data out of the page: CSV, JSON, PNG, the clipboard.
(function (S) {
  "use strict";

  const quote = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const csv = ({ head, rows }) => [head, ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
  const json = ({ head, rows }) => JSON.stringify(rows.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i] ?? null]))), null, 1);

  function file(name, content, type) {
    const blob = content instanceof Blob ? content : new Blob([content], { type });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /** Copies text; where the clipboard is not allowed, by the way of a text field. */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      field.style.cssText = "position:fixed;opacity:0";
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  }

  /** A chart as a picture, with its name. */
  function png(name, title, canvas, page, ink) {
    const ratio = devicePixelRatio;
    const picture = document.createElement("canvas");
    const head = 30 * ratio;
    Object.assign(picture, { width: canvas.width, height: canvas.height + head });
    const ctx = picture.getContext("2d");
    ctx.fillStyle = page;
    ctx.fillRect(0, 0, picture.width, picture.height);
    ctx.fillStyle = ink;
    ctx.font = `600 ${14 * ratio}px system-ui, sans-serif`;
    ctx.fillText(title, 8 * ratio, 20 * ratio);
    ctx.drawImage(canvas, 0, head);
    picture.toBlob((blob) => file(name, blob));
  }

  const FIGURES = ["count", "rate", "passes", "fails", "last", "min", "avg", "p50", "p90", "p95", "p99", "p999", "p9999", "max", "sum"];

  /** Metrics as a table: one row each, empty where a type has no such figure. */
  function metricsTable(metrics) {
    const head = ["metric", "type", "contains", ...FIGURES];
    const rows = metrics.map((metric) => {
      const data = metric.trend || metric.counter || metric.rate || metric.gauge;
      return [metric.name, metric.type, metric.contains, ...FIGURES.map((key) => (key in data ? data[key] : null))];
    });
    return { head, rows };
  }

  /** Every series of the run as rows: series, field, seconds, value. */
  function everything(model) {
    const rows = [];
    for (const series of model.doc.timeline.series) {
      const fields = series.counter || series.rate || series.gauge || series.trend;
      for (const [field, values] of Object.entries(fields)) {
        values.forEach((value, i) => {
          if (value !== null && value !== undefined) rows.push([series.id, field, Number((i * model.step).toPrecision(12)), value]);
        });
      }
    }
    return { head: ["series", "field", "seconds", "value"], rows };
  }

  S.save = { csv, json, file, copy, png, metricsTable, everything };
})((globalThis.Senary ??= {}));
