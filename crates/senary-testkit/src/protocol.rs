//! Small servers of real protocols, enough of each for a script to talk to.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::connection::Connection;

const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Redis: arrays of bulk strings in, one reply each; keys live as long as the connection.
pub(crate) async fn resp(c: &mut Connection) -> io::Result<()> {
    let mut keys: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    loop {
        let command = match resp_command(c).await? {
            None => return c.close_sending().await,
            Some(Ok(command)) => command,
            Some(Err(text)) => {
                c.write(format!("-ERR Protocol error: {text}\r\n").as_bytes()).await?;
                return c.close_sending().await;
            }
        };
        let mut words = command.iter();
        let name = words.next().map(|w| String::from_utf8_lossy(w).to_ascii_uppercase()).unwrap_or_default();
        let arguments: Vec<&Vec<u8>> = words.collect();
        let reply = match (name.as_str(), arguments.as_slice()) {
            ("PING", []) => b"+PONG\r\n".to_vec(),
            ("PING" | "ECHO", [text]) => bulk(text),
            ("SET", [key, value]) => {
                keys.insert((*key).clone(), (*value).clone());
                b"+OK\r\n".to_vec()
            }
            ("GET", [key]) => keys.get(*key).map_or(b"$-1\r\n".to_vec(), |value| bulk(value)),
            ("DEL", gone) => {
                let removed = gone.iter().filter(|key| keys.remove(**key).is_some()).count();
                format!(":{removed}\r\n").into_bytes()
            }
            ("INCR", [key]) => {
                let value = keys.entry((*key).clone()).or_insert_with(|| b"0".to_vec());
                match std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok()) {
                    Some(number) => {
                        *value = (number + 1).to_string().into_bytes();
                        format!(":{}\r\n", number + 1).into_bytes()
                    }
                    None => b"-ERR value is not an integer or out of range\r\n".to_vec(),
                }
            }
            ("QUIT", []) => {
                c.write(b"+OK\r\n").await?;
                return c.close_sending().await;
            }
            ("PING" | "ECHO" | "SET" | "GET" | "INCR" | "QUIT", _) => {
                let name = name.to_ascii_lowercase();
                format!("-ERR wrong number of arguments for '{name}' command\r\n").into_bytes()
            }
            _ => format!("-ERR unknown command '{name}'\r\n").into_bytes(),
        };
        c.write(&reply).await?;
    }
}

async fn resp_command(c: &mut Connection) -> io::Result<Option<Result<Vec<Vec<u8>>, &'static str>>> {
    let Some(head) = c.read_line().await? else { return Ok(None) };
    let Some(count) = head.strip_prefix('*').and_then(|n| n.parse::<usize>().ok()) else {
        return Ok(Some(Err("expected an array")));
    };
    let mut command = Vec::new();
    for _ in 0..count {
        let Some(head) = c.read_line().await? else { return Ok(None) };
        let Some(length) = head.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) else {
            return Ok(Some(Err("expected '$'")));
        };
        let Some(word) = c.read_exactly(length).await? else { return Ok(None) };
        if c.read_exactly(2).await?.as_deref() != Some(b"\r\n") {
            return Ok(Some(Err("expected CRLF")));
        }
        command.push(word);
    }
    Ok(Some(Ok(command)))
}

fn bulk(text: &[u8]) -> Vec<u8> {
    let mut out = format!("${}\r\n", text.len()).into_bytes();
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
    out
}

/// A mail server that takes everything in the right order.
pub(crate) async fn smtp(c: &mut Connection) -> io::Result<()> {
    c.write(b"220 mail.test ESMTP\r\n").await?;
    let (mut greeted, mut sender, mut recipients) = (false, false, 0);
    let mut taken = 0;
    while let Some(line) = c.read_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "HELO" => {
                greeted = true;
                "250 mail.test".to_owned()
            }
            "EHLO" => {
                greeted = true;
                let tls = if c.is_tls() { "" } else { "250-STARTTLS\r\n" };
                format!("250-mail.test\r\n{tls}250-8BITMIME\r\n250 SIZE 1000000")
            }
            "STARTTLS" if greeted && !c.is_tls() => {
                c.write(b"220 2.0.0 Ready to start TLS\r\n").await?;
                c.start_tls(Certificate::Valid).await?;
                // Nothing that was said in plain text holds any more.
                (greeted, sender, recipients) = (false, false, 0);
                continue;
            }
            "MAIL" if greeted => {
                sender = true;
                "250 2.1.0 Ok".to_owned()
            }
            "RCPT" if sender => {
                recipients += 1;
                "250 2.1.5 Ok".to_owned()
            }
            "DATA" if recipients > 0 => {
                c.write(b"354 End data with <CR><LF>.<CR><LF>\r\n").await?;
                loop {
                    match c.read_line().await? {
                        None => return Ok(()),
                        Some(line) if line == "." => break,
                        Some(_) => {}
                    }
                }
                (sender, recipients) = (false, 0);
                taken += 1;
                format!("250 2.0.0 Ok: queued as {taken}")
            }
            "NOOP" => "250 2.0.0 Ok".to_owned(),
            "QUIT" => {
                c.write(b"221 2.0.0 Bye\r\n").await?;
                return c.close_sending().await;
            }
            "MAIL" | "RCPT" | "DATA" | "STARTTLS" => "503 5.5.1 Bad sequence of commands".to_owned(),
            _ => "502 5.5.2 Command not recognized".to_owned(),
        };
        c.write(format!("{answer}\r\n").as_bytes()).await?;
    }
    c.close_sending().await
}

/// Answers in two pieces cut inside the length, so that a client has to put frames together itself.
pub(crate) async fn length_prefixed(c: &mut Connection) -> io::Result<()> {
    while let Some(head) = c.read_exactly(4).await? {
        let length = head.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if length > MAX_FRAME {
            return Ok(());
        }
        let Some(mut payload) = c.read_exactly(length).await? else { return Ok(()) };
        payload.reverse();
        c.write(&head[..2]).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        c.write(&[&head[2..], &payload].concat()).await?;
    }
    c.close_sending().await
}

pub(crate) async fn lines(c: &mut Connection) -> io::Result<()> {
    let mut keys = HashMap::new();
    while let Some(line) = c.read_line().await? {
        let mut words = line.splitn(3, ' ');
        let answer = match (words.next().unwrap_or_default(), words.next(), words.next()) {
            ("PING", None, None) => "PONG".to_owned(),
            ("ECHO", Some(first), None) => first.to_owned(),
            ("ECHO", Some(first), Some(rest)) => format!("{first} {rest}"),
            ("SET", Some(key), Some(value)) => {
                keys.insert(key.to_owned(), value.to_owned());
                "OK".to_owned()
            }
            ("GET", Some(key), None) => keys.get(key).cloned().unwrap_or_else(|| "NONE".to_owned()),
            ("QUIT", None, None) => {
                c.write(b"BYE\r\n").await?;
                return c.close_sending().await;
            }
            _ => "ERROR".to_owned(),
        };
        c.write(format!("{answer}\r\n").as_bytes()).await?;
    }
    c.close_sending().await
}
