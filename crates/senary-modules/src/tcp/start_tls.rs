//! `startTls()`: an open connection is encrypted, between what was written before and what is written afterwards.
//!
//! Its place in the queue of writes keeps the order: what was written before goes out in plain text, what comes behind it
//! waits until the handshake is through.

use std::rc::Rc;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Object, Value};
use senary_js::promise::pending;
use senary_net::{DialProgress, Stream, TlsInfo};

use super::class::{Receiver, refuse};
use super::core::{NO_CONNECTION, SocketCore, Waiting};
use super::events::SocketEvent;
use super::extended_class::extended_of;
use super::framing::options_of;
use super::tls::{self, TlsSettings};
use super::{pump, send};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::Tags;

pub fn start_tls<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    given: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    pump::refuse_meanwhile(&ctx, extended, "startTls()")?;
    let settings = match options_of(&ctx, "startTls()", "{ servername: \"db.test\" }", given.0.as_ref())? {
        Some(given) => tls::of_start_tls(&ctx, &given)?,
        None => TlsSettings::default(),
    };
    let is_encrypted = core.stream.borrow().as_ref().is_some_and(|stream| stream.tls_info().is_some());
    let refusal = if !core.is_open() || core.is_ending() {
        Some(("ENOTCONN", NO_CONNECTION))
    } else if is_encrypted || is_asked_for(&core) {
        Some(("ERR_TLS_ALREADY", "the connection is encrypted already, or about to be"))
    } else {
        None
    };
    if let Some((code, text)) = refusal {
        return refuse(&ctx, &this.0, SocketFailure::new(Method::StartTls, code, text), &Tags::new());
    }
    let (promise, resolvers) = pending(&ctx)?;
    extended.encrypted_from.set(Some(extended.requests.borrow().next_number()));
    extended.tls.replace(Some(Box::new(settings)));
    let called = CallSite::here(&ctx);
    send::queue(&core, Vec::new(), 0, Waiting::StartTls(resolvers), Tags::new(), called);
    Ok(promise)
}

fn is_asked_for(socket: &SocketCore) -> bool {
    socket.writes.borrow().iter().any(|write| matches!(write.waiting, Waiting::StartTls(_)))
}

/// Whether all that was written before is through, so that the handshake may begin.
pub fn is_due(socket: &SocketCore) -> bool {
    socket.writes.borrow().front().is_some_and(|write| matches!(write.waiting, Waiting::StartTls(_)))
}

/// Makes the handshake; the stream is back, or gone, when that is over.
pub async fn upgrade(socket: &Rc<SocketCore>) {
    let Some(settings) = socket.extended.as_ref().and_then(|extended| extended.tls.take()) else { return };
    let Some(stream) = socket.stream.take() else { return };
    let progress = Rc::new(DialProgress::default());
    socket.attempt.replace(Some(progress.clone()));
    let dialer = socket.vu.settings.dialer.clone();
    let host = socket.books.host().unwrap_or_default();
    // What was received is plain text, all of it: what came with it is the script's to read.
    let security = settings.security();
    let secured = dialer.secure(stream, &[], &host, &security, &progress);
    let secured = match tokio::time::timeout(settings.timeout, secured).await {
        Ok(secured) => secured.map_err(|error| SocketFailure::from_net(Method::StartTls, &error)),
        Err(_) => {
            let text = format!("the connection was not encrypted within {}ms", settings.timeout.as_millis());
            Err(SocketFailure::new(Method::StartTls, "ETIMEDOUT", text))
        }
    };
    socket.account_wire_bytes();
    socket.record_attempt();
    let asked = socket.writes.borrow_mut().pop_front();
    let Some((Waiting::StartTls(promise), called)) = asked.map(|asked| (asked.waiting, asked.called)) else {
        return;
    };
    match secured {
        Ok(stream) => {
            if let Some(extended) = &socket.extended {
                extended.inbound.borrow_mut().set_aside();
                extended.encrypted_from.set(None);
            }
            socket.stream.replace(Some(stream));
            socket.emit_from_io(SocketEvent::Written(promise));
        }
        Err(failure) => {
            let failure = failure.called_at(called);
            let failure = socket.failed(failure, &Tags::new());
            socket.emit_from_io(SocketEvent::TlsFailed(failure, promise));
        }
    }
}

/// The property `tls`.
pub fn info<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<Value<'js>> {
    let info = this.0.borrow().core.stream.borrow().as_ref().and_then(Stream::tls_info);
    match info {
        None => Ok(Value::new_undefined(ctx)),
        Some(info) => object(&ctx, info).map(Object::into_value),
    }
}

fn object<'js>(ctx: &Ctx<'js>, info: TlsInfo) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("version", info.version)?;
    object.set("cipher", info.cipher)?;
    object.set("alpn", info.alpn)?;
    object.set("resumed", info.resumed)?;
    let known = info.peer.unwrap_or_default();
    let peer = Object::new(ctx.clone())?;
    peer.set("subject", known.subject)?;
    peer.set("issuer", known.issuer)?;
    peer.set("notBefore", known.not_before)?;
    peer.set("notAfter", known.not_after)?;
    peer.set("fingerprint256", known.fingerprint256)?;
    object.set("peer", peer)?;
    Ok(object)
}
