//! `k6/experimental/streams`: readable and writable streams of the web.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-experimental/streams/>)
//!
//! Nothing in them is native: they are promises and queues, written in JavaScript as the standard
//! (<https://streams.spec.whatwg.org/>) describes them.

use rquickjs::{Ctx, Function, Object};
use senary_js::snippet::Snippet;

static STREAMS: Snippet = Snippet::new("streams", include_str!("streams.js"));

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    STREAMS.evaluate(ctx)?.get::<Function<'js>>()?.call(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    /// What `code`, the body of an async function with an array `log`, has logged at its end.
    fn log(code: &str) -> String {
        let mut result = String::new();
        with_context(|ctx| {
            ctx.globals().set("s", exports(ctx).unwrap()).unwrap();
            let code = format!(
                "(async () => {{ const log = []; const fails = (p) => p.then(() => log.push('no error'), (e) => log.push(e.message ?? e)); {code}; return log.join(' ') }})()"
            );
            let promise: rquickjs::Promise<'_> = ctx.eval(code).unwrap();
            result = promise.finish().unwrap();
        });
        result
    }

    #[test]
    fn sources_are_pulled_as_needed() {
        let code = "let n = 0;
            const stream = new s.ReadableStream({ pull(c) { log.push('pull' + n); c.enqueue(n++); } }, { highWaterMark: 2 });
            await null; await null; await null; await null; await null;
            log.push('|');
            const reader = stream.getReader();
            log.push((await reader.read()).value, (await reader.read()).value, (await reader.read()).value);";
        assert!(log(code).starts_with("pull0 pull1 | pull2"), "{}", log(code));
        assert!(log(code).ends_with("0 1 2"), "{}", log(code));
    }

    #[test]
    fn closing_lets_the_queue_be_read() {
        let code = "const stream = new s.ReadableStream({ start(c) { c.enqueue('a'); c.close(); log.push(c.desiredSize); try { c.enqueue('b') } catch (e) { log.push(e.name) } } });
            const reader = stream.getReader();
            log.push((await reader.read()).value, (await reader.read()).done);
            await reader.closed; log.push('closed');
            try { stream.getReader() } catch (e) { log.push(e.name) }
            reader.releaseLock(); log.push(stream.locked);
            await fails(reader.read());";
        assert_eq!(
            log(code),
            "0 TypeError a true closed TypeError false the reader has no stream: its lock was released"
        );
    }

    #[test]
    fn errors_reach_readers() {
        let code = "let control;
            const stream = new s.ReadableStream({ start(c) { control = c } });
            const reader = stream.getReader();
            const waiting = fails(reader.read());
            control.error('broken');
            await waiting; await fails(reader.read()); await fails(reader.closed);
            await fails(new s.ReadableStream({ pull() { throw 'bad pull' } }).getReader().read());
            await fails(new s.ReadableStream({}, { size: () => NaN, highWaterMark: 1 }).getReader().closed.constructor.reject('x'));";
        assert_eq!(log(code), "broken broken broken bad pull x");
    }

    #[test]
    fn cancelling_tells_the_source() {
        let code =
            "const stream = new s.ReadableStream({ cancel(reason) { log.push('cancelled', reason) } });
            await stream.cancel('why');
            log.push((await stream.getReader().read()).done);
            await fails(stream.cancel());
            await fails(new s.ReadableStream({ cancel() { throw 'refused' } }).cancel());";
        assert_eq!(log(code), "cancelled why true cannot cancel a stream that is locked to a reader refused");
    }

    #[test]
    fn writes_happen_one_after_the_other() {
        let code = "let free;
            const stream = new s.WritableStream({ write(chunk) { log.push('w' + chunk); return new Promise((r) => { free = r }) }, close() { log.push('close') } }, new s.CountQueuingStrategy({ highWaterMark: 2 }));
            const writer = stream.getWriter();
            await writer.ready;
            const first = writer.write(1), second = writer.write(2);
            log.push(writer.desiredSize);
            const closed = writer.close();
            await null; await null; await null;
            free(); await first; await null; free(); await second; await closed; await writer.closed;
            await fails(writer.write(3));";
        assert_eq!(log(code), "w1 0 w2 close cannot write to a stream that is closing or closed");
    }

    #[test]
    fn sinks_that_fail_and_aborts() {
        let code = "const bad = new s.WritableStream({ write() { throw 'no space' } }).getWriter();
            const one = fails(bad.write(1)), two = fails(bad.write(2));
            await one; await two; await fails(bad.closed);
            const sink = new s.WritableStream({ abort(reason) { log.push('abort', reason) } });
            const writer = sink.getWriter();
            await writer.abort('stop'); await fails(writer.closed); await fails(writer.write(1));
            writer.releaseLock(); log.push(sink.locked);
            await fails(writer.close());";
        assert_eq!(
            log(code),
            "no space no space no space abort stop stop stop false the writer has no stream: its lock was released"
        );
    }
}
