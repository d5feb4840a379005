// Event, CustomEvent, EventTarget, AbortController and AbortSignal, after https://dom.spec.whatwg.org/. There is no
// tree of nodes, so an event visits its target and nothing else.
(function (natives) {
  'use strict';

  const { background, now } = natives;

  const promise = Promise;
  const failure = (name, message) => new DOMException(message, name);

  // Members of the web's classes can be listed, and their objects say what they are.
  function published(constructor, constants = {}) {
    for (const [name, value] of Object.entries(constants)) {
      for (const owner of [constructor, constructor.prototype]) Object.defineProperty(owner, name, { value, enumerable: true });
    }
    for (const name of Object.getOwnPropertyNames(constructor.prototype)) {
      if (name !== 'constructor') Object.defineProperty(constructor.prototype, name, { enumerable: true });
    }
    Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: constructor.name, configurable: true });
  }

  const needed = (given, count, what) => {
    if (given < count) throw new TypeError(`${what} needs ${count === 1 ? 'an argument' : `${count} arguments`}, not ${given}`);
  };

  // What EventTarget does to an event and scripts cannot.
  let begin, isStopped, end, setPassive;

  class Event {
    #type; #bubbles; #cancelable; #composed;
    #target = null; #current = null; #phase = 0;
    #stopped = false; #stoppedAtOnce = false; #canceled = false; #passive = false; #dispatched = false;
    #time = now();

    constructor(type, init) {
      needed(arguments.length, 1, 'new Event()');
      this.#type = `${type}`;
      this.#bubbles = Boolean(init?.bubbles);
      this.#cancelable = Boolean(init?.cancelable);
      this.#composed = Boolean(init?.composed);
    }

    static {
      begin = (event, target) => {
        if (!(typeof event === 'object' && event !== null && #type in event)) throw new TypeError('dispatchEvent() needs an Event');
        if (event.#dispatched) throw failure('InvalidStateError', 'the event is being dispatched');
        event.#dispatched = true;
        event.#target = event.#current = target;
        event.#phase = 2;
      };
      isStopped = (event) => event.#stoppedAtOnce;
      setPassive = (event, passive) => { event.#passive = passive; };
      end = (event) => {
        event.#phase = 0;
        event.#current = null;
        event.#dispatched = event.#stopped = event.#stoppedAtOnce = event.#passive = false;
        return !event.#canceled;
      };
    }

    get type() { return this.#type; }
    get target() { return this.#target; }
    get srcElement() { return this.#target; }
    get currentTarget() { return this.#current; }
    get eventPhase() { return this.#phase; }
    get bubbles() { return this.#bubbles; }
    get cancelable() { return this.#cancelable; }
    get composed() { return this.#composed; }
    get defaultPrevented() { return this.#canceled; }
    get isTrusted() { return false; }
    get timeStamp() { return this.#time; }
    get returnValue() { return !this.#canceled; }
    set returnValue(value) { if (!value) this.preventDefault(); }
    get cancelBubble() { return this.#stopped; }
    set cancelBubble(value) { if (value) this.#stopped = true; }
    composedPath() { return this.#current === null ? [] : [this.#current]; }
    stopPropagation() { this.#stopped = true; }
    stopImmediatePropagation() { this.#stopped = this.#stoppedAtOnce = true; }
    preventDefault() { if (this.#cancelable && !this.#passive) this.#canceled = true; }
  }

  class CustomEvent extends Event {
    #detail;
    constructor(type, init) {
      needed(arguments.length, 1, 'new CustomEvent()');
      super(type, init);
      this.#detail = init?.detail ?? null;
    }
    get detail() { return this.#detail; }
  }

  class EventTarget {
    #listeners = new Map(); // by type, in the order they came

    addEventListener(type, callback, options) {
      needed(arguments.length, 2, 'addEventListener()');
      const { capture, once, passive, signal } = flags(options);
      if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal');
      if (callback === null || callback === undefined) return;
      if (typeof callback !== 'function' && typeof callback !== 'object') throw new TypeError('a listener must be a function or an object');
      if (signal?.aborted) return;
      const list = this.#listeners.get(`${type}`) ?? [];
      if (list.some((known) => known.callback === callback && known.capture === capture)) return;
      // A new list, so that a dispatch under way goes on with those it began with.
      this.#listeners.set(`${type}`, [...list, { callback, capture, once, passive, removed: false }]);
      if (signal) whenAborted(signal, () => this.removeEventListener(type, callback, { capture }));
    }

    removeEventListener(type, callback, options) {
      needed(arguments.length, 2, 'removeEventListener()');
      const { capture } = flags(options);
      const list = this.#listeners.get(`${type}`) ?? [];
      const found = list.find((known) => known.callback === callback && known.capture === capture);
      if (found) this.#remove(`${type}`, found);
    }

    dispatchEvent(event) {
      needed(arguments.length, 1, 'dispatchEvent()');
      const list = this.#listeners; // throws for anything but an EventTarget
      begin(event, this);
      const listeners = list.get(event.type) ?? [];
      // Those that listen while the event goes down come first.
      for (const listener of [...listeners.filter((l) => l.capture), ...listeners.filter((l) => !l.capture)]) {
        if (isStopped(event)) break;
        if (!listener.removed) this.#call(listener, event);
      }
      return end(event);
    }

    #remove(type, listener) {
      listener.removed = true;
      const list = (this.#listeners.get(type) ?? []).filter((known) => known !== listener);
      if (list.length > 0) this.#listeners.set(type, list);
      else this.#listeners.delete(type);
    }

    #call(listener, event) {
      if (listener.once) this.#remove(event.type, listener);
      setPassive(event, listener.passive);
      try {
        const { callback } = listener;
        if (typeof callback === 'function') callback.call(this, event);
        else callback.handleEvent(event);
      } catch (error) {
        // The other listeners are called all the same; the iteration fails as it does for any unhandled rejection.
        promise.reject(error);
      }
      setPassive(event, false);
    }
  }

  function flags(options) {
    if (typeof options !== 'object' || options === null) return { capture: Boolean(options), once: false, passive: false };
    const { capture, once, passive, signal } = options;
    return { capture: Boolean(capture), once: Boolean(once), passive: Boolean(passive), signal };
  }

  const secret = {};
  let abort, whenAborted, follow;

  class AbortSignal extends EventTarget {
    #aborted = false; #reason; #steps = []; #handler = null; #listens = false;
    #deadline = Infinity; // of timeout(), on the clock of now()
    #sources = []; // of any(): signals this one depends on
    #dependents = [];

    constructor(key) {
      if (key !== secret) throw new TypeError('an AbortSignal is made by AbortController, AbortSignal.abort(), timeout() or any()');
      super();
    }

    static {
      abort = (signal, reason) => {
        if (signal.#aborted) return;
        // All that depend on it are aborted before any of them calls a listener.
        const all = [signal, ...signal.#dependents.filter((dependent) => !dependent.#aborted)];
        for (const each of all) [each.#aborted, each.#reason] = [true, reason];
        for (const each of all) each.#tell();
      };
      whenAborted = (signal, step) => { signal.#steps.push(step); };
      follow = (signal, source) => {
        // Of a signal that depends on others itself, those others.
        for (const each of source.#sources.length > 0 ? source.#sources : [source]) {
          if (signal.#sources.includes(each)) continue;
          signal.#sources.push(each);
          each.#dependents.push(signal);
        }
      };
    }

    static abort(reason) {
      const signal = new AbortSignal(secret);
      abort(signal, reason === undefined ? failure('AbortError', 'the operation was aborted') : reason);
      return signal;
    }

    static timeout(milliseconds) {
      needed(arguments.length, 1, 'AbortSignal.timeout()');
      const delay = Math.trunc(Number(milliseconds));
      if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER)) throw new TypeError('AbortSignal.timeout() needs a number of milliseconds that is not negative');
      const signal = new AbortSignal(secret);
      signal.#deadline = now() + delay;
      background(() => signal.#expire(), delay);
      return signal;
    }

    static any(signals) {
      needed(arguments.length, 1, 'AbortSignal.any()');
      const sources = [...signals];
      if (!sources.every((source) => source instanceof AbortSignal)) throw new TypeError('AbortSignal.any() needs AbortSignals');
      const signal = new AbortSignal(secret);
      const aborted = sources.find((source) => source.aborted);
      if (aborted) abort(signal, aborted.reason);
      else for (const source of sources) follow(signal, source);
      return signal;
    }

    // By the clock, too: who looks may do so before the timer's turn has come.
    get aborted() {
      if (!this.#aborted && [this, ...this.#sources].some((signal) => signal.#deadline <= now())) {
        for (const signal of [this, ...this.#sources]) if (signal.#deadline <= now()) signal.#expire();
      }
      return this.#aborted;
    }
    get reason() { return this.aborted ? this.#reason : undefined; }
    throwIfAborted() { if (this.aborted) throw this.#reason; }

    get onabort() { return this.#handler; }
    set onabort(handler) {
      this.#handler = typeof handler === 'function' ? handler : null;
      if (this.#listens) return;
      this.#listens = true;
      this.addEventListener('abort', (event) => this.#handler?.call(this, event));
    }

    #expire() { abort(this, failure('TimeoutError', 'the operation timed out')); }
    #tell() {
      const steps = this.#steps;
      this.#steps = [];
      for (const step of steps) step();
      this.dispatchEvent(new Event('abort'));
    }
  }

  class AbortController {
    #signal = new AbortSignal(secret);
    get signal() { return this.#signal; }
    abort(reason) { abort(this.#signal, reason === undefined ? failure('AbortError', 'the operation was aborted') : reason); }
  }

  published(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });
  for (const constructor of [CustomEvent, EventTarget, AbortSignal, AbortController]) published(constructor);
  return { Event, CustomEvent, EventTarget, AbortSignal, AbortController };
})
