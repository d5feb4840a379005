//! Requests as a site gets them, and its answers: whole ones, and such that come bit by bit.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use super::connections::Connection;

/// Parts of a streamed answer that may wait for a slow client.
const QUEUE: usize = 8;

/// What a server has to offer.
pub trait Site: Send + Sync + 'static {
    /// Answers a request. May block; it is called on a thread where that is no harm.
    fn answer(&self, asked: &Asked<'_>) -> Answer;

    /// Whether a web page with that origin, which is not of this site, may read what is at a path.
    fn is_for_page(&self, path: &str, origin: &str) -> bool {
        let _ = (path, origin);
        false
    }

    /// What a client reads that cannot be answered.
    fn error(&self, status: StatusCode, title: &str, detail: &str) -> Answer;
}

/// A request, and all of its body.
pub struct Asked<'a> {
    pub head: &'a Parts,
    pub body: &'a [u8],
}

/// An answer.
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Stream(Stream),
}

/// Sends the parts of an answer, and ends with it.
type Stream = Box<dyn FnOnce(Sender) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Where the parts of a streamed answer go.
pub struct Sender {
    parts: mpsc::Sender<Bytes>,
    /// So that the connection does not give way to others.
    connection: Arc<Connection>,
}

impl Sender {
    /// Waits while the client is slow. False once it has gone.
    pub async fn send(&self, part: impl Into<Bytes>) -> bool {
        self.parts.send(part.into()).await.is_ok()
    }

    /// Comes when the client has gone.
    pub async fn gone(&self) {
        self.parts.closed().await;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.connection.set_at_work(false);
    }
}

impl Answer {
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), content: Content::Whole(Bytes::new()) }
    }

    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(body.into()), ..Self::empty(status) }
            .with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// An answer whose parts are sent by what `stream` makes.
    pub fn streamed<F: Future<Output = ()> + Send + 'static>(
        content_type: &'static str,
        stream: impl FnOnce(Sender) -> F + Send + 'static,
    ) -> Self {
        let content = Content::Stream(Box::new(move |sender| Box::pin(stream(sender))));
        Self { content, ..Self::empty(StatusCode::OK) }
            .with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn into_response(self, connection: &Arc<Connection>) -> Response<ReplyBody> {
        let body = match self.content {
            Content::Whole(bytes) => ReplyBody::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Content::Stream(stream) => {
                let (parts, receiver) = mpsc::channel(QUEUE);
                connection.set_at_work(true);
                tokio::spawn(stream(Sender { parts, connection: connection.clone() }));
                ReplyBody::Stream(receiver)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The body of an answer on its way.
pub(super) enum ReplyBody {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(parts) => parts.poll_recv(context).map(|part| Some(Ok(Frame::data(part?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
