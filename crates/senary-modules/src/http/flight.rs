//! A request on its way: compressed, paced, sent, sent again after a redirect or a challenge, and recorded. No script
//! runs here; `response` makes what script gets.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use senary_js::settings::HttpDebug;
use senary_js::vu::core::VuCore;
use senary_js::wake;
use senary_net::TlsInfo;
use senary_net::http::{
    ConnectionId, Exchange, Head, Headers as WireHeaders, HttpError, HttpFailure, HttpRequest, HttpResponse,
    HttpTimings, ResponseBody,
};

use super::auth;
use super::books::{Entry, Tags, Unexpected};
use super::compression;
use super::constants;
use super::cookie;
use super::debug;
use super::destination::Destination;
use super::header;
use super::redirect::{self, Redirect};
use super::request::{Auth, Headers, Method, Request, RequestCookie, ResponseType};
use super::state::HttpState;

/// The default number of redirects that are followed.
const DEFAULT_MAX_REDIRECTS: u32 = 10;

/// The reference's code for a body that cannot be decompressed.
const DECOMPRESSION: u16 = 1701;

pub struct Flight {
    pub vu: Rc<VuCore>,
    pub state: Rc<HttpState>,
    pub request: Request,
    pub tags: Tags,
    /// Responses that were not expected, and errors, to be counted once script runs again.
    pub unexpected: RefCell<Vec<Unexpected>>,
    begun: Instant,
}

/// The outcome of a request.
#[derive(Debug, Default)]
pub struct Answer {
    pub url: Rc<str>,
    pub status: u16,
    /// The words behind the status.
    pub reason: Cow<'static, str>,
    pub proto: &'static str,
    pub headers: WireHeaders,
    /// The decompressed body; `None` if there is none, or the script does not want it.
    pub body: Option<Bytes>,
    pub timings: HttpTimings,
    pub remote: Option<SocketAddr>,
    pub tls: Option<Rc<TlsInfo>>,
    pub error: String,
    pub error_code: u16,
    /// The text of the error for the log, or to be thrown.
    pub failure: Option<String>,
    pub sent: Sent,
}

/// What was sent first.
#[derive(Debug, Default)]
pub struct Sent {
    pub headers: Rc<Headers>,
    pub cookies: Vec<RequestCookie>,
}

/// One of the requests that a request may take.
struct Leg {
    method: Method,
    url: Rc<Destination>,
    headers: Rc<Headers>,
    body: Bytes,
    /// What answers a challenge.
    authorization: Option<String>,
    /// The connection on which a dialogue with the server continues.
    connection: Option<ConnectionId>,
    cookies: Vec<RequestCookie>,
    /// A response of this status is expected, because it is a challenge.
    expects_challenge: bool,
    deadline: Instant,
}

/// A response, decompressed and judged.
struct Judged {
    head: Head,
    body: Option<Bytes>,
    exchange: Exchange,
    error_code: u16,
}

/// A failed leg.
struct Failed {
    text: String,
    code: u16,
    log: String,
    exchange: Exchange,
}

impl Answer {
    /// The status and the words behind it; nothing without a response.
    pub fn status_text(&self) -> String {
        match self.status {
            0 => String::new(),
            status => format!("{status} {}", self.reason).trim_end().to_owned(),
        }
    }
}

impl Flight {
    pub fn new(vu: Rc<VuCore>, state: Rc<HttpState>, request: Request, tags: Tags) -> Rc<Self> {
        Rc::new(Self { vu, state, request, tags, unexpected: RefCell::default(), begun: Instant::now() })
    }

    /// The request to its end.
    pub async fn fly(self: Rc<Self>) -> Answer {
        self.pace().await;
        let mut leg = match self.first_leg() {
            Ok(leg) => leg,
            Err(text) => return self.unsent(&self.request.url, text),
        };
        let sent = Sent { headers: leg.headers.clone(), cookies: leg.cookies.clone() };
        let mut redirects = 0;
        loop {
            let answer = match self.authenticated(&mut leg).await {
                Err(failed) => self.failed(&leg, failed),
                Ok(judged) => match self.next_leg(&leg, &judged, &mut redirects) {
                    Some(Ok(next)) => {
                        leg = next;
                        self.pace().await;
                        continue;
                    }
                    Some(Err(text)) => {
                        let log = Request::error_prefix(&leg.method, &leg.url) + &text;
                        self.failed(&leg, Failed { text, code: 1000, log, exchange: judged.exchange })
                    }
                    None => answered(&leg, judged),
                },
            };
            return Answer { sent, ..answer };
        }
    }

    /// How long it has waited, and for what, as text.
    pub fn describe(&self) -> String {
        let waited = senary_js::vu::failures::to_hundredths(self.begun.elapsed());
        let (method, url) = (&self.request.method, self.request.url.masked());
        format!("{method} {url} has no response after {}", senary_words::duration::format_go(waited))
    }

    /// Waits for its turn, if the rate of requests is limited.
    async fn pace(&self) {
        let now = Instant::now();
        let turn = self.state.pace.turn(self.vu.settings.http.rps, now);
        if turn > now {
            wake::sleep_until(turn).await;
        }
    }

    fn first_leg(&self) -> Result<Leg, String> {
        let request = &self.request;
        let mut headers = request.headers.clone();
        let body = if request.compression.is_empty() || request.body.is_empty() {
            request.body.clone()
        } else {
            let compressed = compression::encode(&request.compression, &request.body);
            let (body, encoding) = compressed.map_err(|error| error.to_string())?;
            match header::get(&headers, "content-encoding") {
                None => header::set(Rc::make_mut(&mut headers), "Content-Encoding", encoding),
                Some(given) if given != encoding => log::warn!(
                    "the request {} {} has the header \"Content-Encoding: {given}\", which the script gave it, but its body is compressed as {encoding}",
                    request.method,
                    request.url.masked()
                ),
                Some(_) => {}
            }
            body.into()
        };
        drop_lengths(&mut headers, body.len(), request);
        Ok(Leg {
            method: request.method.clone(),
            cookies: merged(&request.cookies, request.jar.cookies_for(&request.url)),
            url: request.url.clone(),
            headers,
            body,
            authorization: None,
            connection: None,
            expects_challenge: request.auth != Auth::Basic,
            deadline: Instant::now() + request.timeout,
        })
    }

    /// Sends a leg, and again as long as the server asks for more of the client's credentials.
    async fn authenticated(&self, leg: &mut Leg) -> Result<Judged, Failed> {
        let mut challenges = auth::Challenges::default();
        loop {
            let judged = self.send(leg).await?;
            leg.expects_challenge = false;
            if judged.head.status != 401 || self.request.auth == Auth::Basic {
                return Ok(judged);
            }
            let Some(user) = &leg.url.user else { return Ok(judged) };
            let path = leg.url.request_path();
            let next = challenges.answer(
                self.request.auth,
                user,
                &judged.head.headers,
                &auth::Asked { method: &leg.method, path: &path, body: &leg.body },
            );
            match next {
                None => return Ok(judged),
                Some(answer) => {
                    leg.expects_challenge = answer.expects_challenge;
                    leg.authorization = Some(answer.authorization);
                    leg.connection = judged.exchange.connection;
                    self.pace().await;
                }
            }
        }
    }

    /// One exchange, recorded.
    async fn send(&self, leg: &Leg) -> Result<Judged, Failed> {
        let outcome = match self.wire_request(leg) {
            Ok(request) => {
                let outcome = self.state.client(&self.vu).send(&request).await;
                self.state.count_bytes(&self.vu);
                outcome
            }
            Err(text) => {
                let error = HttpError::Request(text);
                Err(HttpFailure { error, head: None, exchange: Exchange::default() })
            }
        };
        self.log_exchange(leg, &outcome);
        let judged = match outcome {
            Ok(response) => self.judge(leg, response),
            Err(HttpFailure { error, head, exchange }) => {
                let log = Request::error_prefix(&leg.method, &leg.url) + &error.to_string();
                let failed = Failed { text: error.text(), code: error.code(), log, exchange };
                Err((failed, head.map_or(0, |head| head.status)))
            }
        };
        match judged {
            Ok(judged) => {
                let (status, code) = (judged.head.status, judged.error_code);
                self.record(leg, status, status, "", code, &judged.exchange);
                Ok(judged)
            }
            Err((failed, status)) => {
                self.record(leg, status, 0, &failed.text, failed.code, &failed.exchange);
                Err(failed)
            }
        }
    }

    fn wire_request(&self, leg: &Leg) -> Result<HttpRequest, String> {
        let target = leg.url.target()?.clone();
        let headers = match self.state.plain_wire_headers(&leg.headers) {
            Some(plain) if self.is_plain(leg) => plain,
            _ => Rc::new(self.wire_headers(leg)?),
        };
        let is_kept = self.request.response_type != ResponseType::None
            || self.vu.settings.http.debug == HttpDebug::Full;
        Ok(HttpRequest {
            method: leg.method.clone(),
            target,
            headers,
            body: (!leg.body.is_empty()).then(|| leg.body.clone()),
            deadline: Some(leg.deadline),
            max_body: self.vu.memory.limit().0,
            connection: leg.connection,
            response_body: if is_kept { ResponseBody::Keep } else { ResponseBody::Discard },
        })
    }

    /// Whether there is nothing to send besides what every request has.
    fn is_plain(&self, leg: &Leg) -> bool {
        leg.cookies.is_empty() && leg.authorization.is_none() && leg.url.user.is_none()
    }

    fn wire_headers(&self, leg: &Leg) -> Result<WireHeaders, String> {
        let size = leg.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut headers = WireHeaders::with_capacity(size);
        for (name, value) in leg.headers.iter().filter(|(name, value)| !is_left_out(name, value)) {
            if let Some(refusal) = header::refusal(name, value) {
                return Err(refusal);
            }
            headers.push(name, value);
        }
        let has_authorization = header::get(&leg.headers, "authorization").is_some();
        match (&leg.authorization, &leg.url.user) {
            (Some(answer), _) => headers.push("Authorization", answer),
            (None, Some(user)) if !has_authorization && self.request.auth == Auth::Basic => {
                let password = user.password.as_deref().unwrap_or_default();
                let credentials = STANDARD.encode(format!("{}:{password}", user.name));
                headers.push("Authorization", &format!("Basic {credentials}"));
            }
            _ => {}
        }
        let given = header::get(&leg.headers, "cookie").map(str::to_owned);
        let pairs = leg.cookies.iter().map(|cookie| cookie::pair(&cookie.name, &cookie.value));
        let cookies: Vec<String> = given.into_iter().chain(pairs).collect();
        if !cookies.is_empty() {
            headers.push("Cookie", &cookies.join("; "));
        }
        Ok(headers)
    }

    /// Keeps the cookies of a response, and turns its body into what the script gets.
    fn judge(&self, leg: &Leg, response: HttpResponse) -> Result<Judged, (Failed, u16)> {
        let HttpResponse { head, body, exchange } = response;
        self.request.jar.store(&leg.url, head.headers.all("set-cookie"));
        let has_none = matches!(head.status, 100..=199 | 204 | 304);
        let body = if self.request.response_type == ResponseType::None || has_none {
            None
        } else {
            let encoding = head.headers.get("content-encoding").unwrap_or_default();
            match compression::decode(encoding, &body, self.vu.memory.limit().0) {
                None => Some(body),
                Some(Ok(decoded)) => Some(Bytes::from(decoded)),
                Some(Err(error)) => {
                    let text = format!("error decompressing response body ({error})");
                    let failed = Failed { log: text.clone(), text, code: DECOMPRESSION, exchange };
                    return Err((failed, head.status));
                }
            }
        };
        let error_code = if (400..600).contains(&head.status) { 1000 + head.status } else { 0 };
        Ok(Judged { head, body, exchange, error_code })
    }

    fn record(&self, leg: &Leg, status: u16, judged_by: u16, error: &str, code: u16, exchange: &Exchange) {
        // A server of NTLM does not challenge a connection that is authenticated already.
        let is_challenge = leg.expects_challenge && judged_by == 401;
        let expected = self.request.expected.as_ref().map(|statuses| is_challenge || statuses.has(judged_by));
        let entry = Entry {
            method: &leg.method,
            url: &leg.url,
            status,
            proto: exchange.proto.map_or("", |proto| proto.as_str()),
            tls_version: exchange.tls.as_ref().map_or("", |tls| tls.version),
            ocsp_status: exchange.tls.as_deref().map_or("", constants::ocsp_status),
            ip: remote_of(exchange).map(|remote| remote.ip()),
            error,
            error_code: code,
            expected,
            timings: exchange.timings,
        };
        self.tags.record(&self.vu, &self.state.series, &entry);
        if entry.status == 0 || expected == Some(false) {
            self.unexpected.borrow_mut().push(Unexpected::of(&entry));
        }
    }

    fn next_leg(&self, leg: &Leg, judged: &Judged, redirects: &mut u32) -> Option<Result<Leg, String>> {
        let headers = &judged.head.headers;
        let location = headers.get("location").unwrap_or_default();
        let redirect = redirect::of(judged.head.status, location, &leg.method, &leg.url)?;
        let set_by_option = self.vu.settings.http.max_redirects;
        let limit = self.request.redirects.or(set_by_option);
        if *redirects >= limit.unwrap_or(DEFAULT_MAX_REDIRECTS) {
            if limit.is_none() {
                log::warn!(
                    url = leg.url.masked();
                    "Stopped after {redirects} redirects and returned the redirection; pass {{ redirects: n }} in request params or set global maxRedirects to silence this"
                );
            }
            return None;
        }
        *redirects += 1;
        Some(redirect.map(|redirect| self.redirected(leg, redirect, location)))
    }

    fn redirected(&self, leg: &Leg, redirect: Redirect, location: &str) -> Leg {
        let (first, request) = (&self.request.url, &self.request);
        let headers = redirect::headers(&leg.headers, first, &leg.url, &redirect, location);
        let url = Destination::new(redirect.url);
        let body = if redirect.keeps_body { leg.body.clone() } else { Bytes::new() };
        Leg {
            method: redirect.method,
            cookies: merged(&request.cookies, request.jar.cookies_for(&url)),
            url,
            headers: headers.into(),
            body,
            authorization: None,
            connection: None,
            expects_challenge: request.auth != Auth::Basic,
            deadline: leg.deadline,
        }
    }

    fn log_exchange(&self, leg: &Leg, outcome: &Result<HttpResponse, HttpFailure>) {
        let mode = self.vu.settings.http.debug;
        if mode == HttpDebug::Off {
            return;
        }
        let id = debug::new_id();
        let (exchange, body) = match outcome {
            Ok(response) => (&response.exchange, &response.body),
            Err(failure) => (&failure.exchange, &Bytes::new()),
        };
        if let Some(head) = &exchange.request_head {
            debug::request(mode, &id, head, &leg.body);
        }
        if let Some(head) = &exchange.response_head {
            debug::response(mode, &id, head, body);
        }
    }

    fn failed(&self, leg: &Leg, failed: Failed) -> Answer {
        Answer {
            url: leg.url.text().clone(),
            timings: failed.exchange.timings,
            remote: remote_of(&failed.exchange),
            error: failed.text,
            error_code: failed.code,
            failure: Some(failed.log),
            ..Answer::default()
        }
    }

    fn unsent(&self, url: &Destination, text: String) -> Answer {
        Answer {
            url: url.text().clone(),
            error: text.clone(),
            error_code: 1000,
            failure: Some(text),
            ..Answer::default()
        }
    }
}

fn answered(leg: &Leg, judged: Judged) -> Answer {
    let Judged { head, body, exchange, error_code } = judged;
    Answer {
        url: leg.url.text().clone(),
        status: head.status,
        reason: head.reason,
        proto: exchange.proto.map_or("", |proto| proto.as_str()),
        headers: head.headers,
        body,
        timings: exchange.timings,
        remote: remote_of(&exchange),
        tls: exchange.tls,
        error_code,
        ..Answer::default()
    }
}

fn remote_of(exchange: &Exchange) -> Option<SocketAddr> {
    exchange.remote.as_ref().and_then(senary_net::Address::ip)
}

/// The cookies of a request: its own, and those of the jar. The request's own cookie comes before the jar's cookie of
/// the same name, or replaces it.
fn merged(own: &[RequestCookie], of_jar: Vec<(String, String)>) -> Vec<RequestCookie> {
    let mut all = own.to_vec();
    let replaced = |name: &str| own.iter().any(|cookie| cookie.replace && cookie.name == name);
    let kept = of_jar.into_iter().filter(|(name, _)| !replaced(name));
    all.extend(kept.map(|(name, value)| RequestCookie { name, value, replace: false }));
    all
}

/// What the client writes by itself, and what a script leaves out by an empty text.
fn is_left_out(name: &str, value: &str) -> bool {
    (name == header::USER_AGENT && value.is_empty()) || name == "Cookie"
}

/// Scripts cannot set lengths.
fn drop_lengths(headers: &mut Rc<Headers>, length: usize, request: &Request) {
    let is_length = |name: &str| name == "Content-Length" || name == "Transfer-Encoding";
    if !headers.iter().any(|(name, _)| is_length(name)) {
        return;
    }
    if let Some(given) = header::get(headers, "content-length")
        && given.trim().parse() != Ok(length)
    {
        log::warn!(
            "the header \"Content-Length: {given}\" of the request {} {} is ignored, because its body has {length} bytes",
            request.method,
            request.url.masked()
        );
    }
    Rc::make_mut(headers).retain(|(name, _)| !is_length(name));
}
