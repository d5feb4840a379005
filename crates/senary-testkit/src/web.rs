//! A web server that gives the answers a test has set.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Answers each connection in turn with the text given. Its address, as `http://…`, and what it was asked: the heads of
/// the requests.
pub fn web_server<'a>(answers: impl IntoIterator<Item = &'a str>) -> (String, JoinHandle<Vec<String>>) {
    let answers: Vec<String> = answers.into_iter().map(str::to_owned).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a whole request");
                asked.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).expect("a client that reads");
            String::from_utf8(asked).expect("a request in UTF-8")
        };
        answers.into_iter().map(answer).collect()
    });
    (url, thread)
}
