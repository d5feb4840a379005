//! The series that the requests of a socket record to, kept at hand: a request records to nine of them, and looks up none.

use std::time::Instant;

use senary_metrics::{SeriesId, TagSetId};

use super::core::SocketCore;
use super::extended::Extended;
use super::requests::Pending;
use crate::connection::books::milliseconds;
use crate::connection::options::Tags;

/// Requests of a script have few different tags; those of more are looked up again.
const KEPT: usize = 4;

/// The series under the VU's tags and those of a call.
#[derive(Clone, Copy)]
struct Ids {
    writes: SeriesId,
    sent: SeriesId,
    received: SeriesId,
    requests: SeriesId,
    blocked: SeriesId,
    duration: SeriesId,
    waiting: SeriesId,
    failed: SeriesId,
}

struct Known {
    under: TagSetId,
    tags: Tags,
    ids: Ids,
}

#[derive(Default)]
pub struct RequestSeries {
    known: Vec<Known>,
}

impl RequestSeries {
    fn ids(&mut self, socket: &SocketCore, extended: &Extended, tags: &Tags) -> Ids {
        let under = socket.vu.tags.id();
        if let Some(known) = self.known.iter().find(|known| known.under == under && known.tags == *tags) {
            return known.ids;
        }
        let metrics = &extended.metrics;
        let (own, none) = (|metric| socket.books.series(metric, None, tags), Tags::new());
        let of_socket = |metric| socket.books.series(metric, None, &none);
        let ids = Ids {
            writes: of_socket(socket.metrics.writes),
            sent: of_socket(metrics.sent),
            received: of_socket(metrics.received),
            requests: own(metrics.requests),
            blocked: own(metrics.blocked),
            duration: own(metrics.duration),
            waiting: own(metrics.waiting),
            failed: own(metrics.failed),
        };
        if self.known.len() == KEPT {
            self.known.remove(0);
        }
        self.known.push(Known { under, tags: tags.clone(), ids });
        ids
    }
}

fn ids(socket: &SocketCore, extended: &Extended, tags: &Tags) -> Ids {
    extended.request_series.borrow_mut().ids(socket, extended, tags)
}

/// A request was handed to the kernel, all of it, in the call that made it.
pub fn written(socket: &SocketCore, extended: &Extended, request: &Pending, now: Instant) {
    let of = ids(socket, extended, &request.tags);
    let blocked = milliseconds(now.saturating_duration_since(request.due));
    let samples = [(of.writes, 1.0), (of.sent, 1.0), (of.requests, 1.0), (of.blocked, blocked)];
    let at = socket.vu.worker.clock.at(now);
    socket.owed.asked(at);
    socket.vu.record_all(&samples, at);
}

/// The last byte of a request that had to wait was handed to the kernel.
pub fn sent(socket: &SocketCore, extended: &Extended, request: &Pending, now: Instant) {
    let of = ids(socket, extended, &request.tags);
    let blocked = milliseconds(now.saturating_duration_since(request.due));
    let samples = [(of.requests, 1.0), (of.blocked, blocked)];
    socket.vu.record_all(&samples, socket.vu.worker.clock.at(now));
}

/// A message came that was all of an answer, or the end of one.
pub fn answered(socket: &SocketCore, extended: &Extended, request: &Pending, last_byte: Instant) {
    let of = ids(socket, extended, &request.tags);
    let duration = milliseconds(last_byte.saturating_duration_since(request.due));
    let last = match request.sent {
        Some(sent) => {
            let first_byte = request.first_byte.unwrap_or(last_byte);
            (of.waiting, milliseconds(first_byte.saturating_duration_since(sent)))
        }
        // Its answer came before all of it was sent. It is counted here, because it is forgotten when the rest of it is sent.
        None => (of.requests, 1.0),
    };
    let samples = [(of.received, 1.0), (of.duration, duration), (of.failed, 0.0), last];
    socket.vu.record_all(&samples, socket.vu.worker.clock.at(last_byte));
}
