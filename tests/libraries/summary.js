// The end of a test as text and as XML, from the data of handleSummary; a bundle of CommonJS.
var forEach = function (object, callback) {
  for (var key in object) if (object.hasOwnProperty(key) && callback(key, object[key])) break;
};
var palette = { bold: 1, faint: 2, red: 31, green: 32, cyan: 36 };
var groupPrefix = "\u2588", detailsPrefix = "\u21b3", success = "\u2713", fail = "\u2717";
var defaults = { indent: " ", enableColors: true, summaryTimeUnit: null, summaryTrendStats: null };

function width(text) {
  var data = text.normalize("NFKC"), inEscape = false, sum = 0;
  for (var char of data) {
    if (char.done) break;
    if (char === "\x1b") { inEscape = true; continue; }
    if (inEscape) { if (char === "m") inEscape = false; continue; }
    var code = char.codePointAt(0);
    if (code >= 0x300 && code <= 0x36f) continue;
    sum++;
  }
  return sum;
}

function humanizeDuration(value, unit) {
  var units = { s: { unit: "s", coef: 0.001 }, ms: { unit: "ms", coef: 1 }, us: { unit: "\u00b5s", coef: 1000 } };
  if (unit && units.hasOwnProperty(unit)) return (value * units[unit].coef).toFixed(2) + units[unit].unit;
  if (value === 0) return "0s";
  return value < 1 ? Math.trunc(value * 1000) + "\u00b5s" : value < 1000 ? +value.toFixed(2) + "ms" : (value / 1000).toFixed(2) + "s";
}

function humanize(value, metric, unit) {
  if (metric.type === "rate") return (Math.trunc(value * 100 * 100) / 100).toFixed(2) + "%";
  switch (metric.contains) {
    case "data": return value < 1000 ? value + " B" : (value / 1000).toFixed(1) + " kB";
    case "time": return humanizeDuration(value, unit);
    default: return value === Math.trunc(value) ? value.toString() : value.toFixed(6);
  }
}

function groupLines(options, indent, group, decorate) {
  var lines = [];
  if (group.name !== "") { lines.push(indent + groupPrefix + " " + group.name + "\n"); indent += "  "; }
  group.checks.forEach(function (check) {
    lines.push(decorate(indent + (check.fails ? fail : success) + " " + check.name, check.fails ? palette.red : palette.green));
    if (check.fails) {
      var percent = Math.floor((100 * check.passes) / (check.passes + check.fails));
      lines.push(indent + " " + detailsPrefix + "  " + percent + "% \u2014 " + success + " " + check.passes + " / " + fail + " " + check.fails);
    }
  });
  group.groups.forEach(function (inner) { Array.prototype.push.apply(lines, groupLines(options, indent, inner, decorate)); });
  return lines;
}

function metricLines(options, data, decorate) {
  var names = [], longest = 0;
  forEach(data.metrics, function (name) {
    names.push(name);
    longest = Math.max(longest, width(name));
  });
  names.sort(function (one, other) {
    var parent = one.split("{", 1)[0], otherParent = other.split("{", 1)[0];
    return parent === otherParent ? one.substring(parent.length).localeCompare(other.substring(parent.length)) : parent.localeCompare(otherParent);
  });
  return names.map(function (name) {
    var metric = data.metrics[name], mark = " ", color = function (text) { return text; };
    if (metric.thresholds) {
      mark = success;
      forEach(metric.thresholds, function (source, threshold) {
        if (!threshold.ok) { mark = fail; color = function (text) { return decorate(text, palette.red); }; return true; }
      });
    }
    var stats = metric.type === "trend" ? options.summaryTrendStats || data.options.summaryTrendStats : Object.keys(metric.values).sort();
    var values = stats.map(function (stat) {
      var unit = options.summaryTimeUnit || data.options.summaryTimeUnit;
      var value = metric.values[stat];
      if (value === undefined) throw new Error(name + " has no " + stat);
      var rate = metric.type === "counter" && stat === "rate";
      return stat + "=" + decorate(stat === "passes" || stat === "fails" ? value : humanize(value, metric, unit) + (rate ? "/s" : ""), palette.cyan);
    });
    return options.indent + color(mark) + " " + name + decorate(".".repeat(longest - width(name) + 3) + ":", palette.faint) + " " + values.join(" ");
  });
}

function textSummary(data, options) {
  var merged = Object.assign({}, defaults, data.options, options);
  var decorate = function (text, color /*, ...more */) {
    if (!merged.enableColors) return text;
    var result = "\x1b[" + color;
    for (var at = 2; at < arguments.length; at++) result += ";" + arguments[at];
    return result + "m" + text + "\x1b[0m";
  };
  var lines = [];
  Array.prototype.push.apply(lines, groupLines(merged, merged.indent + "    ", data.root_group, decorate));
  Array.prototype.push.apply(lines, metricLines(merged, data, decorate));
  return lines.join("\n");
}

var replacements = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&quot;" };
function escapeXML(text) {
  return text.replace(/[&<>'"]/g, function (char) { return replacements[char]; });
}

function jUnit(data, options) {
  var failures = 0, cases = [];
  forEach(data.metrics, function (name, metric) {
    if (!metric.thresholds) return;
    forEach(metric.thresholds, function (source, threshold) {
      if (threshold.ok) cases.push('<testcase name="' + escapeXML(name) + " - " + escapeXML(source) + '" />');
      else { failures++; cases.push('<testcase name="' + escapeXML(name) + " - " + escapeXML(source) + '"><failure message="failed" /></testcase>'); }
    });
  });
  var name = options && options.name ? escapeXML(options.name) : "thresholds";
  return '<?xml version="1.0"?>\n<testsuites tests="' + cases.length + '" failures="' + failures + '">\n<testsuite name="' + name + '">' + cases.join("\n") + "\n</testsuite>\n</testsuites>";
}

exports.humanizeValue = humanize;
exports.textSummary = textSummary;
exports.jUnit = jUnit;
