//! What the dashboard's server has to offer: the page, the events, the data, and the report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use senary_output::timeline::Position;

use super::event_log::Clients;
use super::recorder::Recorder;
use super::report::Report;
use crate::background::Background;
use crate::http_server::{Answer, Asked, Sender, Site};

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// How often a page gets new data.
const LIVE_EVERY: Duration = Duration::from_secs(1);

/// The dashboard of a run.
pub struct Dashboard {
    pub report: Arc<Report>,
    pub recorder: Arc<Recorder>,
    pub clients: Clients,
    /// Whether clients may stop the run: only if they are on this machine.
    pub can_stop: bool,
    /// Origins of web pages elsewhere that may read the events; `*` stands for all of them.
    pub origins: Vec<String>,
}

impl Site for Dashboard {
    fn answer(&self, asked: &Asked<'_>) -> Answer {
        let (path, method) = (asked.head.uri.path(), &asked.head.method);
        match path {
            "/" => moved("/ui?endpoint=/"),
            "/ui" => moved(&match asked.head.uri.query() {
                Some(query) => format!("/ui/?{query}"),
                None => "/ui/".to_owned(),
            }),
            "/ui/" => self.page(),
            "/events" => self.events(asked),
            "/live" => self.live(),
            "/data" => self.data(),
            "/report" => self.whole(),
            "/stop" if *method == Method::POST && self.can_stop => {
                self.report.subject.stop();
                Answer::empty(StatusCode::NO_CONTENT)
            }
            "/stop" if self.can_stop => {
                self.error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "POST ends the run")
            }
            _ => self.error(
                StatusCode::NOT_FOUND,
                "Not Found",
                &format!("there is nothing at {path}; /ui/, /events, /data, /live and /report are there"),
            ),
        }
    }

    /// The events are for viewers of all kinds, and those made for k6's dashboard may be pages of another server. What is on
    /// this machine may read them; other pages only if the user has named them, as events tell of scripts and targets.
    fn is_for_page(&self, path: &str, origin: &str) -> bool {
        path == "/events"
            && (is_of_this_machine(origin) || self.origins.iter().any(|own| own == "*" || own == origin))
    }

    fn error(&self, status: StatusCode, _: &str, detail: &str) -> Answer {
        Answer::new(status, TEXT, format!("{detail}\n"))
    }
}

impl Dashboard {
    fn page(&self) -> Answer {
        match super::page::page(None, &HashMap::new(), &[]) {
            Ok(page) => Answer::new(StatusCode::OK, HTML, page).with(CACHE_CONTROL, NO_CACHE),
            Err(error) => self.failed(&error),
        }
    }

    /// The reference's events: all of them, or those after the last one that the client has got.
    fn events(&self, asked: &Asked<'_>) -> Answer {
        let last =
            asked.head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.parse::<usize>().ok());
        let from = last.map_or(0, |last| last.saturating_add(1));
        let (log, clients) = (self.recorder.log.clone(), self.clients.clone());
        Answer::streamed(EVENTS, move |sender| log.tell(from, sender, clients))
            .with(CACHE_CONTROL, NO_CACHE)
            .with(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
    }

    fn data(&self) -> Answer {
        match self.report.document(None) {
            Ok(document) => Answer::new(StatusCode::OK, JSON, document.json).with(CACHE_CONTROL, NO_CACHE),
            Err(error) => self.failed(&error),
        }
    }

    /// The document, and then once a second what is new in it.
    fn live(&self) -> Answer {
        let (report, clients) = (self.report.clone(), self.clients.clone());
        Answer::streamed(EVENTS, move |sender| tell(report, sender, clients)).with(CACHE_CONTROL, NO_CACHE)
    }

    fn whole(&self) -> Answer {
        match self.report.html(Some(&self.recorder)) {
            Ok(page) => Answer::new(StatusCode::OK, HTML, page).with(CACHE_CONTROL, NO_CACHE),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Answer {
        self.error(StatusCode::INTERNAL_SERVER_ERROR, "Failed", &error.to_string())
    }
}

/// Whether a page comes from a server of this machine: `http://localhost:3000`.
fn is_of_this_machine(origin: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let port =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| authority.strip_prefix(host).is_some_and(port))
}

fn moved(to: &str) -> Answer {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/ui/"));
    Answer::empty(StatusCode::TEMPORARY_REDIRECT).with(LOCATION, location)
}

async fn tell(report: Arc<Report>, client: Sender, clients: Clients) {
    let _counted = clients.count();
    let mut position: Option<Position> = None;
    loop {
        let of = report.clone();
        // It may have to wait for the collector, and others must not.
        let Ok(mut made) = Background::start("rest-answer", move || of.document(position)) else { return };
        let Ok(Ok(document)) = made.outcome().await else { return };
        position = Some(document.position);
        let frame = [b"event: data\ndata: ", &document.json[..], b"\n\n"].concat();
        if !client.send(frame).await {
            return;
        }
        if document.is_last {
            return client.gone().await;
        }
        tokio::select! {
            () = tokio::time::sleep(LIVE_EVERY) => {}
            () = report.over() => {}
            () = client.gone() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_this_machine;

    #[test]
    fn pages_of_this_machine_are_told_by_their_origins() {
        for own in ["http://localhost", "https://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:80"]
        {
            assert!(is_of_this_machine(own), "{own}");
        }
        for other in [
            "null",
            "",
            "localhost",
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://127.0.0.1.evil.example:80",
            "http://evil.example/localhost",
            "http://user@localhost@evil.example",
        ] {
            assert!(!is_of_this_machine(other), "{other}");
        }
    }
}
