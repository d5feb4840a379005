//! One request and its response over a connection.
//!
//! Both directions are served at the same time: a server may answer, or end the connection, before it has the whole request.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::request;
use super::response::{Expected, ResponseReader};
use crate::error::NetError;
use crate::http::buffer::with_buffer;
use crate::http::clock::Clock;
use crate::http::error::HttpError;
use crate::http::exchange::{ConnectionId, Exchange, Head};
use crate::http::request::{HttpRequest, ResponseBody};
use crate::stream::Stream;
use crate::tls::TlsInfo;

/// A connection that speaks HTTP/1.1.
pub struct Http1 {
    pub stream: Stream,
    pub tls: Option<Rc<TlsInfo>>,
    /// For a connection to a proxy that forwards requests: what it asks of its clients, if anything.
    pub proxied: Option<Option<Rc<str>>>,
    pub id: ConnectionId,
    /// Whether a request went over it already.
    pub used: bool,
}

/// An exchange that failed.
pub struct Failed {
    pub error: HttpError,
    pub head: Option<Head>,
    /// Whether any byte of the request was written, or of a response was read.
    pub wrote: bool,
    pub read: bool,
}

impl Http1 {
    /// Whether it may still be used: the server has neither ended it nor sent something that was not asked for.
    pub async fn is_usable(&mut self) -> bool {
        let mut is_silent =
            |cx: &mut Context<'_>| with_buffer(|buffer| self.stream.poll_read(cx, buffer).is_pending());
        poll_fn(|cx| Poll::Ready(is_silent(cx))).await
    }

    /// Makes the exchange. Whether the connection may be used again after it.
    pub async fn exchange(
        &mut self,
        request: &HttpRequest,
        close: bool,
        keep_heads: bool,
        clock: &Clock,
        exchange: &RefCell<Exchange>,
    ) -> Result<(Head, Bytes, bool), Failed> {
        let proxied = self.proxied.as_ref().map(|authorization| authorization.as_deref());
        let head = request::head(request, close, proxied);
        if keep_heads {
            exchange.borrow_mut().request_head = Some(String::from_utf8_lossy(&head).into_owned());
        }
        let mut outgoing = Outgoing {
            head: &head,
            body: request.body.as_deref().unwrap_or_default(),
            written: 0,
            flushed: false,
        };
        let mut incoming = ResponseReader::new(Expected {
            is_head: request.method == "HEAD",
            discard: request.response_body == ResponseBody::Discard,
            max_body: request.max_body,
            keep_text: keep_heads,
        });
        let stream = &mut self.stream;
        let outcome = poll_fn(|cx| {
            let polled = poll(stream, &mut outgoing, &mut incoming, clock, cx);
            // Known even if the exchange is given up.
            let mut exchange = exchange.borrow_mut();
            (exchange.sent, exchange.received) = (outgoing.written as u64, incoming.received);
            polled
        })
        .await;
        clock.ended();
        let mut exchange = exchange.borrow_mut();
        exchange.response_head = incoming.head_text;
        exchange.proto = incoming.head.as_ref().map(|_| incoming.proto);
        self.used = true;
        match (outcome, incoming.head) {
            (Ok(unread), Some(head)) => {
                let keeps =
                    incoming.keeps && unread == 0 && outgoing.flushed && !close && !request::closes(request);
                Ok((head, incoming.body.into(), keeps))
            }
            (Err(error), head) => {
                let (wrote, read) = (outgoing.written > 0, incoming.received > 0);
                Err(Failed { error, head, wrote, read })
            }
            // A response is done when it has a head.
            (Ok(_), None) => Err(Failed {
                error: HttpError::Ended { in_response: true },
                head: None,
                wrote: true,
                read: true,
            }),
        }
    }
}

/// How many bytes came behind the end of the response.
fn poll(
    stream: &mut Stream,
    outgoing: &mut Outgoing<'_>,
    incoming: &mut ResponseReader,
    clock: &Clock,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, HttpError>> {
    let failed_write = match outgoing.poll(stream, cx) {
        Poll::Ready(Ok(())) => {
            clock.written();
            None
        }
        Poll::Ready(Err(error)) => Some(error),
        Poll::Pending => None,
    };
    match poll_response(stream, incoming, clock, cx) {
        Poll::Ready(Ok(unread)) => Poll::Ready(Ok(unread)),
        // A server that has gone is noticed by a write before a read sees what it still had to say.
        outcome => match (failed_write, outcome) {
            (Some(error), _) => Poll::Ready(Err(error.into())),
            (None, outcome) => outcome,
        },
    }
}

fn poll_response(
    stream: &mut Stream,
    incoming: &mut ResponseReader,
    clock: &Clock,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, HttpError>> {
    with_buffer(|buffer| {
        loop {
            let read = ready!(stream.poll_read(cx, buffer))?;
            if read == 0 {
                return Poll::Ready(incoming.end().map(|()| 0));
            }
            clock.answered();
            if let ControlFlow::Break(unread) = incoming.read(&buffer[..read])? {
                return Poll::Ready(Ok(unread));
            }
        }
    })
}

/// A request on its way.
struct Outgoing<'a> {
    head: &'a [u8],
    body: &'a [u8],
    /// Of the head and the body together.
    written: usize,
    flushed: bool,
}

impl Outgoing<'_> {
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if self.flushed {
            return Poll::Ready(Ok(()));
        }
        let length = self.head.len() + self.body.len();
        while self.written < length {
            let head = &self.head[self.written.min(self.head.len())..];
            let body = &self.body[self.written.saturating_sub(self.head.len())..];
            let written = match (head, body) {
                (head, []) => ready!(stream.poll_write(cx, head))?,
                ([], body) => ready!(stream.poll_write(cx, body))?,
                (head, body) => {
                    ready!(stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))?
                }
            };
            self.written += written;
        }
        ready!(stream.poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }
}
