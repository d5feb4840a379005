//! Received bytes that have not been taken yet.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// Chunks smaller than this are joined with others, so that a byte does not cost the memory of a chunk.
const SMALL: usize = 512;
/// Joined chunks grow up to this size.
const JOINED: usize = 4096;

/// Bytes in the order of their arrival. Bytes taken out are a slice of a chunk if they lie in one chunk, and a copy otherwise.
#[derive(Debug, Default)]
pub struct Buffer {
    /// None of the chunks is empty.
    chunks: VecDeque<Bytes>,
    len: usize,
}

impl Buffer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.len += chunk.len();
        match self.chunks.back_mut() {
            Some(last) if chunk.len() < SMALL && last.len() + chunk.len() <= JOINED => join(last, &chunk),
            _ => self.chunks.push_back(chunk),
        }
    }

    /// Puts bytes back before all others.
    pub fn push_front(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.chunks.push_front(chunk);
        }
    }

    /// Takes exactly `count` bytes; `None` while there are fewer.
    pub fn take(&mut self, count: usize) -> Option<Bytes> {
        if count > self.len {
            return None;
        }
        self.len -= count;
        match self.chunks.front_mut() {
            Some(first) if first.len() > count => return Some(first.split_to(count)),
            Some(first) if first.len() == count => return self.chunks.pop_front(),
            _ => {}
        }
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let Some(mut chunk) = self.chunks.pop_front() else { break };
            let part = chunk.len().min(count - taken.len());
            taken.extend_from_slice(&chunk[..part]);
            chunk.advance(part);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
        }
        Some(Bytes::from(taken))
    }

    /// The next bytes as they came: what a stream without framing hands over.
    pub fn take_chunk(&mut self) -> Option<Bytes> {
        let chunk = self.chunks.pop_front()?;
        self.len -= chunk.len();
        Some(chunk)
    }

    /// All bytes in one piece, for a caller that looks for the end of a message itself and then takes it.
    pub fn all(&mut self) -> &[u8] {
        if self.chunks.len() > 1 {
            let mut all = self.chunks.pop_front().unwrap_or_default();
            let mut joined = Vec::from(std::mem::take(&mut all));
            joined.reserve(self.len - joined.len());
            self.chunks.drain(..).for_each(|chunk| joined.extend_from_slice(&chunk));
            self.chunks.push_back(Bytes::from(joined));
        }
        self.chunks.front().map(Bytes::as_ref).unwrap_or_default()
    }

    /// All bytes, taken out.
    pub fn take_all(&mut self) -> Bytes {
        self.all();
        self.take_chunk().unwrap_or_default()
    }

    pub(crate) fn front(&self) -> Option<&Bytes> {
        self.chunks.front()
    }

    /// Drops the first bytes; not more than the first chunk has.
    pub(crate) fn drop_front(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.len -= count;
        match self.chunks.front_mut() {
            Some(first) if first.len() > count => first.advance(count),
            _ => {
                self.chunks.pop_front();
            }
        }
    }

    /// Takes `count` bytes out of the first chunk, which must have that many.
    #[inline(always)]
    pub(crate) fn split_front(&mut self, count: usize) -> Bytes {
        match self.chunks.front_mut() {
            Some(first) if first.len() > count => {
                self.len -= count;
                first.split_to(count)
            }
            _ if count == 0 => Bytes::new(),
            _ => self.take_chunk().unwrap_or_default(),
        }
    }
}

/// Appends. Copies the old bytes only if they are shared or their allocation has no room.
fn join(last: &mut Bytes, chunk: &[u8]) {
    let mut joined = Vec::from(std::mem::take(last));
    joined.extend_from_slice(chunk);
    *last = Bytes::from(joined);
}
