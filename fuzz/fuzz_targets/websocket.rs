//! What a WebSocket server may answer: however the stream is cut, its messages are the same, and no more is held than allowed.
//! The first byte is the size of the chunks, the second the limit, the third what was agreed on; the rest is the head of an
//! answer and its body, or the frames behind one.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use senary_wire::websocket::{Agreement, Body, Incoming, Inflater, MAX_HEAD, Receiver, Response, Violation};

fn receive(
    stream: &[u8],
    size: usize,
    max: usize,
    compression: Option<Agreement>,
) -> (Vec<Incoming<'static>>, Option<Violation>) {
    let (mut receiver, mut inflater) = (Receiver::new(max, compression), Inflater::default());
    let mut received = Vec::new();
    for mut chunk in stream.chunks(size) {
        loop {
            match receiver.receive(&mut chunk, &mut inflater) {
                Ok(Some(incoming)) => received.push(match incoming {
                    Incoming::Text(text) => Incoming::Text(Cow::Owned(text.into_owned())),
                    Incoming::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes.into_owned())),
                    Incoming::Ping(content) => Incoming::Ping(content),
                    Incoming::Pong(content) => Incoming::Pong(content),
                    Incoming::Close(closing) => Incoming::Close(closing),
                }),
                Ok(None) => break,
                Err(violation) => return (received, Some(violation)),
            }
        }
        assert!(chunk.is_empty());
        assert!(receiver.kept() <= 2 * max + 200);
    }
    (received, None)
}

fn read(response: &Response, bytes: &[u8], size: usize) -> String {
    let mut body = Body::of(response);
    bytes.chunks(size).for_each(|chunk| body.push(chunk));
    body.into_text()
}

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let ([size, max, compression], stream) = input;
    let size = usize::from(size) + 1;
    if let Ok(Some((response, head))) = Response::parse(stream) {
        assert!(head <= MAX_HEAD || stream.len() > MAX_HEAD);
        let _ = response.check("key");
        let _ = Agreement::of(&response.joined("Sec-Websocket-Extensions"), compression % 2 == 0);
        let rest = &stream[head..];
        assert_eq!(read(&response, rest, size), read(&response, rest, rest.len().max(1)));
    }
    let compression = match compression % 3 {
        0 => None,
        kind => Some(Agreement { keeps_context: kind == 1 }),
    };
    let max = 8 << (max % 12);
    let whole = receive(stream, stream.len().max(1), max, compression);
    for incoming in &whole.0 {
        match incoming {
            Incoming::Text(text) => assert!(text.len() <= max),
            Incoming::Binary(bytes) => assert!(bytes.len() <= max),
            Incoming::Ping(content) | Incoming::Pong(content) => assert!(content.len() <= 125),
            Incoming::Close(closing) => assert!(closing.reason.len() <= 123),
        }
    }
    assert_eq!(receive(stream, size, max, compression), whole);
});
