//! A stream of this crate, as the crate `h2` wants it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Frames, GoAway};
use crate::error::NetError;
use crate::http::buffer::with_buffer;
use crate::stream::Stream;

/// What became of a connection.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// The error that broke it.
    pub(super) broken: RefCell<Option<NetError>>,
    pub(super) goaway: RefCell<Option<GoAway>>,
    /// The server sends nothing more.
    pub(super) ended: Cell<bool>,
    /// The stream of the last piece of a body that has begun to come, and its size.
    pub(super) last_data: Cell<(u32, u32)>,
}

/// What carries the frames: a stream of this crate; for the fuzz target, bytes in memory.
pub trait Carrier: Unpin + 'static {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>>;
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize, NetError>>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>>;
    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>>;
    fn close(self);
}

pub(super) struct Io<S: Carrier> {
    /// `None` only while it is dropped.
    stream: Option<S>,
    /// What was read and had no room yet.
    ahead: Bytes,
    /// A write has failed: the server takes nothing any more.
    is_deaf: bool,
    /// How reading has ended, until `h2` is told.
    end: Option<io::Result<()>>,
    frames: Frames,
    fate: Rc<Fate>,
}

impl<S: Carrier> Io<S> {
    pub(super) fn new(stream: S, fate: Rc<Fate>) -> Self {
        Self {
            stream: Some(stream),
            ahead: Bytes::new(),
            is_deaf: false,
            end: None,
            frames: Frames::default(),
            fate,
        }
    }

    fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// How much of what is written was taken. A server that answers and goes is noticed by a write before its answer is read, and `h2`
    /// reads nothing after a write has failed. So all is taken from then on, and goes nowhere; the next read that finds the end says so.
    fn taken<T>(&mut self, written: Option<Result<T, NetError>>, all: T) -> T {
        match written {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                self.is_deaf = true;
                self.failed(error);
                all
            }
            None => all,
        }
    }

    /// `h2` forgets that a response is complete when the connection ends while the body of its request is on the way. So the streams have
    /// their turn with what has come before `h2` hears of the end.
    fn end_next_time(&mut self, cx: &mut Context<'_>, end: io::Result<()>) -> Poll<io::Result<()>> {
        self.fate.ended.set(true);
        self.end = Some(end);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The crate `h2` gives an error to each stream, so it gets a copy.
    fn failed(&self, error: NetError) -> io::Error {
        let text = error.to_string();
        let kind = match &error {
            NetError::Read { error, .. } | NetError::Write { error, .. } => error.kind(),
            _ => io::ErrorKind::Other,
        };
        self.fate.broken.borrow_mut().get_or_insert(error);
        io::Error::new(kind, text)
    }
}

impl<S: Carrier> Drop for Io<S> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.close();
        }
    }
}

impl<S: Carrier> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = self.end.take() {
            return Poll::Ready(end);
        }
        if self.ahead.is_empty() {
            return with_buffer(|data| {
                let read = match ready!(self.stream()?.poll_read(cx, data)) {
                    Ok(0) => return self.end_next_time(cx, Ok(())),
                    Ok(read) => read,
                    Err(error) => {
                        let error = self.failed(error);
                        return self.end_next_time(cx, Err(error));
                    }
                };
                if let Some(goaway) = self.frames.follow(&data[..read]) {
                    self.fate.goaway.replace(Some(goaway));
                }
                self.fate.last_data.set(self.frames.last_data);
                let at_once = read.min(buf.remaining());
                buf.put_slice(&data[..at_once]);
                self.ahead = Bytes::copy_from_slice(&data[at_once..read]);
                Poll::Ready(Ok(()))
            });
        }
        let part = self.ahead.len().min(buf.remaining());
        let part = self.ahead.split_to(part);
        buf.put_slice(&part);
        Poll::Ready(Ok(()))
    }
}

impl<S: Carrier> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.is_deaf {
            true => None,
            false => Some(ready!(self.stream()?.poll_write(cx, data))),
        };
        Poll::Ready(Ok(self.taken(written, data.len())))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match self.is_deaf {
            true => None,
            false => Some(ready!(self.stream()?.poll_write_vectored(cx, data))),
        };
        Poll::Ready(Ok(self.taken(written, data.iter().map(|part| part.len()).sum())))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_deaf {
            let flushed = ready!(self.stream()?.poll_flush(cx));
            self.taken(Some(flushed), ());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = ready!(self.stream()?.poll_shutdown_write(cx));
        Poll::Ready(ended.map_err(|error| self.failed(error)))
    }
}

impl Carrier for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        self.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        self.poll_write(cx, data)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize, NetError>> {
        self.poll_write_vectored(cx, data)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.poll_shutdown_write(cx)
    }

    fn close(self) {
        self.close();
    }
}
