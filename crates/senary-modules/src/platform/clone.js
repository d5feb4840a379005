// structuredClone(), after https://html.spec.whatwg.org/multipage/structured-data.html. `kindOf` is the number of an
// object's class in the engine, which no script can make up.
(function (natives) {
  'use strict';

  const { kindOf } = natives;

  const kinds = new Map();
  const known = (sample, kind) => kinds.set(kindOf(sample), kind);
  known({}, 'object');
  known((function () { return arguments; })(), 'object');
  known((function (a) { return arguments; })(1), 'object');
  known([], 'array');
  known(new Date(0), 'date');
  known(/x/, 'regexp');
  known(new Map(), 'map');
  known(new Set(), 'set');
  known(new Error(), 'error');
  known(new DOMException(), 'exception');
  known(new ArrayBuffer(0), 'buffer');
  if (typeof SharedArrayBuffer === 'function') known(new SharedArrayBuffer(0), 'shared');
  for (const primitive of [false, 0, '', 0n]) known(Object(primitive), 'boxed');

  const ERRORS = ['EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'];
  const constructors = new Map(ERRORS.map((name) => [name, globalThis[name]]));

  function describe(value) {
    try {
      return typeof value === 'symbol' ? String(value) : typeof value === 'function' ? `function ${value.name}` : `${value}`;
    } catch {
      return 'an object';
    }
  }
  const refuse = (text) => { throw new DOMException(text, 'DataCloneError'); };

  function errorLike(source) {
    const name = source.name === undefined ? 'Error' : String(source.name);
    const copy = Object.create((constructors.get(name) ?? Error).prototype);
    const clone = Reflect.construct(Error, [], constructors.get(name) ?? Error);
    for (const key of ['message', 'stack']) {
      const described = Object.getOwnPropertyDescriptor(source, key);
      delete clone[key];
      if (described && 'value' in described) {
        Object.defineProperty(clone, key, { value: String(described.value), writable: true, configurable: true });
      }
    }
    return Object.setPrototypeOf(clone, Object.getPrototypeOf(copy));
  }

  return function structuredClone(value, options) {
    if (arguments.length === 0) throw new TypeError('structuredClone() needs an argument');
    const transfer = [...(options?.transfer ?? [])];
    for (const [n, buffer] of transfer.entries()) {
      const kind = Object(buffer) === buffer ? kinds.get(kindOf(buffer)) : undefined;
      if (kind !== 'buffer') refuse(`${describe(buffer)} cannot be transferred`);
      if (buffer.detached || transfer.indexOf(buffer) !== n) refuse('an ArrayBuffer can be transferred once');
    }
    const clones = new Map();
    const left = []; // what is inside of objects, outermost first
    const last = []; // views of buffers that are transferred

    function viewOf(view, put) {
      const { buffer, byteOffset } = view;
      const length = view instanceof DataView ? view.byteLength : view.length;
      const { constructor } = Object.getPrototypeOf(view);
      const type = view instanceof DataView ? DataView : globalThis[view[Symbol.toStringTag]] ?? constructor;
      const make = (copy) => {
        const clone = clones.get(view) ?? new type(copy, byteOffset, length);
        clones.set(view, clone);
        put(clone);
      };
      if (transfer.includes(buffer)) last.push(() => make(clones.get(buffer)));
      else copyOf(buffer, make);
    }

    function inside(source, clone, keys) {
      left.push(() => {
        for (const key of keys) {
          if (!Object.hasOwn(source, key)) continue;
          copyOf(source[key], (value) => Object.defineProperty(clone, key, { value, writable: true, enumerable: true, configurable: true }));
        }
      });
    }

    // The clone of an object, whose inside follows later.
    function shell(source) {
      switch (kinds.get(kindOf(source))) {
        case 'object': { const clone = {}; inside(source, clone, Object.keys(source)); return clone; }
        case 'array': { const clone = new Array(source.length); inside(source, clone, Object.keys(source)); return clone; }
        case 'date': return new Date(source.getTime());
        case 'regexp': return new RegExp(source.source, source.flags);
        case 'boxed': return Object(source.valueOf());
        case 'shared': return source;
        case 'exception': return new DOMException(source.message, source.name);
        case 'buffer': if (source.detached) refuse('an ArrayBuffer that was transferred cannot be cloned'); return source.slice(0);
        case 'error': { const clone = errorLike(source); if (Object.hasOwn(source, 'cause')) left.push(() => copyOf(source.cause, (value) => Object.defineProperty(clone, 'cause', { value, writable: true, configurable: true }))); return clone; }
        case 'set': { const clone = new Set(); const items = [...source]; left.push(() => { for (const item of items) copyOf(item, (value) => clone.add(value)); }); return clone; }
        case 'map': { const clone = new Map(); const items = [...source]; left.push(() => { for (const [key, item] of items) copyOf(key, (k) => { clone.set(k, undefined); copyOf(item, (v) => clone.set(k, v)); }); }); return clone; }
        default: return refuse(`${describe(source)} could not be cloned`);
      }
    }

    function copyOf(source, put) {
      if (typeof source === 'symbol' || typeof source === 'function') refuse(`${describe(source)} could not be cloned`);
      if (Object(source) !== source) return put(source);
      if (clones.has(source)) return put(clones.get(source));
      if (ArrayBuffer.isView(source)) return viewOf(source, put);
      if (transfer.includes(source)) { last.push(() => put(clones.get(source))); return undefined; }
      const clone = shell(source);
      clones.set(source, clone);
      return put(clone);
    }

    let result;
    copyOf(value, (clone) => { result = clone; });
    // A list instead of calls within calls: what is nested deeply needs no stack.
    for (let n = 0; n < left.length; n++) { left[n](); left[n] = undefined; }
    for (const buffer of transfer) clones.set(buffer, buffer.transfer());
    for (const put of last) put();
    return result;
  };
})
