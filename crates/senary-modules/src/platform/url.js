// URL and URLSearchParams, after https://url.spec.whatwg.org/. Parsing is native: `parse(text, base)` and
// `change(href, part, value)` give back the parts of a URL in the order of `PARTS`, or undefined.
(function (natives) {
  'use strict';

  const { parse, change, decode, encode } = natives;

  const PARTS = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'];
  const text = (value) => `${value}`.toWellFormed();
  const needed = (given, count, what) => {
    if (given < count) throw new TypeError(`${what} needs ${count === 1 ? 'an argument' : `${count} arguments`}, not ${given}`);
  };

  // Pairs of names and values, from what `new URLSearchParams()` takes.
  function pairsOf(init) {
    if (init === undefined) return [];
    if (typeof init !== 'object' && typeof init !== 'function' || init === null) return decode(text(init).replace(/^\?/, ''));
    const iterator = init[Symbol.iterator];
    if (iterator === undefined || iterator === null) return Object.keys(init).map((name) => [text(name), text(init[name])]);
    return Array.from(init, (pair) => {
      if (typeof pair !== 'object' && typeof pair !== 'function' || pair === null) throw new TypeError('URLSearchParams needs pairs of a name and a value');
      const parts = Array.from(pair);
      if (parts.length !== 2) throw new TypeError(`URLSearchParams needs pairs of a name and a value, not ${parts.length} items`);
      return parts.map(text);
    });
  }

  // What a URL does to its own parameters, and scripts cannot.
  let belongsTo, replace;

  class URLSearchParams {
    #pairs; #changed = () => {};

    constructor(init) { this.#pairs = pairsOf(init); }

    static {
      belongsTo = (params, changed) => { params.#changed = changed; };
      replace = (params, query) => { params.#pairs = decode(query); };
    }

    get size() { return this.#pairs.length; }
    append(name, value) {
      needed(arguments.length, 2, 'append()');
      this.#pairs.push([text(name), text(value)]);
      this.#changed();
    }
    delete(name, value) {
      needed(arguments.length, 1, 'delete()');
      const [key, only] = [text(name), value === undefined ? undefined : text(value)];
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || only !== undefined && pair[1] !== only);
      this.#changed();
    }
    get(name) {
      needed(arguments.length, 1, 'get()');
      const key = text(name);
      return this.#pairs.find((pair) => pair[0] === key)?.[1] ?? null;
    }
    getAll(name) {
      needed(arguments.length, 1, 'getAll()');
      const key = text(name);
      return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
    }
    has(name, value) {
      needed(arguments.length, 1, 'has()');
      const [key, only] = [text(name), value === undefined ? undefined : text(value)];
      return this.#pairs.some((pair) => pair[0] === key && (only === undefined || pair[1] === only));
    }
    set(name, value) {
      needed(arguments.length, 2, 'set()');
      const [key, only] = [text(name), text(value)];
      const first = this.#pairs.find((pair) => pair[0] === key);
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || pair === first);
      if (first) first[1] = only;
      else this.#pairs.push([key, only]);
      this.#changed();
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#changed();
    }
    forEach(callback, receiver) {
      if (typeof callback !== 'function') throw new TypeError('forEach() needs a function');
      for (let n = 0; n < this.#pairs.length; n++) callback.call(receiver, this.#pairs[n][1], this.#pairs[n][0], this);
    }
    // By index: what is added meanwhile is found.
    *entries() { for (let n = 0; n < this.#pairs.length; n++) yield [...this.#pairs[n]]; }
    *keys() { for (let n = 0; n < this.#pairs.length; n++) yield this.#pairs[n][0]; }
    *values() { for (let n = 0; n < this.#pairs.length; n++) yield this.#pairs[n][1]; }
    toString() { return encode(this.#pairs); }
  }

  class URL {
    #parts; #params;

    constructor(url, base) {
      needed(arguments.length, 1, 'new URL()');
      this.#parts = parse(text(url), base === undefined ? undefined : text(base));
      if (!this.#parts) {
        const error = new TypeError(`Invalid URL: ${text(url)}${base === undefined ? '' : ` (base ${text(base)})`}`);
        throw Object.assign(error, { code: 'ERR_INVALID_URL', input: text(url) });
      }
    }

    static canParse(url, base) {
      needed(arguments.length, 1, 'URL.canParse()');
      return parse(text(url), base === undefined ? undefined : text(base)) !== undefined;
    }
    static parse(url, base) {
      needed(arguments.length, 1, 'URL.parse()');
      return URL.canParse(url, base) ? new URL(url, base) : null;
    }

    static {
      for (const [n, name] of PARTS.entries()) {
        const set = function (value) { this.#change(name, text(value)); };
        Object.defineProperty(this.prototype, name, {
          get() { return this.#parts[n]; },
          set: name === 'origin' ? undefined : set,
          configurable: true,
        });
      }
    }

    get searchParams() {
      if (!this.#params) {
        this.#params = new URLSearchParams(this.#parts[PARTS.indexOf('search')]);
        belongsTo(this.#params, () => {
          this.#parts = change(this.#parts[0], 'search', this.#params.toString()) ?? this.#parts;
        });
      }
      return this.#params;
    }

    #change(name, value) {
      const parts = change(this.#parts[0], name, value);
      if (!parts && name === 'href') throw new TypeError(`Invalid URL: ${value}`);
      this.#parts = parts ?? this.#parts;
      if (this.#params && (name === 'href' || name === 'search')) replace(this.#params, this.#parts[PARTS.indexOf('search')].slice(1));
    }

    toString() { return this.#parts[0]; }
    toJSON() { return this.#parts[0]; }
  }

  const hidden = { writable: true, configurable: true };
  Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, ...hidden });
  for (const constructor of [URL, URLSearchParams]) {
    for (const name of Object.getOwnPropertyNames(constructor.prototype)) {
      if (name !== 'constructor') Object.defineProperty(constructor.prototype, name, { enumerable: true });
    }
    Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: constructor.name, configurable: true });
  }
  return { URL, URLSearchParams };
})
