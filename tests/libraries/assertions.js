// Assertions in the style of chains of words, bundled as such libraries are: modules in a table, wrapped for every loader,
// with k6's modules as requires of the bundle.
(function (root, factory) {
  if (typeof exports === "object" && typeof module === "object") module.exports = factory(require("k6"), require("k6/execution"));
  else if (typeof define === "function" && define.amd) define(["k6", "k6/execution"], factory);
  else root.assertions = factory(root.k6, root.execution);
})(typeof self !== "undefined" ? self : this, function (k6, execution) {
  return (function (modules) {
    var cache = {};
    function load(id) {
      if (cache[id]) return cache[id].exports;
      var module = (cache[id] = { exports: {}, loaded: false });
      modules[id].call(module.exports, module, module.exports, load);
      module.loaded = true;
      return module.exports;
    }
    load.d = function (exports, name, getter) {
      if (!Object.prototype.hasOwnProperty.call(exports, name)) Object.defineProperty(exports, name, { enumerable: true, get: getter });
    };
    load.r = function (exports) {
      Object.defineProperty(exports, Symbol.toStringTag, { value: "Module" });
      Object.defineProperty(exports, "__esModule", { value: true });
    };
    return load(0);
  })([
    function (module, exports, load) {
      "use strict";
      load.r(exports);
      load.d(exports, "describe", function () { return describe; });
      load.d(exports, "expect", function () { return expect; });
      load.d(exports, "AssertionError", function () { return AssertionError; });
      var AssertionError = load(1), equal = load(2), inspect = load(3);

      function Assertion(value, about) {
        this.__value = value;
        this.__about = about;
        this.__flags = Object.create(null);
        return new Proxy(this, {
          get: function get(target, name, receiver) {
            if (typeof name === "string" && !Reflect.has(target, name) && name !== "then" && name !== "toJSON")
              throw new Error("Invalid assertion property: " + name + ". Did you mean \"" + nearest(name, target) + "\"?");
            return Reflect.get(target, name, receiver);
          },
        });
      }
      function nearest(name, target) {
        var names = [];
        for (var one in target) names.push(one);
        return names.sort(function (a, b) { return distance(name, a) - distance(name, b); })[0];
      }
      function distance(a, b) {
        var row = Array.from({ length: b.length + 1 }, function (_, at) { return at; });
        for (var i = 1; i <= a.length; i++) {
          var before = row[0];
          row[0] = i;
          for (var j = 1; j <= b.length; j++) {
            var above = row[j];
            row[j] = Math.min(above + 1, row[j - 1] + 1, before + (a.charAt(i - 1) === b.charAt(j - 1) ? 0 : 1));
            before = above;
          }
        }
        return row[b.length];
      }
      function assert(self, holds, words, expected) {
        var negated = self.__flags.negate;
        if (negated ? holds : !holds)
          throw new AssertionError(
            (self.__about ? self.__about + ": " : "") + "expected " + inspect(self.__value) + (negated ? " not " : " ") + words,
            { actual: self.__value, expected: expected }, Assertion
          );
        return self;
      }
      ["to", "be", "been", "is", "that", "which", "and", "has", "have", "with", "of"].forEach(function (word) {
        Object.defineProperty(Assertion.prototype, word, { configurable: true, enumerable: true, get: function () { return this; } });
      });
      function property(name, get) {
        Object.defineProperty(Assertion.prototype, name, { configurable: true, enumerable: true, get: get });
      }
      property("not", function () { this.__flags.negate = true; return this; });
      property("deep", function () { this.__flags.deep = true; return this; });
      property("ok", function () { return assert(this, !!this.__value, "to be truthy"); });
      // A method that is a property, too: a function whose prototype is the assertion.
      property("a", function () {
        var self = this;
        var chained = function (kind) {
          var actual = Object.prototype.toString.call(self.__value).slice(8, -1).toLowerCase();
          return assert(self, actual === kind, "to be a " + kind, kind);
        };
        Object.setPrototypeOf(chained, Object.create(self, Object.getOwnPropertyDescriptors(Function.prototype)));
        return chained;
      });
      var methods = {
        equal: function (other) {
          return assert(this, this.__flags.deep ? equal(this.__value, other) : this.__value === other, "to equal " + inspect(other), other);
        },
        above: function (least) { return assert(this, this.__value > least, "to be above " + least, least); },
        match: function (pattern) { return assert(this, pattern.test(this.__value), "to match " + pattern, pattern); },
        property: function (name, value) {
          assert(this, name in Object(this.__value), "to have property " + inspect(name));
          return arguments.length > 1 ? assert(this, equal(this.__value[name], value), "to have " + name + " " + inspect(value)) : this;
        },
        validJsonBody: function () {
          var holds = true;
          try { this.__value.json(); } catch (e) { holds = false; }
          return assert(this, holds, "to have a body of JSON");
        },
        "throw": function (kind) {
          var thrown;
          try { this.__value.call(undefined); } catch (e) { thrown = e; }
          return assert(this, thrown instanceof kind, "to throw " + kind.name);
        },
      };
      Object.keys(methods).forEach(function (name) {
        Assertion.prototype[name] = function () { return methods[name].apply(this, arguments); };
      });
      function expect(value, about) { return new Assertion(value, about); }
      function describe(name, body) {
        var passed = true;
        k6.group(name, function () {
          try {
            body(k6);
          } catch (error) {
            passed = false;
            if (!(error instanceof AssertionError)) throw error;
            console.warn("assertion failed in " + execution.scenario.name + ": " + error.message + " at " + error.where);
          }
          var checks = {};
          checks[name] = function () { return passed; };
          k6.check(null, checks, { kind: "assertion" });
        });
        return passed;
      }
    },
    function (module) {
      function AssertionError(message, props, start) {
        Error.call(this);
        this.message = message;
        for (var key in props) if (Object.hasOwnProperty.call(props, key)) this[key] = props[key];
        if (Error.captureStackTrace) Error.captureStackTrace(this, start || AssertionError);
        else this.stack = new Error(message).stack;
        var own = /([^\s(]+):(\d+):(\d+)\)?$/m.exec((this.stack || "").split("\n").filter(function (line) { return /user\.js/.test(line); })[0] || "");
        this.where = own ? own[1].replace(/^.*\//, "") + ":" + own[2] : "nowhere";
      }
      AssertionError.prototype = Object.create(Error.prototype, { constructor: { value: AssertionError }, name: { value: "AssertionError" } });
      module.exports = AssertionError;
    },
    function (module) {
      var memo = typeof WeakMap === "function" ? new WeakMap() : null;
      module.exports = function equal(a, b) {
        if (Object.is(a, b)) return true;
        if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
        var kind = Object.prototype.toString.call(a);
        if (kind !== Object.prototype.toString.call(b)) return false;
        if (memo && memo.get(a) === b) return true;
        if (memo) memo.set(a, b);
        switch (kind) {
          case "[object Date]": return a.valueOf() === b.valueOf();
          case "[object RegExp]": return String(a) === String(b);
          case "[object Map]":
          case "[object Set]":
            if (a.size !== b.size) return false;
            var mine = [], others = [];
            a.forEach(function (value, key) { mine.push([key, value]); });
            b.forEach(function (value, key) { others.push([key, value]); });
            return equal(mine.sort(), others.sort());
          case "[object ArrayBuffer]": return equal(new Uint8Array(a), new Uint8Array(b));
        }
        var names = [];
        for (var name in a) names.push(name);
        var count = 0;
        for (var other in b) count++;
        return names.length === count && names.every(function (name) { return equal(a[name], b[name]); });
      };
    },
    function (module) {
      module.exports = function inspect(value) {
        if (typeof value === "function") return "[Function" + (value.name ? ": " + value.name : "") + "]";
        if (typeof value === "symbol" || value === undefined) return String(value);
        if (typeof value === "bigint") return value + "n";
        return JSON.stringify(value, function (_, inner) { return typeof inner === "bigint" ? String(inner) : inner; });
      };
    },
  ]);
});
