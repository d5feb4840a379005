//! Small servers of protocols that no package of Debian serves. Each answers all requests that it has at a moment in the
//! reverse order, so that a client has to find out which reply is whose.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Takes the first request off what has come; `None` while it is incomplete.
type Take = fn(&mut Vec<u8>) -> Option<Vec<u8>>;
/// The reply to a request, as it is on the wire.
type Answer = fn(&[u8]) -> Vec<u8>;

/// How long it gathers requests before it answers.
const GATHERING: Duration = Duration::from_millis(50);

/// Serves one connection after the other, on a thread that ends with the test; the port it listens on.
pub fn serve(take: Take, answer: Answer) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone is no concern of the next one.
            std::thread::spawn(move || talk(stream, take, answer).ok());
        }
    });
    port
}

fn talk(mut stream: TcpStream, take: Take, answer: Answer) -> std::io::Result<()> {
    let (mut received, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        received.extend_from_slice(&chunk[..read]);
        std::thread::sleep(GATHERING);
        let requests: Vec<Vec<u8>> = std::iter::from_fn(|| take(&mut received)).collect();
        for request in requests.iter().rev() {
            stream.write_all(&answer(request))?;
        }
    }
}

/// HL7: a block, without what is around it.
pub fn take_block(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = received.windows(2).position(|pair| pair == b"\x1c\r")?;
    let block: Vec<u8> = received.drain(..end + 2).collect();
    Some(block.strip_prefix(b"\x0b")?.strip_suffix(b"\x1c\r")?.to_vec())
}

/// Accepts a message that has a patient, and refuses others.
pub fn acknowledge(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let fields: Vec<&str> = text.split('\r').next().unwrap_or_default().split('|').collect();
    let id = fields.get(9).copied().unwrap_or_default();
    let code = if fields[0] == "MSH" && text.contains("\rPID|") { "AA" } else { "AR" };
    let segments =
        format!("MSH|^~\\&|HIS|WARD|SENARY|LOAD|20240501120000||ACK|{id}A|P|2.5\rMSA|{code}|{id}\r");
    format!("\x0b{segments}\x1c\r").into_bytes()
}

/// ISO 8583: a message behind a length of two bytes.
pub fn take_sized(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*received.first()?, *received.get(1)?]));
    if received.len() < 2 + length {
        return None;
    }
    Some(received.drain(..2 + length).skip(2).collect())
}

/// Approves a payment: the fields come back, with a response code before the terminal. Others are a format error.
pub fn approve(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let reply = match (text.strip_prefix("02003220000000800000"), text.len()) {
        // Fields 3, 4, 7 and 11, and 41.
        (Some(fields), 62) => format!("02103220000002800000{}00{}", &fields[..34], &fields[34..]),
        _ => format!("02103220000002800000{:034}30{:>8}", 0, ""),
    };
    [&(reply.len() as u16).to_be_bytes(), reply.as_bytes()].concat()
}

/// Modbus: a header of six bytes, which ends with the length of the rest.
pub fn take_unit(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*received.get(4)?, *received.get(5)?]));
    if received.len() < 6 + length {
        return None;
    }
    Some(received.drain(..6 + length).collect())
}

/// Each holding register of unit 1 has its own address for a value; there are 100.
pub fn registers(request: &[u8]) -> Vec<u8> {
    let word = |at: usize| request.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
    let (function, first, count) = (request.get(7).copied().unwrap_or_default(), word(8), word(10));
    let content = match (request.len(), request.get(6), function) {
        (12, Some(1), 3) if (1..=125).contains(&count) && first < 100 && count <= 100 - first => {
            let values = (first..first + count).flat_map(u16::to_be_bytes);
            [1, 3, 2 * count as u8].into_iter().chain(values).collect()
        }
        // The address is wrong, or there is no such function.
        (12, _, 3) => vec![1, 0x83, 2],
        _ => vec![1, function | 0x80, 1],
    };
    [&request[..4], &(content.len() as u16).to_be_bytes(), &content].concat()
}
