//! `request()`: a message goes out, and its reply is waited for. How replies find their requests is `requests`' business.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::function::Opt;
use rquickjs::{Ctx, Persistent, Value};
use senary_js::promise::pending;
use senary_wire::Id;

use super::class::{Receiver, refuse};
use super::connect_options::is_true;
use super::core::{NO_CONNECTION, SocketCore, Waiting};
use super::delivery::{self, Side};
use super::encoding::Encoding;
use super::extended::Extended;
use super::extended_class::{SCRATCH, duration, encode, extended_of, matcher};
use super::framing::{field, only_known, options_of, whole, wrong};
use super::pump;
use super::request_series;
use super::requests::{Answer, Correlation, Pending, Serial};
use super::send::{self, WriteOutcome};
use crate::connection::bytes::{Caller, TextAs, with_bytes};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::{self, Tags};

/// How long a request waits for its reply where it does not say otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const CALLER: Caller = Caller { name: "request()", method: Method::Request };

struct Asked {
    timeout: Duration,
    tags: Tags,
    answer: Answer,
    as_list: bool,
    /// The request has no key. Its reply is the next message without a key, or with an unknown one.
    in_order: bool,
}

fn request_options<'js>(
    ctx: &Ctx<'js>,
    text_as: TextAs<'_>,
    given: Option<&Value<'js>>,
) -> rquickjs::Result<Asked> {
    let mut asked = Asked {
        timeout: REQUEST_TIMEOUT,
        tags: Tags::new(),
        answer: Answer::Replies(1),
        as_list: false,
        in_order: false,
    };
    let Some(given) = options_of(ctx, "request()", "{ timeout: 1000 }", given)? else { return Ok(asked) };
    only_known(&given, "request()", &[&["timeout", "tags", "replies", "until", "inOrder"]])?;
    asked.tags = options::tags(ctx, &given)?;
    asked.in_order = field(&given, "inOrder")?.map_or(Ok(false), |value| is_true(&value))?;
    if let Some(timeout) = field(&given, "timeout")? {
        asked.timeout = duration(ctx, "timeout", &timeout)?;
    }
    if let Some(replies) = field(&given, "replies")? {
        let replies = whole(ctx, "replies", &replies)?;
        if replies == 0 {
            return Err(wrong(ctx, "replies is at least 1; send() waits for none"));
        }
        (asked.answer, asked.as_list) = (Answer::Replies(replies), true);
    }
    if let Some(until) = field(&given, "until")? {
        if asked.as_list {
            return Err(wrong(ctx, "request() takes replies or until, not both"));
        }
        (asked.answer, asked.as_list) = (answer_until(ctx, text_as, &until)?, true);
    }
    Ok(asked)
}

fn answer_until<'js>(ctx: &Ctx<'js>, text_as: TextAs<'_>, until: &Value<'js>) -> rquickjs::Result<Answer> {
    match until.as_function() {
        Some(function) => Ok(Answer::UntilFunction(Persistent::save(ctx, function.clone()))),
        None => Ok(Answer::Until(matcher(ctx, "until", text_as, until)?)),
    }
}

pub fn request<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    data: Opt<Value<'js>>,
    given: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let due = Instant::now();
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    pump::refuse_meanwhile(&ctx, extended, "request()")?;
    if !extended.is_framed.get() {
        let text = "request() needs a framing, to know where a reply ends: new Socket({ framing: \"u32\" })";
        return Err(wrong(&ctx, text));
    }
    let text_as = Encoding::of_sent_text(extended.settings.encoding);
    let asked = request_options(&ctx, text_as, given.0.as_ref())?;
    if !core.is_open() {
        let failure = SocketFailure::new(Method::Request, "ENOTCONN", NO_CONNECTION);
        return refuse_request(&ctx, &this, extended, failure, &asked.tags);
    }
    if extended.inbound.borrow().ended {
        return refuse_request(&ctx, &this, extended, peer_has_ended(), &asked.tags);
    }
    let (mut message, mut frame) = SCRATCH.take();
    message.clear();
    frame.clear();
    let copied =
        with_bytes(&ctx, data.0.as_ref(), text_as, CALLER, |bytes| message.extend_from_slice(bytes))?;
    let made = match copied {
        Ok(()) => make_request(&ctx, &core, extended, asked.in_order, &mut message, &mut frame)?,
        Err(failure) => Err(failure),
    };
    let result = match made {
        Ok(key) => send_request(&ctx, &this, &core, extended, key, &frame, asked, due),
        Err(failure) => refuse_request(&ctx, &this, extended, failure, &asked.tags),
    };
    SCRATCH.replace((message, frame));
    result
}

/// Our side may still be open, but nothing can answer.
pub fn peer_has_ended() -> SocketFailure {
    let text = "the peer has ended its side of the connection: no reply can come";
    SocketFailure::new(Method::Request, "ERR_SOCKET_CLOSED", text)
}

/// Puts the number of the socket's own in, if there is one, and frames the message; gives back its key.
fn make_request<'js>(
    ctx: &Ctx<'js>,
    core: &Rc<SocketCore>,
    extended: &Extended,
    in_order: bool,
    message: &mut [u8],
    frame: &mut Vec<u8>,
) -> rquickjs::Result<Result<Option<Id>, SocketFailure>> {
    let invalid = |text: String| SocketFailure::new(Method::Request, "ERR_INVALID_ARG_VALUE", text);
    let key = match &extended.settings.correlation {
        _ if in_order => None,
        Correlation::InOrder => None,
        Correlation::ByKey { request, .. } => {
            match delivery::key_of(ctx, core, extended, request, message, Side::Request)? {
                Some(key) => Some(key),
                None => {
                    return Ok(Err(invalid(
                        "the request has no key by which its reply could find it".to_owned(),
                    )));
                }
            }
        }
        Correlation::Auto { request, .. } => {
            let number = extended.requests.borrow_mut().new_number(request.largest());
            let Some(number) = number else {
                return Ok(Err(invalid(
                    "all numbers that fit the place are taken by requests under way".to_owned(),
                )));
            };
            if let Err(error) = request.write(message, number) {
                return Ok(Err(invalid(error.to_string())));
            }
            Some(Id::Number(number))
        }
    };
    Ok(encode(extended, message, frame)
        .map(|()| key)
        .map_err(|error| SocketFailure::of_encoding(Method::Request, &error)))
}

fn send_request<'js>(
    ctx: &Ctx<'js>,
    this: &Receiver<'js>,
    core: &Rc<SocketCore>,
    extended: &Extended,
    key: Option<Id>,
    frame: &[u8],
    asked: Asked,
    due: Instant,
) -> rquickjs::Result<Value<'js>> {
    let (promise, resolvers) = pending(ctx)?;
    let Asked { timeout, tags, answer, as_list, .. } = asked;
    let deadline = due.checked_add(timeout).unwrap_or(due + REQUEST_TIMEOUT * 1000);
    let pending = Pending {
        key,
        due,
        sent: None,
        first_byte: None,
        deadline,
        promise: Some(resolvers),
        answer,
        as_list,
        replies: Vec::new(),
        tags: tags.clone(),
        called: CallSite::here(ctx),
    };
    let serial = extended.requests.borrow_mut().add(pending);
    let Some(serial) = serial else {
        let text = "another request under way has the same key";
        let failure = SocketFailure::new(Method::Request, "ERR_INVALID_ARG_VALUE", text);
        return refuse_request(ctx, this, extended, failure, &tags);
    };
    send_now(ctx, core, extended, serial, frame, tags)?;
    extended.note_deadline(deadline);
    core.wake();
    Ok(promise)
}

/// Hands a request to the kernel, as far as it takes it.
fn send_now(
    ctx: &Ctx<'_>,
    core: &Rc<SocketCore>,
    extended: &Extended,
    serial: Serial,
    frame: &[u8],
    tags: Tags,
) -> rquickjs::Result<()> {
    match send::now(core, frame) {
        WriteOutcome::Done => {
            let now = Instant::now();
            if let Some(pending) = extended.requests.borrow_mut().get_mut(serial) {
                pending.sent = Some(now);
                request_series::written(core, extended, pending, now);
            }
        }
        WriteOutcome::Left { data, written } => {
            core.owed.asked(core.books.count(core.metrics.writes));
            core.books.count(extended.metrics.sent);
            send::queue(core, data, written, Waiting::Request(serial), tags, None);
            core.vu.memory.check(ctx)?;
        }
        WriteOutcome::NoConnection => {
            let failure = SocketFailure::new(Method::Request, "ENOTCONN", NO_CONNECTION);
            delivery::request_not_sent(ctx, core, extended, serial, &failure)?;
        }
        WriteOutcome::Failed(failure) => {
            core.books.count(core.metrics.writes);
            core.books.count(extended.metrics.sent);
            delivery::request_not_sent(ctx, core, extended, serial, &failure)?;
        }
    }
    Ok(())
}

/// A request that is refused on the spot; it counts as failed.
fn refuse_request<'js>(
    ctx: &Ctx<'js>,
    this: &Receiver<'js>,
    extended: &Extended,
    failure: SocketFailure,
    tags: &Tags,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    delivery::count_failed(&core, extended, &failure, tags, false);
    refuse(ctx, &this.0, failure, tags)
}
