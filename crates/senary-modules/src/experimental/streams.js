(function () {
  'use strict';

  const undefinedAfter = (promise) => promise.then(() => undefined);
  const handled = (promise) => (promise.catch(() => {}), promise);

  // A promise with its means to settle it; settling twice does nothing.
  function deferred() {
    const d = { settled: false };
    d.promise = new Promise((resolve, reject) => {
      d.resolve = (value) => { d.settled = true; resolve(value); };
      d.reject = (reason) => { d.settled = true; reject(reason); };
    });
    return d;
  }

  // What an underlying source or sink may define: called with it as `this`, always as a promise.
  function method(object, name) {
    const f = object?.[name];
    if (f === undefined) return undefined;
    if (typeof f !== 'function') throw new TypeError(`${name} must be a function`);
    return (...args) => {
      try {
        return Promise.resolve(f.apply(object, args));
      } catch (e) {
        return Promise.reject(e);
      }
    };
  }

  function highWaterMark(strategy, otherwise) {
    const mark = strategy?.highWaterMark;
    if (mark === undefined) return otherwise;
    const number = Number(mark);
    if (Number.isNaN(number) || number < 0) throw new RangeError('highWaterMark must be a number that is not negative');
    return number;
  }

  function sizeOf(strategy) {
    const size = strategy?.size;
    if (size === undefined) return () => 1;
    if (typeof size !== 'function') throw new TypeError('size must be a function');
    return (chunk) => {
      const number = Number(size(chunk));
      if (Number.isNaN(number) || number < 0 || number === Infinity) throw new RangeError('the size of a chunk must be a finite number that is not negative');
      return number;
    };
  }

  class Queue {
    constructor() { this.clear(); }
    clear() { this.items = []; this.total = 0; }
    push(value, size) { this.items.push({ value, size }); this.total += size; }
    shift() {
      const { value, size } = this.items.shift();
      this.total = Math.max(0, this.total - size);
      return value;
    }
    get length() { return this.items.length; }
  }

  class CountQueuingStrategy {
    #mark;
    constructor(init) {
      if (init === null || typeof init !== 'object' || !('highWaterMark' in init)) throw new TypeError('CountQueuingStrategy needs an object with highWaterMark');
      this.#mark = Number(init.highWaterMark);
    }
    get highWaterMark() { return this.#mark; }
    get size() { return countOne; }
  }
  const countOne = function size() { return 1; };

  // The inside of readable streams: state, reader, reads that wait, and the queue.
  const readables = new WeakMap();
  const readers = new WeakMap();
  const token = Symbol('internal');

  function inside(map, object, name) {
    const state = map.get(object);
    if (state === undefined) throw new TypeError(`this is no ${name}`);
    return state;
  }

  function closeReadable(s) {
    s.state = 'closed';
    if (s.reader === undefined) return;
    for (const read of s.reader.reads.splice(0)) read.resolve({ value: undefined, done: true });
    s.reader.closed.resolve(undefined);
  }

  function errorReadable(s, reason) {
    if (s.state !== 'readable') return;
    s.state = 'errored';
    s.error = reason;
    s.queue.clear();
    if (s.reader === undefined) return;
    for (const read of s.reader.reads.splice(0)) read.reject(reason);
    s.reader.closed.reject(reason);
    handled(s.reader.closed.promise);
  }

  function shouldPull(s) {
    if (!s.started || s.state !== 'readable' || s.closeRequested) return false;
    return (s.reader !== undefined && s.reader.reads.length > 0) || s.mark - s.queue.total > 0;
  }

  function pull(s) {
    if (s.pull === undefined || !shouldPull(s)) return;
    if (s.pulling) {
      s.pullAgain = true;
      return;
    }
    s.pulling = true;
    s.pull(s.controller).then(
      () => {
        s.pulling = false;
        if (s.pullAgain) {
          s.pullAgain = false;
          pull(s);
        }
      },
      (e) => errorReadable(s, e),
    );
  }

  function cancelReadable(s, reason) {
    if (s.state === 'closed') return Promise.resolve(undefined);
    if (s.state === 'errored') return Promise.reject(s.error);
    closeReadable(s);
    s.queue.clear();
    const cancel = s.cancel;
    s.pull = s.cancel = undefined;
    return undefinedAfter(cancel === undefined ? Promise.resolve() : cancel(reason));
  }

  class ReadableStreamDefaultController {
    #s;
    constructor(key, s) {
      if (key !== token) throw new TypeError('Illegal constructor');
      this.#s = s;
    }
    get desiredSize() {
      const s = this.#s;
      if (s.state === 'errored') return null;
      return s.state === 'closed' ? 0 : s.mark - s.queue.total;
    }
    enqueue(chunk) {
      const s = this.#s;
      if (s.closeRequested || s.state !== 'readable') throw new TypeError('cannot enqueue a chunk: the stream is closed or errored');
      if (s.reader !== undefined && s.reader.reads.length > 0) {
        s.reader.reads.shift().resolve({ value: chunk, done: false });
      } else {
        try {
          s.queue.push(chunk, s.size(chunk));
        } catch (e) {
          errorReadable(s, e);
          throw e;
        }
      }
      pull(s);
    }
    close() {
      const s = this.#s;
      if (s.closeRequested || s.state !== 'readable') throw new TypeError('cannot close the stream: it is closed or errored');
      s.closeRequested = true;
      if (s.queue.length === 0) closeReadable(s);
    }
    error(reason) { errorReadable(this.#s, reason); }
  }

  class ReadableStream {
    constructor(source = {}, strategy = {}) {
      if (source === null || typeof source !== 'object') throw new TypeError('the underlying source must be an object');
      if (source.type !== undefined) throw new RangeError(`streams of type ${source.type} are not supported`);
      const s = {
        state: 'readable', error: undefined, reader: undefined, queue: new Queue(), started: false, closeRequested: false,
        pulling: false, pullAgain: false, size: sizeOf(strategy), mark: highWaterMark(strategy, 1),
        pull: method(source, 'pull'), cancel: method(source, 'cancel'),
      };
      readables.set(this, s);
      s.controller = new ReadableStreamDefaultController(token, s);
      const started = source.start === undefined ? undefined : source.start(s.controller);
      Promise.resolve(started).then(
        () => {
          s.started = true;
          pull(s);
        },
        (e) => errorReadable(s, e),
      );
    }
    get locked() { return inside(readables, this, 'ReadableStream').reader !== undefined; }
    cancel(reason) {
      const s = readables.get(this);
      if (s === undefined) return Promise.reject(new TypeError('this is no ReadableStream'));
      if (s.reader !== undefined) return Promise.reject(new TypeError('cannot cancel a stream that is locked to a reader'));
      return cancelReadable(s, reason);
    }
    getReader(options = {}) {
      if (options?.mode !== undefined) throw new RangeError(`readers of mode ${options.mode} are not supported`);
      return new ReadableStreamDefaultReader(this);
    }
  }

  class ReadableStreamDefaultReader {
    constructor(stream) {
      const s = inside(readables, stream, 'ReadableStream');
      if (s.reader !== undefined) throw new TypeError('the stream is locked to a reader already');
      const r = { stream: s, reads: [], closed: deferred() };
      s.reader = r;
      readers.set(this, r);
      if (s.state === 'closed') r.closed.resolve(undefined);
      if (s.state === 'errored') {
        r.closed.reject(s.error);
        handled(r.closed.promise);
      }
    }
    get closed() {
      const r = readers.get(this);
      return r === undefined ? Promise.reject(new TypeError('this is no ReadableStreamDefaultReader')) : r.closed.promise;
    }
    read() {
      const r = readers.get(this);
      if (r?.stream === undefined) return Promise.reject(new TypeError('the reader has no stream: its lock was released'));
      const s = r.stream;
      if (s.state === 'errored') return Promise.reject(s.error);
      if (s.queue.length > 0) {
        const value = s.queue.shift();
        if (s.closeRequested && s.queue.length === 0) closeReadable(s);
        else pull(s);
        return Promise.resolve({ value, done: false });
      }
      if (s.state === 'closed') return Promise.resolve({ value: undefined, done: true });
      const read = deferred();
      r.reads.push(read);
      pull(s);
      return read.promise;
    }
    cancel(reason) {
      const r = readers.get(this);
      if (r?.stream === undefined) return Promise.reject(new TypeError('the reader has no stream: its lock was released'));
      return cancelReadable(r.stream, reason);
    }
    releaseLock() {
      const r = inside(readers, this, 'ReadableStreamDefaultReader');
      if (r.stream === undefined) return;
      const released = new TypeError('the lock of the reader was released');
      if (r.closed.settled) r.closed = deferred();
      r.closed.reject(released);
      handled(r.closed.promise);
      for (const read of r.reads.splice(0)) read.reject(released);
      r.stream.reader = undefined;
      r.stream = undefined;
    }
  }

  // The inside of writable streams. A write, the close and the abort wait their turn; one is in flight at a time.
  const writables = new WeakMap();
  const writers = new WeakMap();

  const closing = (s) => s.closeRequest !== undefined || s.inFlightClose !== undefined;
  const backpressure = (s) => s.mark - s.queue.total <= 0;

  function updateReady(s) {
    const w = s.writer;
    if (w === undefined || closing(s) || s.state !== 'writable') return;
    if (backpressure(s)) {
      if (w.ready.settled) w.ready = deferred();
    } else if (!w.ready.settled) {
      w.ready.resolve(undefined);
    }
  }

  function startErroring(s, reason) {
    s.state = 'erroring';
    s.error = reason;
    if (s.writer !== undefined) {
      if (s.writer.ready.settled) s.writer.ready = deferred();
      s.writer.ready.reject(reason);
      handled(s.writer.ready.promise);
    }
    if (s.inFlight === undefined && s.inFlightClose === undefined && s.started) finishErroring(s);
  }

  function dealWithRejection(s, reason) {
    if (s.state === 'writable') startErroring(s, reason);
    else if (s.state === 'erroring') finishErroring(s);
  }

  function finishErroring(s) {
    s.state = 'errored';
    const abort = s.abort;
    s.write = s.close = s.abort = undefined;
    for (const write of s.writes.splice(0)) write.reject(s.error);
    s.queue.clear();
    const request = s.abortRequest;
    s.abortRequest = undefined;
    if (request === undefined) return rejectClosed(s);
    if (request.wasErroring || abort === undefined) {
      if (request.wasErroring) request.reject(s.error);
      else request.resolve(undefined);
      return rejectClosed(s);
    }
    abort(request.reason).then(
      () => { request.resolve(undefined); rejectClosed(s); },
      (e) => { request.reject(e); rejectClosed(s); },
    );
  }

  function rejectClosed(s) {
    if (s.closeRequest !== undefined) {
      s.closeRequest.reject(s.error);
      s.closeRequest = undefined;
    }
    if (s.writer !== undefined) {
      s.writer.closed.reject(s.error);
      handled(s.writer.closed.promise);
    }
  }

  function advance(s) {
    if (!s.started || s.inFlight !== undefined || s.inFlightClose !== undefined) return;
    if (s.state === 'erroring') return finishErroring(s);
    if (s.state !== 'writable') return;
    if (s.queue.length === 0) {
      if (s.closeRequest !== undefined) finishClose(s);
      return;
    }
    const write = (s.inFlight = s.writes.shift());
    const chunk = s.queue.items[0].value;
    (s.write === undefined ? Promise.resolve() : s.write(chunk, s.controller)).then(
      () => {
        s.inFlight = undefined;
        write.resolve(undefined);
        // Cleared if the stream failed meanwhile.
        if (s.queue.length > 0) s.queue.shift();
        updateReady(s);
        advance(s);
      },
      (e) => {
        s.inFlight = undefined;
        write.reject(e);
        dealWithRejection(s, e);
      },
    );
  }

  function finishClose(s) {
    const request = (s.inFlightClose = s.closeRequest);
    s.closeRequest = undefined;
    const close = s.close;
    s.write = s.close = s.abort = undefined;
    (close === undefined ? Promise.resolve() : close()).then(
      () => {
        s.inFlightClose = undefined;
        request.resolve(undefined);
        if (s.state === 'erroring') {
          s.error = undefined;
          s.abortRequest?.resolve(undefined);
          s.abortRequest = undefined;
        }
        s.state = 'closed';
        s.writer?.closed.resolve(undefined);
      },
      (e) => {
        s.inFlightClose = undefined;
        request.reject(e);
        s.abortRequest?.reject(e);
        s.abortRequest = undefined;
        dealWithRejection(s, e);
      },
    );
  }

  function abortWritable(s, reason) {
    if (s.state === 'closed' || s.state === 'errored') return Promise.resolve(undefined);
    if (s.abortRequest !== undefined) return s.abortRequest.promise;
    const wasErroring = s.state === 'erroring';
    s.abortRequest = Object.assign(deferred(), { reason: wasErroring ? undefined : reason, wasErroring });
    const { promise } = s.abortRequest;
    if (!wasErroring) startErroring(s, reason);
    return promise;
  }

  function closeWritable(s) {
    if (s.state === 'closed' || s.state === 'errored') return Promise.reject(new TypeError(`cannot close a stream that is ${s.state}`));
    if (closing(s)) return Promise.reject(new TypeError('the stream is being closed already'));
    s.closeRequest = deferred();
    const { promise } = s.closeRequest;
    if (s.writer !== undefined && !s.writer.ready.settled && s.state === 'writable') s.writer.ready.resolve(undefined);
    advance(s);
    return promise;
  }

  class WritableStreamDefaultController {
    #s;
    constructor(key, s) {
      if (key !== token) throw new TypeError('Illegal constructor');
      this.#s = s;
    }
    error(reason) { if (this.#s.state === 'writable') startErroring(this.#s, reason); }
  }

  class WritableStream {
    constructor(sink = {}, strategy = {}) {
      if (sink === null || typeof sink !== 'object') throw new TypeError('the underlying sink must be an object');
      if (sink.type !== undefined) throw new RangeError('the type of a sink must be left out');
      const s = {
        state: 'writable', error: undefined, writer: undefined, queue: new Queue(), writes: [], started: false,
        inFlight: undefined, inFlightClose: undefined, closeRequest: undefined, abortRequest: undefined,
        size: sizeOf(strategy), mark: highWaterMark(strategy, 1),
        write: method(sink, 'write'), close: method(sink, 'close'), abort: method(sink, 'abort'),
      };
      writables.set(this, s);
      s.controller = new WritableStreamDefaultController(token, s);
      const started = sink.start === undefined ? undefined : sink.start(s.controller);
      Promise.resolve(started).then(
        () => {
          s.started = true;
          advance(s);
        },
        (e) => {
          s.started = true;
          dealWithRejection(s, e);
        },
      );
    }
    get locked() { return inside(writables, this, 'WritableStream').writer !== undefined; }
    abort(reason) {
      const s = writables.get(this);
      if (s === undefined) return Promise.reject(new TypeError('this is no WritableStream'));
      if (s.writer !== undefined) return Promise.reject(new TypeError('cannot abort a stream that is locked to a writer'));
      return abortWritable(s, reason);
    }
    close() {
      const s = writables.get(this);
      if (s === undefined) return Promise.reject(new TypeError('this is no WritableStream'));
      if (s.writer !== undefined) return Promise.reject(new TypeError('cannot close a stream that is locked to a writer'));
      return closeWritable(s);
    }
    getWriter() { return new WritableStreamDefaultWriter(this); }
  }

  const released = () => Promise.reject(new TypeError('the writer has no stream: its lock was released'));

  class WritableStreamDefaultWriter {
    constructor(stream) {
      const s = inside(writables, stream, 'WritableStream');
      if (s.writer !== undefined) throw new TypeError('the stream is locked to a writer already');
      const w = { stream: s, ready: deferred(), closed: deferred() };
      s.writer = w;
      writers.set(this, w);
      switch (s.state) {
        case 'writable':
          if (closing(s) || !backpressure(s)) w.ready.resolve(undefined);
          break;
        case 'closed':
          w.ready.resolve(undefined);
          w.closed.resolve(undefined);
          break;
        default:
          w.ready.reject(s.error);
          handled(w.ready.promise);
          if (s.state === 'errored') {
            w.closed.reject(s.error);
            handled(w.closed.promise);
          }
      }
    }
    get closed() { return writers.get(this)?.closed.promise ?? Promise.reject(new TypeError('this is no WritableStreamDefaultWriter')); }
    get ready() { return writers.get(this)?.ready.promise ?? Promise.reject(new TypeError('this is no WritableStreamDefaultWriter')); }
    get desiredSize() {
      const s = inside(writers, this, 'WritableStreamDefaultWriter').stream;
      if (s === undefined) throw new TypeError('the writer has no stream: its lock was released');
      if (s.state === 'errored' || s.state === 'erroring') return null;
      return s.state === 'closed' ? 0 : s.mark - s.queue.total;
    }
    write(chunk) {
      const s = writers.get(this)?.stream;
      if (s === undefined) return released();
      let size;
      try {
        size = s.size(chunk);
      } catch (e) {
        dealWithRejection(s, e);
        return Promise.reject(e);
      }
      if (writers.get(this).stream !== s) return released();
      if (s.state === 'errored' || s.state === 'erroring') return Promise.reject(s.error);
      if (closing(s) || s.state === 'closed') return Promise.reject(new TypeError('cannot write to a stream that is closing or closed'));
      const write = deferred();
      s.writes.push(write);
      s.queue.push(chunk, size);
      updateReady(s);
      advance(s);
      return write.promise;
    }
    close() {
      const s = writers.get(this)?.stream;
      return s === undefined ? released() : closeWritable(s);
    }
    abort(reason) {
      const s = writers.get(this)?.stream;
      return s === undefined ? released() : abortWritable(s, reason);
    }
    releaseLock() {
      const w = inside(writers, this, 'WritableStreamDefaultWriter');
      if (w.stream === undefined) return;
      const reason = new TypeError('the lock of the writer was released');
      for (const name of ['ready', 'closed']) {
        if (w[name].settled) w[name] = deferred();
        w[name].reject(reason);
        handled(w[name].promise);
      }
      w.stream.writer = undefined;
      w.stream = undefined;
    }
  }

  return {
    ReadableStream, ReadableStreamDefaultController, ReadableStreamDefaultReader,
    WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter, CountQueuingStrategy,
  };
})
