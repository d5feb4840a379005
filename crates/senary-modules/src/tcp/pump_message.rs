//! The messages of a pump: which comes next, what is written into it, and by which key its reply finds it.

use std::rc::Rc;

use rquickjs::Ctx;
use senary_wire::{EncodeError, Field, Framing, Key, Template, Values};

use super::framing::wrong;
use super::pump_flights::Flights;
use super::pump_schedule::Random;
use super::requests::{Correlation, KeyOf};

/// How replies find requests, where native code can say so.
#[derive(Clone, Copy)]
pub enum Keys {
    InOrder,
    Fields { request: Field, reply: Field },
    Auto { request: Field, reply: Field },
}

/// What goes out.
enum Outgoing {
    /// Always the same.
    Same {
        frame: Vec<u8>,
        key: u64,
    },
    Differs(Template),
}

pub struct Messages {
    list: Vec<Outgoing>,
    /// Which one is next.
    turn: usize,
    framing: Option<Rc<Framing>>,
    pub keys: Keys,
    /// How many were made.
    sequence: u64,
    /// The last number that the socket gave to a request (`auto`).
    pub last_auto: u64,
    vu: u64,
    iteration: u64,
    scratch: Vec<u8>,
}

/// The result of making a message.
pub enum Made {
    /// It was appended; its key.
    Yes(u64),
    /// A request under way has its key: it has to wait.
    NotYet,
    /// It has no place in the framing.
    Never(EncodeError),
}

impl Keys {
    pub fn of(ctx: &Ctx<'_>, correlation: &Correlation) -> rquickjs::Result<Self> {
        match correlation {
            Correlation::InOrder => Ok(Self::InOrder),
            Correlation::Auto { request, reply } => Ok(Self::Auto { request: *request, reply: *reply }),
            Correlation::ByKey {
                request: KeyOf::Place(Key::Field(request)),
                reply: KeyOf::Place(Key::Field(reply)),
            } => Ok(Self::Fields { request: *request, reply: *reply }),
            Correlation::ByKey { .. } => {
                let text = "pump() runs without script, and cannot ask a pattern or a function for a key";
                Err(wrong(ctx, &format!("{text}: correlate by a place such as {{ offset: 0, bytes: 4 }}")))
            }
        }
    }

    pub fn are_used(self) -> bool {
        !matches!(self, Self::InOrder)
    }

    pub fn of_reply(self, message: &[u8]) -> Option<u64> {
        match self {
            Self::InOrder => None,
            Self::Fields { reply, .. } | Self::Auto { reply, .. } => reply.read(message).ok(),
        }
    }
}

impl Messages {
    /// Refuses messages that could never be sent.
    pub fn new(
        ctx: &Ctx<'_>,
        templates: Vec<Template>,
        framing: Option<Rc<Framing>>,
        keys: Keys,
        last_auto: u64,
        (vu, iteration): (u64, u64),
    ) -> rquickjs::Result<Self> {
        let mut list = Vec::with_capacity(templates.len());
        for template in templates {
            let (key, place) = match keys {
                Keys::InOrder => (0, Ok(())),
                Keys::Fields { request, .. } => {
                    let key = request.read(template.data());
                    (key.clone().unwrap_or_default(), key.map(drop))
                }
                Keys::Auto { request, .. } => (0, request.write(&mut template.data().to_vec(), 0)),
            };
            place.map_err(|error| wrong(ctx, &format!("message has no place for its key: {error}")))?;
            let mut frame = Vec::new();
            let encoded = append(framing.as_deref(), template.data(), &mut frame);
            list.push(if template.is_constant() && !matches!(keys, Keys::Auto { .. }) {
                encoded.map_err(|error| wrong(ctx, &format!("message: {error}")))?;
                Outgoing::Same { frame, key }
            } else {
                Outgoing::Differs(template)
            });
        }
        let scratch = Vec::new();
        Ok(Self { list, turn: 0, framing, keys, sequence: 0, last_auto, vu, iteration, scratch })
    }

    /// Appends the frame of the next message.
    pub fn make(&mut self, flights: &Flights, random: &mut Random, time: u64, out: &mut Vec<u8>) -> Made {
        let template = match &self.list[self.turn] {
            Outgoing::Same { key, .. } if self.keys.are_used() && flights.has_key(*key) => {
                return Made::NotYet;
            }
            Outgoing::Same { frame, key } => {
                out.extend_from_slice(frame);
                let key = *key;
                self.go_on();
                return Made::Yes(key);
            }
            Outgoing::Differs(template) => template,
        };
        self.scratch.clear();
        let (sequence, vu, iteration) = (self.sequence, self.vu, self.iteration);
        let mut values = Values { sequence, vu, iteration, time, random: &mut || random.next() };
        template.write(&mut values, &mut self.scratch);
        // Templates were checked to have room for the key.
        let key = match self.keys {
            Keys::InOrder => 0,
            Keys::Fields { request, .. } => request.read(&self.scratch).unwrap_or_default(),
            Keys::Auto { request, .. } => match unused(flights, self.last_auto, request.largest()) {
                Some(number) => {
                    self.last_auto = number;
                    let _ = request.write(&mut self.scratch, number);
                    number
                }
                None => return Made::NotYet,
            },
        };
        if self.keys.are_used() && flights.has_key(key) {
            return Made::NotYet;
        }
        self.go_on();
        match append(self.framing.as_deref(), &self.scratch, out) {
            Ok(()) => Made::Yes(key),
            Err(error) => Made::Never(error),
        }
    }

    fn go_on(&mut self) {
        self.sequence += 1;
        self.turn += 1;
        if self.turn == self.list.len() {
            self.turn = 0;
        }
    }
}

/// The first number after `last` that no request under way has. It is never 0: MQTT and others do not allow that.
fn unused(flights: &Flights, last: u64, largest: u64) -> Option<u64> {
    let mut number = last;
    for _ in 0..=flights.under_way() {
        number = if number >= largest { 1 } else { number + 1 };
        if !flights.has_key(number) {
            return Some(number);
        }
    }
    None
}

fn append(framing: Option<&Framing>, message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match framing {
        Some(framing) => framing.encode(message, out),
        None => {
            out.extend_from_slice(message);
            Ok(())
        }
    }
}
