//! What TCP itself has measured of a connection: `tcpInfo()`, and the option `tcpInfo`, which makes metrics of it.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use rquickjs::{Ctx, Object, Value};
use senary_net::{Stream, TcpInfo};
use tokio::time::Sleep;

use super::class::Receiver;
use super::connect_options::is_true;
use super::core::SocketCore;
use super::extended::Extended;
use super::extended_class::duration;
use super::framing::wrong;
use crate::connection::books::milliseconds;

/// When TCP is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    #[default]
    Never,
    /// When the connection ends.
    AtTheEnd,
    /// And every so often before.
    Every(Duration),
}

impl Asks {
    /// The option `tcpInfo`: a truth value or a time.
    pub fn of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Self> {
        if !value.is_number() && !value.is_string() {
            return Ok(if is_true(value)? { Self::AtTheEnd } else { Self::Never });
        }
        match duration(ctx, "tcpInfo", value)? {
            Duration::ZERO => Err(wrong(ctx, "tcpInfo is true, or a time of more than 0")),
            every => Ok(Self::Every(every)),
        }
    }
}

/// Records what TCP has measured until now.
pub fn record(socket: &SocketCore, extended: &Extended, stream: &Stream) {
    if extended.settings.tcp_info == Asks::Never {
        return;
    }
    let Some(info) = stream.tcp_info() else {
        if socket.vu.warn_once("tcp.info") {
            let hint = "tcpInfo is for TCP connections on Linux";
            log::warn!(hint = hint, module = "tcp"; "The system does not tell what TCP has measured");
        }
        return;
    };
    let metrics = &extended.metrics;
    let values = [
        (metrics.rtt, milliseconds(info.rtt)),
        (metrics.rtt_variance, milliseconds(info.rtt_variance)),
        (metrics.min_rtt, milliseconds(info.min_rtt)),
        // The kernel counts from the beginning of the connection.
        (
            metrics.retransmits,
            f64::from(info.retransmits.saturating_sub(extended.retransmits.replace(info.retransmits))),
        ),
        (metrics.congestion_window, f64::from(info.congestion_window)),
        (metrics.delivery_rate, info.delivery_rate as f64),
    ];
    for (metric, value) in values {
        socket.books.record(metric, value);
    }
}

/// The timer of a socket that asks every so often.
#[derive(Default)]
pub struct Round(Option<Pin<Box<Sleep>>>);

impl Round {
    pub fn poll(&mut self, socket: &SocketCore, extended: &Extended, cx: &mut Context<'_>) {
        let Asks::Every(every) = extended.settings.tcp_info else { return };
        loop {
            let next = || Box::pin(tokio::time::sleep(every));
            if self.0.get_or_insert_with(next).as_mut().poll(cx).is_pending() {
                return;
            }
            self.0 = None;
            if let Some(stream) = &*socket.stream.borrow() {
                record(socket, extended, stream);
            }
        }
    }
}

/// The method `tcpInfo()`.
pub fn tcp_info<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<Value<'js>> {
    let info = this.0.borrow().core.stream.borrow().as_ref().and_then(Stream::tcp_info);
    match info {
        None => Ok(Value::new_undefined(ctx)),
        Some(info) => object(&ctx, &info).map(Object::into_value),
    }
}

fn object<'js>(ctx: &Ctx<'js>, info: &TcpInfo) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("rtt", milliseconds(info.rtt))?;
    object.set("rttVariance", milliseconds(info.rtt_variance))?;
    object.set("minRtt", milliseconds(info.min_rtt))?;
    object.set("retransmits", info.retransmits)?;
    object.set("unacked", info.unacked)?;
    object.set("congestionWindow", info.congestion_window)?;
    object.set("deliveryRate", info.delivery_rate as f64)?;
    Ok(object)
}
