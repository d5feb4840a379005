//! How a connection ends that is not simply closed: one side first, or at once; and what TCP knows of it until then.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use senary_net::{DialOptions, Security, Stream};
use support::{
    Authority, accept, dial, exactly, pattern, peer, read, read_to_end, run, secured, shutdown_write,
    write_all,
};

/// Asks, ends its own side, and hears the answer.
async fn ask_and_end(mut stream: Stream, question: &[u8]) {
    write_all(&mut stream, question).await.unwrap();
    shutdown_write(&mut stream).await.unwrap();
    // Once more is nothing new.
    shutdown_write(&mut stream).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.unwrap(), b"answer");
    let error = stream.try_write(b"more").unwrap_err();
    assert_eq!(error.code(), "EPIPE");
    assert!(error.to_string().ends_with("write: broken pipe"), "{error}");
    assert_eq!(stream.try_write_vectored(&[IoSlice::new(b"more")]).unwrap_err().code(), "EPIPE");
}

#[test]
fn one_side_may_end_and_the_other_go_on() {
    for length in [8, 4_000_000] {
        let (address, server) = peer(move |mut stream| {
            // Slower than the client: the end has to wait for what was written before.
            std::thread::sleep(Duration::from_millis(100));
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            stream.write_all(b"answer").unwrap();
            heard == pattern(length)
        });
        run(async {
            ask_and_end(dial(address, &DialOptions::default()).await.unwrap(), &pattern(length)).await;
        });
        assert!(server.join().unwrap(), "{length}");
    }
}

#[test]
fn one_side_of_tls_may_end_and_the_other_go_on() {
    for length in [8, 4_000_000] {
        let authority = Authority::new();
        let config = Arc::new(authority.server("name.test").config());
        let (address, server) = peer(move |tcp| {
            let mut peer = accept(&config, tcp).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            let mut heard = Vec::new();
            // No error: it was said that nothing more comes.
            peer.read_to_end(&mut heard).unwrap();
            assert_eq!(peer.sock.read(&mut [0]).unwrap(), 0, "the end of TCP behind it");
            peer.write_all(b"answer").unwrap();
            peer.conn.send_close_notify();
            peer.flush().unwrap();
            heard == pattern(length)
        });
        run(async {
            let trusted = authority.trusted();
            let stream = dial(address, &secured("name.test", &trusted)).await.unwrap();
            ask_and_end(stream, &pattern(length)).await;
        });
        assert!(server.join().unwrap(), "{length}");
    }
}

#[test]
fn a_reset_is_seen_as_one() {
    for tls in [false, true] {
        let authority = Authority::new();
        let config = Arc::new(authority.server("name.test").config());
        let (address, server) = peer(move |mut tcp| match tls {
            false => {
                tcp.write_all(b"hi").unwrap();
                tcp.read(&mut [0]).unwrap_err().kind()
            }
            true => {
                let mut peer = accept(&config, tcp).unwrap();
                peer.write_all(b"hi").unwrap();
                peer.read(&mut [0]).unwrap_err().kind()
            }
        });
        run(async {
            let trusted = authority.trusted();
            let security = Security { servername: Some("name.test"), overrides: &trusted, sessions: None };
            let options = DialOptions { tls: tls.then_some(security), ..DialOptions::default() };
            let mut stream = dial(address, &options).await.unwrap();
            assert_eq!(read(&mut stream).await.unwrap(), b"hi");
            stream.reset();
        });
        assert_eq!(server.join().unwrap(), ErrorKind::ConnectionReset);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn tcp_tells_what_it_has_measured() {
    let (address, server) = peer(|mut stream| {
        for _ in 0..20 {
            let heard = exactly(&mut stream, 1000);
            stream.write_all(&heard).unwrap();
        }
        stream.read(&mut [0]).unwrap()
    });
    run(async {
        let mut stream = dial(address, &DialOptions::default()).await.unwrap();
        for _ in 0..20 {
            write_all(&mut stream, &pattern(1000)).await.unwrap();
            let mut heard = 0;
            while heard < 1000 {
                heard += read(&mut stream).await.unwrap().len();
            }
        }
        let info = stream.tcp_info().unwrap();
        let second = Duration::from_secs(1);
        assert!(info.min_rtt > Duration::ZERO && info.min_rtt <= info.rtt && info.rtt < second, "{info:?}");
        assert!(info.rtt_variance < second, "{info:?}");
        assert!((1..10_000).contains(&info.congestion_window), "{info:?}");
        assert!(info.delivery_rate > 1000 && info.retransmits == 0 && info.unacked <= 1, "{info:?}");
    });
    server.join().unwrap();
}

/// Write calls of this thread.
#[cfg(target_os = "linux")]
fn writes() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("syscw: ")?.parse().ok())
}

#[cfg(target_os = "linux")]
#[test]
fn many_messages_are_one_write() {
    let messages: Vec<Vec<u8>> = (0..200).map(|i| format!("message {i};").into_bytes()).collect();
    let all = messages.concat();
    for tls in [false, true] {
        let authority = Authority::new();
        let config = Arc::new(authority.server("name.test").config());
        let length = all.len();
        let (address, server) = peer(move |mut tcp| match tls {
            false => exactly(&mut tcp, length),
            true => exactly(&mut accept(&config, tcp).unwrap(), length),
        });
        let calls = run(async {
            let trusted = authority.trusted();
            let security = Security { servername: Some("name.test"), overrides: &trusted, sessions: None };
            let options = DialOptions { tls: tls.then_some(security), ..DialOptions::default() };
            let mut stream = dial(address, &options).await.unwrap();
            let pieces: Vec<_> = messages.iter().map(|message| IoSlice::new(message)).collect();
            let before = writes();
            assert_eq!(stream.try_write_vectored(&pieces).unwrap(), (length, true));
            let after = writes();
            assert_eq!(stream.try_write_vectored(&[]).unwrap().0, 0);
            // To drop it would reset it: what the server has sent is not read.
            stream.close();
            // A kernel that does not count lets nothing be said.
            before.zip(after).map(|(before, after)| after - before)
        });
        assert_eq!(server.join().unwrap(), all);
        assert!(calls.is_none_or(|calls| calls == 1), "{calls:?} system calls");
    }
}

/// Whatever part the kernel takes, all of it arrives, in order.
#[test]
fn many_large_messages_arrive_in_order() {
    for tls in [false, true] {
        let messages: Vec<Vec<u8>> = (0..100).map(|i| pattern(i * 997)).collect();
        let all = messages.concat();
        let authority = Authority::new();
        let config = Arc::new(authority.server("name.test").config());
        let length = all.len();
        let (address, server) = peer(move |mut tcp| match tls {
            false => exactly(&mut tcp, length),
            true => exactly(&mut accept(&config, tcp).unwrap(), length),
        });
        run(async {
            let trusted = authority.trusted();
            let security = Security { servername: Some("name.test"), overrides: &trusted, sessions: None };
            let options = DialOptions { tls: tls.then_some(security), ..DialOptions::default() };
            let mut stream = dial(address, &options).await.unwrap();
            let mut pieces: Vec<_> = messages.iter().map(|message| IoSlice::new(message)).collect();
            let mut pieces = pieces.as_mut_slice();
            while pieces.iter().any(|piece| !piece.is_empty()) {
                let written =
                    std::future::poll_fn(|cx| stream.poll_write_vectored(cx, pieces)).await.unwrap();
                assert!(written > 0);
                IoSlice::advance_slices(&mut pieces, written);
            }
            std::future::poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
            assert!(server.join().unwrap() == all);
        });
    }
}
