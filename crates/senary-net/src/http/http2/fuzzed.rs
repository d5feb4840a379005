//! Requests over HTTP/2 to a server that has said everything already, for the fuzz target and a test like it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::spawn_local;

use super::connection::Http2;
use super::io::Carrier;
use crate::error::NetError;
use crate::http::clock::Clock;
use crate::http::error::HttpError;
use crate::http::exchange::{ConnectionId, Exchange, Head};
use crate::http::request::HttpRequest;

/// What a server says, in pieces, and then the end. The client acts between two pieces.
pub struct Spoken {
    pieces: VecDeque<Bytes>,
    /// The client has had its turn since the last piece.
    is_due: bool,
}

impl Spoken {
    /// The bytes in pieces of that size.
    pub fn new(said: &[u8], size: usize) -> Self {
        Self { pieces: said.chunks(size).map(Bytes::copy_from_slice).collect(), is_due: false }
    }
}

impl Carrier for Spoken {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        if !std::mem::replace(&mut self.is_due, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_due = false;
        let Some(mut piece) = self.pieces.pop_front() else { return Poll::Ready(Ok(0)) };
        let part = piece.split_to(piece.len().min(buffer.len()));
        buffer[..part.len()].copy_from_slice(&part);
        if !piece.is_empty() {
            self.pieces.push_front(piece);
        }
        Poll::Ready(Ok(part.len()))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize, NetError>> {
        Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        Poll::Ready(Ok(()))
    }

    fn close(self) {}
}

/// What came of a request.
pub struct Answered {
    pub outcome: Result<(Head, Bytes), HttpError>,
    /// Of a response whose body failed.
    pub head: Option<Head>,
    /// It may be sent again.
    pub unprocessed: bool,
    pub exchange: Exchange,
}

/// Sends all requests at the same time, over one connection; the one of that number is given up as soon as it has to wait. Inside a
/// `LocalSet`.
pub async fn ask(
    server: Spoken,
    requests: Vec<HttpRequest>,
    given_up: Option<usize>,
) -> Result<Vec<Answered>, HttpError> {
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 443)).into();
    let connection = Rc::new(Http2::begin(server, remote, None, ConnectionId(0)).await?);
    let under_way: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let connection = connection.clone();
            spawn_local(async move { one(&connection, &request).await })
        })
        .collect();
    // They are polled once, in their order, before this goes on.
    tokio::task::yield_now().await;
    let mut answered = Vec::new();
    for (at, task) in under_way.into_iter().enumerate() {
        if given_up == Some(at) {
            task.abort();
        }
        match task.await {
            Ok(one) => answered.push(one),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }
    assert_eq!(connection.active(), 0, "no request is under way");
    Ok(answered)
}

async fn one(connection: &Http2, request: &HttpRequest) -> Answered {
    let (clock, exchange) = (Clock::start(), RefCell::default());
    let sent = connection.exchange(request, true, &clock, &exchange).await;
    let mut exchange: Exchange = exchange.into_inner();
    exchange.timings = clock.timings(None);
    match sent {
        Ok(response) => Answered { outcome: Ok(response), head: None, unprocessed: false, exchange },
        Err(failed) => Answered {
            outcome: Err(failed.error),
            head: failed.head,
            unprocessed: failed.unprocessed,
            exchange,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;
    use crate::http::headers::Headers;
    use crate::http::request::{HttpTarget, ResponseBody};

    const MAX_BODY: usize = 50;

    fn request(asked: u8) -> HttpRequest {
        let (method, body) = match asked & 3 {
            0 => ("GET", None),
            1 => ("HEAD", None),
            2 => ("POST", Some(Bytes::from_static(b"short"))),
            // It does not fit into the window that a stream begins with.
            _ => ("PUT", Some(Bytes::from(vec![7; 100_000]))),
        };
        let target =
            HttpTarget { secure: true, host: "h".into(), port: 443, path: "/".into(), authority: "h".into() };
        HttpRequest {
            method: method.into(),
            target: Rc::new(target),
            headers: Rc::new(Headers::new()),
            body,
            deadline: None,
            response_body: if asked & 4 == 0 { ResponseBody::Keep } else { ResponseBody::Discard },
            max_body: MAX_BODY,
            connection: None,
        }
    }

    fn frame((kind, flags, stream, content): &(u8, u8, u8, Vec<u8>)) -> Vec<u8> {
        [&[0, 0, content.len() as u8, *kind, *flags, 0, 0, 0, *stream], &content[..]].concat()
    }

    /// Status 200 and a field, an interim answer, numbers, or anything.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![0x88]),
            Just(b"\x88\x00\x01a\x01b".to_vec()),
            Just(b"\x08\x03103".to_vec()),
            Just(vec![0, 0, 0, 1, 0, 0, 0, 0]),
            proptest::collection::vec(any::<u8>(), 0..60),
        ]
    }

    fn frames() -> impl Strategy<Value = Vec<(u8, u8, u8, Vec<u8>)>> {
        let flags = prop_oneof![Just(4), Just(5), Just(1), Just(0), any::<u8>()];
        proptest::collection::vec((0..10u8, flags, 0..9u8, content()), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn every_request_has_an_outcome_whatever_comes(
            frames in frames(), count in 1..4usize, asked: u8, gives_up: bool, piece in 1..80usize,
        ) {
            let mut said = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
            said.extend(frames.iter().flat_map(frame));
            let requests: Vec<_> = (0..count).map(|at| request(asked.wrapping_add(at as u8))).collect();
            let runtime = Builder::new_current_thread().build().unwrap();
            let asking = ask(Spoken::new(&said, piece), requests, gives_up.then_some(0));
            if let Ok(answered) = LocalSet::new().block_on(&runtime, asking) {
                prop_assert!(answered.len() >= count - usize::from(gives_up));
                for Answered { outcome, head, unprocessed, exchange } in answered {
                    match outcome {
                        Ok((head, body)) => {
                            prop_assert!(head.status >= 200 && exchange.proto.is_some());
                            prop_assert!(body.len() <= MAX_BODY);
                        }
                        Err(error) => {
                            prop_assert!((1000..1700).contains(&error.code()) && !error.text().is_empty());
                            prop_assert!(!unprocessed || head.is_none());
                        }
                    }
                }
            }
        }
    }
}
