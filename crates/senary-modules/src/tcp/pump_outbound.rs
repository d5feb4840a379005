//! The requests of a pump on their way to the kernel: several go out in one call.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use senary_net::{NetError, Stream};

/// At most this many bytes wait for the system, or one message. Of further requests only the due times are kept.
const MOST: usize = 64 << 10;

#[derive(Default)]
pub struct Outbound {
    bytes: Vec<u8>,
    written: usize,
    /// Of `bytes`: the place of its first byte among all bytes of the pump.
    start: u64,
    requests: VecDeque<Unsent>,
    /// Everything is written, except what TLS holds back.
    holds_back: bool,
}

/// A request that the system has not taken completely.
#[derive(Clone, Copy)]
pub struct Unsent {
    pub serial: u64,
    pub due: u64,
    begin: u64,
    end: u64,
}

impl Outbound {
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.written && !self.holds_back
    }

    pub fn has_room(&self) -> bool {
        self.bytes.len() - self.written < MOST
    }

    /// Where the next frame is to be appended; [`add`](Self::add) says that it is there.
    pub fn frame(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All behind the first `len` bytes is a request.
    pub fn add(&mut self, len: usize, serial: u64, due: u64) {
        let (begin, end) = (self.start + len as u64, self.start + self.bytes.len() as u64);
        self.requests.push_back(Unsent { serial, due, begin, end });
    }

    /// Removes what was appended after the first `len` bytes.
    pub fn take_back(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Writes once, at most `most` of the waiting bytes, and returns how many were taken.
    pub fn write(
        &mut self,
        stream: &mut Stream,
        most: impl Fn(usize) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, NetError>> {
        let taken = match self.bytes.get(self.written..) {
            Some(rest) if !rest.is_empty() => match stream.poll_write(cx, &rest[..most(rest.len())]) {
                Poll::Ready(Ok(taken)) => taken,
                other => return other,
            },
            _ => 0,
        };
        self.written += taken;
        if self.written >= MOST {
            self.start += self.written as u64;
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        if self.written == self.bytes.len() {
            self.start += self.written as u64;
            self.bytes.clear();
            self.written = 0;
            self.holds_back = match stream.poll_flush(cx) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => true,
            };
        }
        if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    /// The next request whose last byte the kernel has.
    pub fn sent(&mut self) -> Option<Unsent> {
        let written = self.start + self.written as u64;
        self.requests.pop_front_if(|request| request.end <= written)
    }

    /// Nothing more is sent. Returns the requests that the system has not taken, and the rest of the one that it has
    /// taken in part; without that rest nothing else could follow.
    pub fn give_up(&mut self) -> (impl Iterator<Item = Unsent> + use<>, Vec<u8>) {
        let written = self.start + self.written as u64;
        let rest = match self.requests.front() {
            Some(first) if first.begin < written => {
                self.bytes[self.written..(first.end - self.start) as usize].to_vec()
            }
            _ => Vec::new(),
        };
        self.bytes = Vec::new();
        self.start = written;
        self.written = 0;
        (std::mem::take(&mut self.requests).into_iter(), rest)
    }
}
