//! The servers do what their names say, seen by a plain client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, FullBacklog, Program, Server, Signal};

const BOUND: Duration = Duration::from_secs(10);

fn connect(server: &Server) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.set_write_timeout(Some(BOUND))?;
    Ok(stream)
}

/// Sends all, closes the sending side, and gives back everything that comes.
fn talk(server: &Server, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(server)?;
    stream.write_all(text)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[test]
fn echo_sends_back_and_keeps_the_books() {
    let server = Server::start(Behaviour::Echo);
    assert_eq!(talk(&server, b"one").unwrap(), b"one");
    assert_eq!(talk(&server, b"three").unwrap(), b"three");
    assert!(server.all_closed(BOUND));
    assert_eq!((server.accepted(), server.bytes()), (2, 8));
    assert_eq!(server.received(), [b"one".to_vec(), b"three".to_vec()]);
    assert!(server.peers().iter().all(|peer| peer.ip() == server.address().ip()));
    assert_eq!(server.peers().len(), 2);
}

#[test]
fn a_frozen_server_keeps_its_connections_and_says_nothing() {
    let server = Server::start(Behaviour::Echo);
    server.freezes_after(8);
    let mut early = connect(&server).unwrap();
    let mut answer = [0; 5];
    early.write_all(b"first").unwrap();
    early.read_exact(&mut answer).unwrap();
    early.write_all(b"and a second").unwrap();
    assert!(server.has_received(8, BOUND));
    // The kernel goes on accepting.
    let mut late = connect(&server).unwrap();
    late.write_all(b"anybody there?").unwrap();
    for stream in [&mut early, &mut late] {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let error = stream.read(&mut answer).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    }
}

#[test]
fn a_server_hangs_up_in_the_middle_of_its_answer() {
    let behaviour = Box::new(Behaviour::Echo);
    let server = Server::start(Behaviour::HangsUpAfter { behaviour, bytes: 4 });
    let mut stream = connect(&server).unwrap();
    let mut answer = String::new();
    stream.write_all(b"a question").unwrap();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "a qu");
    drop(stream);
    assert!(server.all_closed(BOUND));
    let babbling = Server::start(Behaviour::Babbles);
    assert!(std::str::from_utf8(&talk(&babbling, b"a question").unwrap()).is_err());
}

#[test]
fn half_close_answers_and_reads_on() {
    let server = Server::start(Behaviour::HalfClose { reply: "that was all" });
    let mut stream = connect(&server).unwrap();
    stream.write_all(b"first").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "that was all");
    stream.write_all(b" second").unwrap();
    drop(stream);
    assert!(server.all_closed(BOUND));
    assert_eq!(server.received(), [b"first second".to_vec()]);
}

#[test]
fn resets_are_resets() {
    for behaviour in [
        Behaviour::ResetAtAccept,
        Behaviour::ResetAfterFirstByte,
        Behaviour::ResetAfterReply { reply: "only this" },
    ] {
        let server = Server::start(behaviour.clone());
        let mut stream = connect(&server).unwrap();
        // The kernel tells once: on the write, if the reset is quicker.
        let told = stream.write_all(b"x").and_then(|()| stream.read_to_end(&mut Vec::new()).map(|_| ()));
        let error = told.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{behaviour:?}");
    }
}

#[test]
fn slam_and_chunks_close_in_order() {
    assert_eq!(talk(&Server::start(Behaviour::Slam), b"").unwrap(), b"");
    let chunks = Behaviour::Chunks { chunks: &["a", "b", "c"], gap: Duration::from_millis(5) };
    assert_eq!(talk(&Server::start(chunks), b"").unwrap(), b"abc");
}

#[test]
fn a_slow_reader_takes_a_byte_at_a_time() {
    let server = Server::start(Behaviour::SlowReader { pause: Duration::from_millis(30) });
    let started = Instant::now();
    assert_eq!(talk(&server, b"12345").unwrap(), b"");
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert_eq!(server.bytes(), 5);
}

#[test]
fn a_server_that_never_reads_fills_up() {
    let server = Server::start(Behaviour::NeverReads);
    let mut stream = connect(&server).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let block = vec![0; 1 << 20];
    let filled = (0..64).find_map(|_| stream.write_all(&block).err()).map(|error| error.kind());
    assert_eq!(filled, Some(ErrorKind::WouldBlock));
    assert_eq!(server.bytes(), 0);
}

#[test]
fn a_server_loses_patience() {
    let server = Server::start(Behaviour::Briefly {
        behaviour: Box::new(Behaviour::NeverReads),
        limit: Duration::from_millis(50),
    });
    let mut stream = connect(&server).unwrap();
    stream.write_all(b"never read").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(server.all_closed(BOUND));
}

#[test]
fn sends_a_pattern_of_any_length() {
    let answer = talk(&Server::start(Behaviour::Sends { bytes: 200_003 }), b"go").unwrap();
    assert_eq!(answer.len(), 200_003);
    assert!(answer.iter().enumerate().all(|(i, byte)| usize::from(*byte) == i % 251));
}

#[test]
fn sends_without_end_until_the_peer_goes() {
    let server = Server::start(Behaviour::Sends { bytes: u64::MAX });
    let mut stream = connect(&server).unwrap();
    stream.write_all(b"go").unwrap();
    let mut block = vec![0; 10 << 20];
    stream.read_exact(&mut block).unwrap();
    drop(stream);
    assert!(server.all_closed(BOUND));
}

#[test]
fn a_full_backlog_never_answers() {
    let full = FullBacklog::start();
    let error = TcpStream::connect_timeout(&full.address(), Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn resp_speaks_redis() {
    let server = Server::start(Behaviour::Resp);
    let commands = b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\
        *2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*2\r\n$3\r\nGET\r\n$1\r\nx\r\n*1\r\n$4\r\nNOPE\r\n*1\r\n$4\r\nQUIT\r\n";
    let answer = String::from_utf8(talk(&server, commands).unwrap()).unwrap();
    assert_eq!(answer, "+PONG\r\n+OK\r\n$2\r\n\r\n\r\n:1\r\n$-1\r\n-ERR unknown command 'NOPE'\r\n+OK\r\n");
}

#[test]
fn smtp_takes_mail_in_the_right_order() {
    let server = Server::start(Behaviour::Smtp);
    let dialogue =
        "MAIL FROM:<a@x>\r\nEHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n";
    let answer = String::from_utf8(talk(&server, dialogue.as_bytes()).unwrap()).unwrap();
    let codes: Vec<&str> = answer.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "503", "250", "250", "250", "250", "250", "250", "354", "250", "221"]);
}

#[test]
fn length_prefixed_answers_reversed() {
    let server = Server::start(Behaviour::LengthPrefixed);
    let answer = talk(&server, b"\0\0\0\x03abc\0\0\0\0\0\0\0\x02xy").unwrap();
    assert_eq!(answer, b"\0\0\0\x03cba\0\0\0\0\0\0\0\x02yx");
}

#[test]
fn lines_are_answered_one_by_one() {
    let server = Server::start(Behaviour::Lines);
    let answer = talk(&server, b"PING\nECHO a b  c\r\nSET k v w\nGET k\nGET x\nHM\nQUIT\n").unwrap();
    assert_eq!(answer, b"PONG\r\na b  c\r\nOK\r\nv w\r\nNONE\r\nERROR\r\nBYE\r\n");
}

#[test]
fn programs_are_run_to_their_end() {
    let script = "read line; echo \"$line $NAME\"; echo oops >&2; cat file.txt; exit 3";
    let outcome = Program::new("/bin/sh")
        .args(["-c", script])
        .env("NAME", "you")
        .file("file.txt", "kept")
        .stdin("hello\n")
        .within(BOUND)
        .run();
    assert_eq!(outcome.code(), Some(3));
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("hello you\nkept", "oops\n"));
    assert_eq!(outcome.file("file.txt"), "kept");
}

#[test]
fn programs_are_held_to_open_files() {
    let outcome = Program::new("/bin/sh").args(["-c", "ulimit -Hn; pwd"]).env("X", 1).open_files(33).run();
    let folder = outcome.stdout.strip_prefix("33\n").unwrap_or_else(|| outcome.fail("33 expected"));
    assert!(std::path::Path::new(folder.trim()).is_absolute());
    let outcome =
        Program::new("/bin/cat").arg("kept.txt").file("kept.txt", "kept").under("\"$@\"; exit 7").run();
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(7), "kept"));
}

#[test]
fn programs_get_signals() {
    // Not SIGINT: a shell that was started with it ignored, as in the background, cannot trap it.
    let script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut running = Program::new("/bin/sh").args(["-c", script]).within(BOUND).start();
    running.wait_for("ready");
    assert!(running.descriptors().unwrap() >= 3);
    running.signal(Signal::TERM);
    running.finish().expect_code(7).expect_text("caught");
}
