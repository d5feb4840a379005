/* Reads tables of text: the wrapper of libraries that also run in browsers and in workers. */
(function (root, factory) {
  if (typeof define === "function" && define.amd) define([], factory);
  else if (typeof module === "object" && typeof exports !== "undefined") module.exports = factory();
  else root.Tables = factory();
})(this, function moduleFactory() {
  "use strict";
  var global = (function () {
    if (typeof self !== "undefined") return self;
    if (typeof window !== "undefined") return window;
    if (typeof global !== "undefined") return global;
    return {};
  })();
  var isWorker = !!global.document === false && !!global.postMessage;
  var Tables = {};
  Tables.RECORD_SEP = String.fromCharCode(30);
  Tables.BYTE_ORDER_MARK = "\ufeff";
  Tables.WORKERS_SUPPORTED = !isWorker && !!global.Worker;
  Tables.parse = parse;
  Tables.unparse = unparse;

  function Guess(text) {
    var best = { delimiter: ",", fields: 0 };
    [",", "\t", "|", ";", Tables.RECORD_SEP].forEach(function (delimiter) {
      var fields = text.split(/\r\n|\n|\r/, 1)[0].split(delimiter).length;
      if (fields > best.fields) best = { delimiter: delimiter, fields: fields };
    });
    return best.delimiter;
  }

  function Parser(config) {
    this._config = Object.assign({}, config);
    this.aborted = false;
    this.abort = function () { this.aborted = true; }.bind(this);
  }
  Parser.prototype.rows = function* (text) {
    var quote = '"', delimiter = this._config.delimiter, at = 0, row = [];
    var plain = new RegExp("[^" + delimiter.replace(/[-\/\\^$*+?.()|[\]{}]/g, "\\$&") + "\\r\\n]*", "y");
    while (at <= text.length && !this.aborted) {
      var field = "";
      if (text[at] === quote) {
        for (at++; at < text.length; at++) {
          if (text[at] !== quote) field += text[at];
          else if (text[at + 1] === quote) { field += quote; at++; }
          else { at++; break; }
        }
      } else {
        plain.lastIndex = at;
        field = plain.exec(text)[0];
        at += field.length;
      }
      row.push(field);
      if (text[at] === delimiter) { at++; continue; }
      yield row;
      row = [];
      if (text[at] === "\r" && text[at + 1] === "\n") at++;
      at++;
      if (at >= text.length) return;
    }
  };

  function typed(value) {
    var FLOAT = /^\s*-?(\d+\.?|\.\d+|\d+\.\d+)([eE][-+]?\d+)?\s*$/, ISO = /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?Z$/;
    if (value === "true" || value === "TRUE") return true;
    if (value === "false" || value === "FALSE") return false;
    if (FLOAT.test(value)) return parseFloat(value);
    return ISO.test(value) ? new Date(value) : value === "" ? null : value;
  }

  function parse(text, config) {
    config = config || {};
    if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    var delimiter = config.delimiter || Guess(text), parser = new Parser({ delimiter: delimiter });
    var results = { data: [], errors: [], meta: { delimiter: delimiter, aborted: false } }, header;
    for (var fields of parser.rows(text)) {
      if (config.header && !header) { results.meta.fields = header = fields; continue; }
      if (config.skipEmptyLines && fields.length === 1 && fields[0].trim() === "") continue;
      if (config.dynamicTyping) fields = fields.map(typed);
      var row = header ? {} : fields;
      if (header)
        fields.forEach(function (value, index) {
          if (index >= header.length) (row.__parsed_extra = row.__parsed_extra || []).push(value);
          else row[header[index]] = value;
        });
      if (typeof config.step === "function") config.step({ data: row, meta: results.meta }, parser);
      else results.data.push(row);
    }
    results.meta.aborted = parser.aborted;
    if (typeof config.complete === "function") config.complete(results);
    return results;
  }

  function unparse(rows) {
    var fields = Array.isArray(rows[0]) ? null : Object.keys(rows[0]);
    var safe = function (value) {
      var text = value === undefined || value === null ? "" : value instanceof Date ? value.toISOString() : value.toString();
      return /[",\r\n]|^\s|\s$/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
    };
    var lines = rows.map(function (row) { return (fields ? fields.map(function (name) { return row[name]; }) : row).map(safe).join(","); });
    return (fields ? [fields.map(safe).join(",")] : []).concat(lines).join("\r\n");
  }
  return Tables;
});
