//! Frames on their way: what the kernel has not taken yet, in the order it was sent.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context, Poll};

use senary_js::memory::Charge;
use senary_net::{NetError, Stream};

/// Frames of one system call.
const AT_ONCE: usize = 64;

/// Answers to pings that wait to be sent.
const MAX_PONGS: usize = 16;

pub struct Frame {
    pub bytes: Vec<u8>,
    pub written: usize,
    /// Bytes of the message in it, as the script counts them.
    pub message: usize,
    /// It answers a ping.
    pub is_pong: bool,
    /// The bytes count as the script's.
    pub _charge: Charge,
}

#[derive(Default)]
pub struct Outbound {
    frames: VecDeque<Frame>,
    /// Bytes of the messages among them.
    messages: usize,
    /// Answers to pings among them.
    pongs: usize,
    /// TLS holds back something that was written.
    pub needs_flush: bool,
}

impl Outbound {
    /// Adds a frame. A server that takes no answers to its pings gets one to its last ping only, as the standard allows.
    pub fn push(&mut self, frame: Frame) {
        if frame.is_pong {
            let last = self.frames.back_mut().filter(|last| last.is_pong && last.written == 0);
            if let Some(last) = last.filter(|_| self.pongs >= MAX_PONGS && frame.written == 0) {
                *last = frame;
                return;
            }
            self.pongs += 1;
        }
        self.messages += frame.message;
        self.frames.push_back(frame);
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.needs_flush
    }

    /// Bytes of messages that are not through yet.
    pub fn messages(&self) -> usize {
        self.messages
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes as much as the kernel takes; ready when nothing is left.
    pub fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        while !self.frames.is_empty() {
            let slices: Vec<IoSlice<'_>> = self
                .frames
                .iter()
                .take(AT_ONCE)
                .map(|frame| IoSlice::new(&frame.bytes[frame.written..]))
                .collect();
            match stream.poll_write_vectored(cx, &slices) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(written)) => {
                    drop(slices);
                    self.wrote(written);
                    self.needs_flush = true;
                }
            }
        }
        if self.needs_flush {
            match stream.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, mut bytes: usize) {
        while let Some(first) = self.frames.front_mut() {
            let left = first.bytes.len() - first.written;
            if bytes < left {
                first.written += bytes;
                return;
            }
            bytes -= left;
            self.messages -= first.message;
            self.pongs -= usize::from(first.is_pong);
            self.frames.pop_front();
        }
    }
}
