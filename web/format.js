// How numbers, times and moments are written on the page. Pure: no DOM, no clock.
(function (S) {
  "use strict";

  const NARROW = "\u202f"; // groups digits
  const SPACE = "\u00a0"; // stands before every unit
  const NONE = "–"; // missing, which is never 0

  const missing = (value) => value === null || value === undefined || Number.isNaN(value);

  const group = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, NARROW);

  /** From here on whole numbers are no longer exact, and have more digits than anybody reads. */
  const HUGE = 1e15;

  /** An exact count: 173 388. */
  function count(value) {
    if (missing(value)) return NONE;
    if (!Number.isInteger(value) || Math.abs(value) >= HUGE) return number(value);
    return (value < 0 ? "−" : "") + group(Math.abs(value).toFixed(0));
  }

  /** Three significant digits without an exponent: 5.42, 48.6, 355, 1 311. */
  function digits(value, significant = 3) {
    if (value === 0) return "0";
    const size = Math.floor(Math.log10(Math.abs(value)));
    const places = Math.min(Math.max(significant - 1 - size, 0), 9);
    const text = Math.abs(value).toFixed(places);
    // 9.996 becomes 10.00, which has a digit too many.
    const grown = Number(text) >= 10 ** (size + 1) && places > 0 ? Math.abs(value).toFixed(places - 1) : text;
    const [whole, rest] = grown.split(".");
    return (value < 0 ? "−" : "") + group(whole) + (rest ? "." + rest : "");
  }

  /** Any number: whole ones exactly, others with three digits. */
  function number(value) {
    if (missing(value)) return NONE;
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (Number.isInteger(value) && Math.abs(value) < HUGE) return count(value);
    if (Math.abs(value) >= HUGE || Math.abs(value) < 1e-4) return value.toExponential(2).replaceAll("-", "−");
    return digits(value);
  }

  /** [figure, unit] of a time in milliseconds. */
  function timeParts(ms) {
    if (missing(ms)) return [NONE, ""];
    if (ms === 0) return ["0", "ms"];
    const size = Math.abs(ms);
    const rounded = Number(size.toPrecision(3));
    if (rounded < 0.001) return [digits(ms * 1e6), "ns"];
    if (rounded < 1) return [digits(ms * 1e3), "µs"];
    if (rounded < 1000) return [digits(ms), "ms"];
    if (rounded < 100000) return [digits(ms / 1000), "s"];
    return [span(ms / 1000), ""];
  }

  /** A time in milliseconds: 803 µs, 2.24 ms, 2 min 05 s. */
  function time(ms) {
    const [figure, unit] = timeParts(ms);
    return unit ? figure + SPACE + unit : figure;
  }

  const two = (value) => String(value).padStart(2, "0");

  /** A length in seconds: 8 s, 5 min 10 s, 2 h 03 min, 3 d 04 h. */
  function span(seconds) {
    if (missing(seconds)) return NONE;
    if (seconds < 10 && !Number.isInteger(seconds)) return time(seconds * 1000);
    const whole = Math.round(seconds);
    if (whole < 60) return whole + SPACE + "s";
    const [m, s] = [Math.floor(whole / 60), whole % 60];
    if (m < 60) return m + SPACE + "min" + (s ? SPACE + two(s) + SPACE + "s" : "");
    const [h, rest] = [Math.floor(m / 60), m % 60];
    if (h < 24) return h + SPACE + "h" + (rest ? SPACE + two(rest) + SPACE + "min" : "");
    return Math.floor(h / 24) + SPACE + "d" + SPACE + two(h % 24) + SPACE + "h";
  }

  /** A moment of the run, from its start: 3:26, 1:03:26, 2 d 04:10; with places, also parts of a second. */
  function moment(seconds, places = 0) {
    if (missing(seconds)) return NONE;
    const scale = 10 ** places;
    const ticks = Math.round(Math.max(seconds, 0) * scale);
    const whole = Math.floor(ticks / scale);
    const parts = places ? "." + String(ticks % scale).padStart(places, "0") : "";
    const [s, m, h, d] = [whole % 60, Math.floor(whole / 60) % 60, Math.floor(whole / 3600) % 24, Math.floor(whole / 86400)];
    if (d) return d + SPACE + "d" + SPACE + two(h) + ":" + two(m);
    if (h) return h + ":" + two(m) + ":" + two(s) + parts;
    return m + ":" + two(s) + parts;
  }

  /**
   * A share of 0 to 1 in percent: two decimals below 10, one above. It is never rounded across a limit: 0.99998 does not become
   * 100 %, and 0.00998 against a limit of 0.01 gets the digits that tell them apart.
   */
  function percent(share, limit) {
    if (missing(share)) return NONE;
    const value = share * 100;
    if (value === 0 || value === 100) return value + SPACE + "%";
    const bounds = [0, 100];
    if (!missing(limit)) bounds.push(limit * 100);
    let places = Math.abs(value) < 9.995 ? 2 : 1;
    const crosses = (text) => bounds.some((bound) => value !== bound && Math.sign(Number(text) - bound) !== Math.sign(value - bound));
    while (places < 9 && crosses(value.toFixed(places))) places += 1;
    // Where a limit cannot be met by rounding, a whole limit is written without decimals.
    return value.toFixed(places).replace("-", "−") + SPACE + "%";
  }

  /** A limit in percent, as its author wrote it: 1 %, 99.9 %. */
  const percentLimit = (share) => Number((share * 100).toPrecision(12)) + SPACE + "%";

  /** A rough share for bars and evidence: 42 %, never 0 or 100 unless it is. */
  function roughPercent(share) {
    if (missing(share)) return NONE;
    const value = share * 100;
    if (value > 0 && value < 0.5) return digits(value, 1) + SPACE + "%";
    if (value > 99.5 && value < 100) return percent(share);
    return count(Math.round(value)) + SPACE + "%";
  }

  /** [figure, unit] of a number of bytes. */
  function byteParts(value) {
    if (missing(value)) return [NONE, ""];
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    let size = value;
    while (unit < units.length - 1 && Number(Math.abs(size).toPrecision(3)) >= 1000) {
      size /= 1000;
      unit += 1;
    }
    return [unit === 0 ? count(Math.round(size)) : digits(size), units[unit]];
  }

  function bytes(value) {
    const [figure, unit] = byteParts(value);
    return unit ? figure + SPACE + unit : figure;
  }

  /** A figure per second without its unit: 535, 4.37, 173 388. */
  function rate(value) {
    if (missing(value)) return NONE;
    return Math.abs(value) >= 1000 || Number.isInteger(value) ? count(Math.round(value)) : number(value);
  }

  const perSecond = (value) => (missing(value) ? NONE : rate(value) + "/s");

  /** A count in running text: 347 k. */
  function short(value) {
    if (missing(value)) return NONE;
    if (Math.abs(value) < 10000) return count(value);
    if (Math.abs(value) < 999500) return digits(value / 1e3) + SPACE + "k";
    if (Math.abs(value) < 999500e3) return digits(value / 1e6) + SPACE + "M";
    return digits(value / 1e9) + SPACE + "G";
  }

  /** A number on an axis: k and M from 10 000 on. */
  function axis(value) {
    const trim = (scaled) => String(Number(scaled.toPrecision(6)));
    const size = Math.abs(value);
    if (size >= 1e9) return trim(value / 1e9) + "G";
    if (size >= 1e6) return trim(value / 1e6) + "M";
    if (size >= 1e4) return trim(value / 1e3) + "k";
    return size >= 1000 ? count(value) : trim(value);
  }

  /** A number with three digits where an axis has a value that is not round: 1.23M, 450, 0.025. */
  function brief(value) {
    const size = Math.abs(value);
    const [unit, scale] = [["G", 1e9], ["M", 1e6], ["k", 1e3]].find(([, each]) => size >= each * 9.995) || ["", 1];
    return size >= 1e12 ? number(value) : number(Number((value / scale).toPrecision(3))) + unit;
  }

  /** A time in milliseconds on an axis, where values are round: 100 ms, 1 s, 2.5 s. */
  function axisTime(ms) {
    const trim = (value) => String(Number(value.toPrecision(6)));
    if (ms === 0) return "0";
    const size = Math.abs(ms);
    if (size < 0.001) return trim(ms * 1e6) + SPACE + "ns";
    if (size < 1) return trim(ms * 1e3) + SPACE + "µs";
    if (size < 1000) return trim(ms) + SPACE + "ms";
    if (size < 60000 || size % 60000 > 1e-6) return trim(ms / 1e3) + SPACE + "s";
    if (size < 3600000) return trim(ms / 6e4) + SPACE + "min";
    return trim(ms / 3.6e6) + SPACE + "h";
  }

  const axisBytes = (value) => {
    if (value === 0) return "0";
    const [unit, scale] = [["B", 1], ["kB", 1e3], ["MB", 1e6], ["GB", 1e9], ["TB", 1e12]].filter(([, s]) => Math.abs(value) >= s).pop() || ["B", 1];
    return Number((value / scale).toPrecision(6)) + SPACE + unit;
  };

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  /** 29 Nov 2026, 14:02:11 UTC */
  function date(epochMs) {
    if (missing(epochMs)) return NONE;
    const at = new Date(epochMs);
    return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}, ${clock(epochMs)}`;
  }

  /** 14:02:11 UTC */
  function clock(epochMs) {
    if (missing(epochMs)) return NONE;
    const at = new Date(epochMs);
    return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} UTC`;
  }

  /** A value of a metric by what it contains: "time", "data" or anything else, which may have a unit of its own. */
  function value(v, contains, unit) {
    if (missing(v)) return NONE;
    if (contains === "time") return time(v);
    if (contains === "data") return bytes(v);
    return unit ? number(v) + SPACE + unit : number(v);
  }

  const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escape = (text) => String(text).replace(/[&<>"']/g, (c) => ESCAPES[c]);

  const plural = (n, one, many) => `${count(n)}${SPACE}${n === 1 ? one : many || one + "s"}`;

  S.format = {
    NONE, SPACE, missing, count, digits, number, time, timeParts, span, moment, percent, percentLimit, roughPercent, bytes, byteParts,
    rate, perSecond, short, brief, axis, axisTime, axisBytes, date, clock, value, escape, plural,
  };
})((globalThis.Senary ??= {}));
