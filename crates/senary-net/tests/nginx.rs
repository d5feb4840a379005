//! HTTP/2 against a real server: nginx, if it is installed. What both ends count is compared.
#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod support;

use std::rc::Rc;

use senary_net::http::{HttpClient, HttpOptions, HttpRequest, Proto};
use senary_testkit::Nginx;

use self::support::BOUND;
use self::support::http::{client, in_time, request, run};

fn get(nginx: &Nginx, path: &str) -> HttpRequest {
    let mut get = request("GET", "https", "127.0.0.1", nginx.address().port().into());
    Rc::make_mut(&mut get.target).path = path.to_owned();
    in_time(get, BOUND)
}

/// Sends so many requests, so many of them at the same time; how many connections they took.
async fn send_all(
    client: &Rc<HttpClient>,
    request: HttpRequest,
    count: usize,
    at_once: usize,
    size: usize,
) -> usize {
    let request = Rc::new(request);
    let mut connections = Vec::new();
    let workers = (0..at_once).map(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::task::spawn_local(async move {
            let mut connections = Vec::new();
            for _ in 0..count / at_once {
                let response = client.send(&request).await.unwrap();
                assert_eq!((response.head.status, response.body.len()), (200, size));
                assert_eq!(response.exchange.proto, Some(Proto::Http2));
                connections.push(response.exchange.connection);
            }
            connections
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        for connection in worker.await.unwrap() {
            if !connections.contains(&connection) {
                connections.push(connection);
            }
        }
    }
    connections.len()
}

#[test]
fn thousands_of_streams_share_a_connection() {
    let Some(nginx) = Nginx::start(100_000) else { return };
    run(async {
        let client = Rc::new(client(HttpOptions::default()));
        assert_eq!(send_all(&client, get(&nginx, "/hello"), 5000, 50, 5).await, 1);
        assert_eq!(send_all(&client, get(&nginx, "/big"), 40, 20, 300_000).await, 1);
    });
    assert_eq!(nginx.answered("HTTP/2.0", 5040), 5040);
}

/// nginx announces the end of a connection with GOAWAY while requests are under way.
#[test]
fn nothing_is_lost_when_connections_end_under_way() {
    let Some(nginx) = Nginx::start(37) else { return };
    run(async {
        let client = Rc::new(client(HttpOptions::default()));
        assert!(send_all(&client, get(&nginx, "/hello"), 1000, 10, 5).await >= 20);
    });
    assert_eq!(nginx.answered("HTTP/2.0", 1000), 1000);
}
