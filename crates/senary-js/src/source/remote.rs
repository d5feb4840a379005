//! Modules from web servers, fetched while the first VU initialises.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use senary_web::{Client, Method, StatusCode, WebError};
use tokio_util::sync::CancellationToken;

/// Time for one module, redirects included.
const LIMIT: Duration = Duration::from_secs(60);

/// Marks the request as a module loader's: some servers have a variant for loaders. Servers that refuse the mark are
/// asked again without it.
const MARK: &str = "_k6=1";

/// How often a waiting script looks whether the run was ended.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Web(#[from] WebError),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("no answer within {} seconds", LIMIT.as_secs())]
    TimedOut,
    #[error("interrupted")]
    Cancelled,
    #[error("cannot start a download: {0}")]
    Start(String),
}

/// Downloads a module. Blocks the caller, which runs in the init context, where nothing else has to run.
pub fn fetch(web: &Client, url: &str, cancel: &CancellationToken) -> Result<Vec<u8>, FetchError> {
    let (send, receive) = channel();
    let (web, url, token) = (web.clone(), url.to_owned(), cancel.clone());
    // This needs its own thread, because the caller's may already drive a runtime, in which code must not block.
    let download = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    () = token.cancelled() => Err(FetchError::Cancelled),
                    result = tokio::time::timeout(LIMIT, fetch_marked(&web, &url)) => result.unwrap_or(Err(FetchError::TimedOut)),
                }
            }),
            Err(error) => Err(FetchError::Start(error.to_string())),
        };
        // If the caller was cancelled, there is no receiver.
        let _ = send.send(result);
    };
    std::thread::Builder::new()
        .name("download".to_owned())
        .spawn(download)
        .map_err(|e| FetchError::Start(e.to_string()))?;
    loop {
        match receive.recv_timeout(CANCEL_CHECK) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => return Err(FetchError::Cancelled),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(FetchError::Cancelled),
        }
    }
}

async fn fetch_marked(web: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    match get(web, &marked(url)).await {
        Ok(body) => Ok(body),
        // No second try can reach a server that could not be reached.
        Err(
            error @ FetchError::Web(WebError::Connect { .. } | WebError::Proxy(_) | WebError::Tunnel { .. }),
        ) => Err(error),
        Err(_) => get(web, url).await,
    }
}

async fn get(web: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let response = web.request(Method::GET, url, &[]).await?;
    if response.status != StatusCode::OK {
        return Err(FetchError::Status(response.status));
    }
    Ok(response.body.into())
}

fn marked(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{MARK}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_marked() {
        assert_eq!(marked("https://h/x.js"), "https://h/x.js?_k6=1");
        assert_eq!(marked("https://h/x.js?v=1#top"), "https://h/x.js?v=1&_k6=1");
    }

    #[test]
    fn a_refused_mark_is_left_out() {
        let (url, thread) = senary_testkit::web_server([
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ]);
        assert_eq!(
            fetch(&Client::default(), &format!("{url}/x.js?v=1"), &CancellationToken::new()).unwrap(),
            b"ok"
        );
        let asked = thread.join().unwrap();
        let first: Vec<_> = asked.iter().filter_map(|head| head.lines().next()).collect();
        assert_eq!(first, ["GET /x.js?v=1&_k6=1 HTTP/1.1", "GET /x.js?v=1 HTTP/1.1"]);
    }

    #[test]
    fn cancelling_ends_a_download() {
        // Accepts and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.js", listener.local_addr().unwrap());
        let cancel = CancellationToken::new();
        let later = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            later.cancel();
        });
        assert!(matches!(fetch(&Client::default(), &url, &cancel), Err(FetchError::Cancelled)));
        thread.join().unwrap();
    }
}
