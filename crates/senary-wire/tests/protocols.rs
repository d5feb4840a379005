//! Each protocol as it is on the wire: where its messages end, what sending adds, how replies find their requests.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod common;

use std::rc::Rc;

use bytes::Bytes;
use common::{encode, framing, messages, named, pattern, receive};
use senary_wire::{
    Delimiters, Description, Empty, Endian, Escape, Field, Form, FrameError, Framer, Framing, Header,
    Headers, Id, Key, Length, Lines, Notation, Received,
};

fn described(description: Description) -> Rc<Framing> {
    Rc::new(Framing::new(description).unwrap())
}

fn length(length: Length) -> Rc<Framing> {
    framing(Form::Length(length))
}

fn bytes(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

fn one(delimiter: &'static [u8]) -> Delimiters {
    Delimiters { delimiters: vec![bytes(delimiter)], ..Delimiters::default() }
}

/// The stream is these messages, and sending them gives the stream.
fn both_ways(framing: &Rc<Framing>, stream: &[u8], expected: &[&[u8]]) {
    assert_eq!(messages(framing, stream), expected);
    let sent: Vec<u8> = expected.iter().flat_map(|message| encode(framing, message)).collect();
    assert_eq!(sent, stream);
}

/// Sending fills in the length that the message has wrong, and receiving gives the whole frame.
fn fills_in(framing: &Rc<Framing>, to_send: &[u8], frame: &[u8]) {
    assert_eq!(encode(framing, to_send), frame);
    both_ways(framing, frame, &[frame]);
}

fn id(key: &Key, message: &[u8]) -> Id {
    key.of(message).unwrap()
}

fn number(offset: usize, bytes: usize, endian: Endian) -> Key {
    Key::Field(Field { offset, bytes, endian })
}

#[test]
fn lines_of_text() {
    both_ways(
        &named("lines"),
        b"{\"a\":1}\nservers.cpu 42 1700000000\n\n",
        &[b"{\"a\":1}", b"servers.cpu 42 1700000000", b""],
    );
    // Graphite, statsd and inline commands of Redis, with CR or without.
    assert_eq!(messages(&named("lines"), b"PING\r\na:1|c\n"), ["PING", "a:1|c"]);
    both_ways(&named("crlf"), b"NOOP\r\na\nb\r\n", &[b"NOOP", b"a\nb"]);
    both_ways(&named("nul"), b"{\"version\":\"1.1\"}\0x\0", &[b"{\"version\":\"1.1\"}", b"x"]);
}

#[test]
fn json_values_without_delimiters() {
    let stream = b" {\"a\": [1, \"}\\\"\"]}[]\n\"x\\\\\" true 12 -3.5e7 null";
    assert_eq!(
        messages(&named("json"), stream),
        ["{\"a\": [1, \"}\\\"\"]}", "[]", "\"x\\\\\"", "true", "12", "-3.5e7", "null"]
    );
    assert_eq!(encode(&named("json"), b"{}"), b"{}\n");
}

#[test]
fn smtp_and_ftp() {
    let stream = b"220 mx ESMTP\r\n250-mx\r\n250-SIZE 1000\r\n250 HELP\r\n250\r\n";
    both_ways(&named("smtp"), stream, &[b"220 mx ESMTP", b"250-mx\r\n250-SIZE 1000\r\n250 HELP", b"250"]);
    let ftp = b"211-Features:\r\n MDTM\r\n REST STREAM\r\n211 End\r\n";
    both_ways(&named("smtp"), ftp, &[b"211-Features:\r\n MDTM\r\n REST STREAM\r\n211 End"]);
    // The same by a pattern; then the end is part of the message.
    let by_pattern = framing(Form::Pattern(pattern(r"(?m)^\d{3}(?: [^\n]*)?\r\n")));
    both_ways(
        &by_pattern,
        stream,
        &[b"220 mx ESMTP\r\n", b"250-mx\r\n250-SIZE 1000\r\n250 HELP\r\n", b"250\r\n"],
    );
    // A body of POP3, or of DATA.
    both_ways(
        &framing(Form::Delimiter(one(b"\r\n.\r\n"))),
        b"a\r\n..b\r\n.\r\nc\r\n.\r\n",
        &[b"a\r\n..b", b"c"],
    );
}

#[test]
fn imap() {
    let lines = Lines {
        count: Some(pattern(r"\{(\d+)\}$")),
        until: Some(pattern(r"^(?:a\d+|\+) ")),
        ..Lines::default()
    };
    let stream = b"* 1 FETCH (BODY[] {12}\r\na2 OK\r\nhi\r\n)\r\na1 OK FETCH\r\n+ go on\r\na2 OK\r\n";
    let framing = framing(Form::Lines(lines));
    let received = messages(&framing, stream);
    assert_eq!(received, ["* 1 FETCH (BODY[] {12}\r\na2 OK\r\nhi\r\n)\r\na1 OK FETCH", "+ go on", "a2 OK"]);
    let key = Key::Pattern(pattern(r"(?m)^(a\d+) (?:OK|NO|BAD|LOGIN|FETCH)"));
    assert_eq!(id(&key, b"a1 FETCH 1 BODY[]"), Id::Text(b"a1"[..].into()));
    assert_eq!(id(&key, b"a2 OK"), Id::Text(b"a2"[..].into()));
}

#[test]
fn redis() {
    let values: [&[u8]; 15] = [
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":42\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$3\r\nfoo\r\n*2\r\n:1\r\n+x\r\n",
        b"%1\r\n+key\r\n,1.5\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n*1\r\n#t\r\n",
        b">2\r\n+message\r\n=7\r\ntxt:abc\r\n",
        b"*?\r\n:1\r\n_\r\n.\r\n",
        b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
        b"(3492890328409238509324850943850943825024385\r\n",
    ];
    both_ways(&named("resp"), &values.concat(), &values);
}

#[test]
fn memcached() {
    let replies: [&[u8]; 6] = [
        b"VALUE a 0 5\r\nEND\r\n\r\nVALUE b 0 2 77\r\nhi\r\nEND",
        b"END",
        b"STORED",
        b"VA 2 t0\r\nhi",
        b"HD",
        b"STAT pid 1\r\nSTAT uptime 2\r\nEND",
    ];
    let stream: Vec<u8> = replies.iter().flat_map(|reply| [reply, &b"\r\n"[..]].concat()).collect();
    both_ways(&named("memcached"), &stream, &replies);
    // The binary protocol: the length at 8 counts the body, four bytes on.
    let binary = length(Length::new(Notation::big(4)).at(8).adjust(12));
    let mut reply = b"\x81\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x07\0\0\0\0\0\0\0\0hi".to_vec();
    both_ways(&binary, &reply, &[&reply]);
    assert_eq!(id(&number(12, 4, Endian::Big), &reply), Id::Number(7));
    reply[8..12].fill(0);
    assert_eq!(encode(&binary, &reply)[8..12], [0, 0, 0, 2]);
}

#[test]
fn nats_and_beanstalkd() {
    let operations: [&[u8]; 6] = [
        b"INFO {\"max_payload\":1048576}\r\n",
        b"MSG foo 9 5\r\nhe\r\no\r\n",
        b"MSG foo 9 reply.4 0\r\n\r\n",
        b"HMSG foo 9 12 17\r\nNATS/1.0\r\n\r\nhello\r\n",
        b"PING\r\n",
        b"+OK\r\n",
    ];
    both_ways(&named("nats"), &operations.concat(), &operations);
    let key = Key::Pattern(pattern(r"^(?i:MSG|PUB) \S+ (?:\d+ )?(reply\.\d+) "));
    assert_eq!(
        id(&key, b"PUB foo reply.4 2\r\nhi\r\n"),
        id(&key, operations[2].strip_suffix(b"\r\n").unwrap())
    );

    let beanstalkd =
        Lines { count: Some(pattern(r"^(?:RESERVED|FOUND) \d+ (\d+)$")), adjust: 2, until: None };
    let stream = b"RESERVED 7 4\r\na\r\nb\r\nDELETED\r\n";
    both_ways(&framing(Form::Lines(beanstalkd)), stream, &[b"RESERVED 7 4\r\na\r\nb", b"DELETED"]);
}

#[test]
fn stomp() {
    let frames: [&[u8]; 3] = [
        b"CONNECTED\nversion:1.2\n\n",
        b"MESSAGE\ncontent-length:5\n\na\0b\nc",
        b"RECEIPT\r\nreceipt-id:m-1\r\n\r\nbody",
    ];
    let stream = [frames[0], b"\0\n\r\n\n", frames[1], b"\0", frames[2], b"\0"].concat();
    assert_eq!(messages(&named("stomp"), &stream), frames);
    assert_eq!(encode(&named("stomp"), frames[2]), [frames[2], b"\0"].concat());
    let key = Key::Pattern(pattern(r"(?m)^receipt(?:-id)?:(\S+)"));
    assert_eq!(id(&key, b"SEND\nreceipt:m-1\n\n"), id(&key, frames[2]));
}

#[test]
fn header_blocks() {
    both_ways(&named("lsp"), b"Content-Length: 2\r\n\r\n{}Content-Length: 0\r\n\r\n", &[b"{}", b""]);
    let stream = b"Content-Type: x\r\ncontent-length:  4 \r\n\r\nabcd";
    assert_eq!(messages(&named("lsp"), stream), ["abcd"]);

    let key = Key::Pattern(pattern(r#""id":\s*("[^"]*"|\d+)"#));
    assert_eq!(id(&key, br#"{"id":7,"method":"x"}"#), id(&key, br#"{"jsonrpc":"2.0","id": 7,"result":{}}"#));

    // HTTP, SIP and RTSP: the head stays, and a message without the header has no body.
    let headers = Headers {
        header: Some(Header::Keep),
        otherwise: Some(Box::new(Description::new(Form::Fixed(0)))),
        ..Headers::new("Content-Length")
    };
    let http = framing(Form::Headers(headers));
    let replies: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"SIP/2.0 200 OK\r\nl: 0\r\nCONTENT-LENGTH: 0\r\n\r\n",
    ];
    both_ways(&http, &replies.concat(), &replies);
    let wrong = b"PUT / HTTP/1.1\r\nContent-Length: 99\r\nX: y\r\n\r\nhello";
    assert_eq!(encode(&http, wrong), b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nX: y\r\n\r\nhello");
}

#[test]
fn digits_up_to_a_byte() {
    both_ways(&named("syslog"), b"11 <34>1 hello2 \n\n", &[b"<34>1 hello", b"\n\n"]);
    both_ways(&named("netstring"), b"5:hello,0:,1:,,", &[b"hello", b"", b","]);
}

#[test]
fn hl7_over_mllp() {
    both_ways(
        &named("mllp"),
        b"\x0bMSH|^~\\&|A\rPID|1\r\x1c\r\x0bMSA|AA\x1c\r",
        &[b"MSH|^~\\&|A\rPID|1\r", b"MSA|AA"],
    );
}

#[test]
fn fix() {
    let heartbeat = b"8=FIX.4.4\x019=12\x0135=0\x0111=AB1\x0110=123\x01";
    let order = b"8=FIX.4.4\x019=5\x0135=D\x0110=001\x01";
    both_ways(&named("fix"), &[&heartbeat[..], order].concat(), &[heartbeat, order]);
    both_ways(&framing(Form::Pattern(pattern("\x0110=\\d{3}\x01"))), heartbeat, &[heartbeat]);
    let key = Key::Pattern(pattern("\x0111=([^\x01]*)"));
    assert_eq!(id(&key, heartbeat), Id::Text(b"AB1"[..].into()));
    // A framing of one's own fills the body's length in.
    let own = length(Length::new(Notation::DecimalUntil { until: 1, max: 10 }).after(b"\x019=").adjust(7));
    fills_in(&own, b"8=FIX.4.4\x019=0\x0135=0\x0111=AB1\x0110=123\x01", heartbeat);
    // Simple open framing: the length counts itself and two more bytes.
    let sofh = length(Length::new(Notation::big(4)).adjust(-4).header(Header::Keep));
    fills_in(&sofh, b"\0\0\0\0\xf5\0hi", b"\0\0\0\x08\xf5\0hi");
}

#[test]
fn iso_8583_in_its_channels() {
    both_ways(&named("iso8583"), b"\0\x040800\0\x040810", &[b"0800", b"0810"]);
    both_ways(&length(Length::new(Notation::Decimal { bytes: 4 })), b"00040800", &[b"0800"]);
    both_ways(&length(Length::new(Notation::Hex { bytes: 4 })), b"000B0800abcdefg", &[b"0800abcdefg"]);
    assert_eq!(
        messages(&length(Length::new(Notation::Hex { bytes: 4 })), b"000b0800abcdefg"),
        ["0800abcdefg"]
    );
    both_ways(&length(Length::new(Notation::Bcd { bytes: 2 })), b"\0\x120800abcdefgh", &[b"0800abcdefgh"]);
    // AmEx: the length counts itself.
    both_ways(&length(Length::new(Notation::big(2)).adjust(-2)), b"\0\x060800", &[b"0800"]);
    // Compass and VAP: two more bytes behind the length.
    both_ways(&length(Length::new(Notation::big(2)).adjust(2)), b"\0\x04\0\x000800", &[b"\0\x000800"]);
    // GICC: a prefix.
    fills_in(&length(Length::new(Notation::big(2)).at(2)), b"\x01\x02\0\x000800", b"\x01\x02\0\x040800");
    // CMF: three bytes.
    both_ways(&length(Length::new(Notation::big(3))), b"\0\0\x040800", &[b"0800"]);
    // RBP: magic, and a length right behind it, counted from the start of the frame.
    let rbp = Description {
        magic: bytes(b"RB"),
        ..Description::new(Form::Length(Length::new(Notation::big(2)).at(2).header(Header::Strip)))
    };
    both_ways(&described(rbp), b"RB\0\x040800RB\0\x040810", &[b"0800", b"0810"]);
    // BASE24: the length counts the trailer.
    let base24 = Description {
        trailer: bytes(b"\x03"),
        ..Description::new(Form::Length(Length::new(Notation::big(2)).adjust(0)))
    };
    both_ways(&described(base24), b"\0\x050800\x03", &[b"0800"]);
    both_ways(&framing(Form::Delimiter(one(b"\x03"))), b"0800\x030810\x03", &[b"0800", b"0810"]);
    // A request is 0100 or 0200, its reply 0110 or 0210; the trace number is the same.
    let key = Key::Pattern(pattern(r"^0\d[01]\d(\d{6})"));
    assert_eq!(id(&key, b"0100000042"), id(&key, b"0110000042"));
}

#[test]
fn polls_are_delivered_skipped_or_sent_back() {
    let with = |empty, form| described(Description { empty, ..Description::new(form) });
    let digits = || Form::Length(Length::new(Notation::Decimal { bytes: 4 }));
    let stream = [Bytes::from_static(b"000000040800")];
    let message = |bytes| Received::Message(Bytes::from_static(bytes));
    let (received, _) = receive(&with(Empty::Deliver, digits()), stream.clone());
    assert_eq!(received, [message(b""), message(b"0800")]);
    let (received, _) = receive(&with(Empty::Skip, digits()), stream.clone());
    assert_eq!(received, [message(b"0800")]);
    let (received, _) = receive(&with(Empty::Echo, digits()), stream);
    assert_eq!(received, [Received::Echo(bytes(b"0000")), message(b"0800")]);
    // A zero where the length counts itself is a poll, unless polls are to be delivered.
    let counts_itself = || Form::Length(Length::new(Notation::big(2)).adjust(-2));
    let stream = [Bytes::from_static(b"\0\0\0\x03x")];
    let (received, error) = receive(&with(Empty::Skip, counts_itself()), stream.clone());
    assert_eq!((received, error), (vec![message(b"x")], None));
    let (received, error) = receive(&with(Empty::Deliver, counts_itself()), stream);
    assert_eq!((received.len(), error.unwrap().code()), (0, "ERR_FRAME_INVALID"));
    // A ping of MQTT.
    let mqtt = Rc::new(Framing::named("mqtt").unwrap().with_empty(Empty::Skip));
    let (received, _) = receive(&mqtt, [Bytes::from_static(b"\xd0\0\x20\x02\0\0")]);
    assert_eq!(received, [message(b"\x20\x02\0\0")]);
}

#[test]
fn x25_ends_by_silence() {
    let idle = framing(Form::Idle(std::time::Duration::from_millis(50)));
    assert_eq!(idle.idle(), Some(std::time::Duration::from_millis(50)));
    let mut framer = Framer::new(idle);
    framer.push(Bytes::from_static(b"08"));
    assert_eq!(framer.receive(), Ok(None));
    framer.push(Bytes::from_static(b"00"));
    assert_eq!(framer.receive(), Ok(None));
    assert_eq!(framer.flush_idle(), Some(bytes(b"0800")));
    assert_eq!(framer.flush_idle(), None);
    framer.push(Bytes::from_static(b"x"));
    assert_eq!(framer.finish(), Ok(Some(Received::Message(bytes(b"x")))));
    assert_eq!(framer.finish(), Ok(None));
}

#[test]
fn postgres() {
    let postgres = named("postgres");
    both_ways(&postgres, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", &[b"R\0\0\0\x08\0\0\0\0", b"Z\0\0\0\x05I"]);
    fills_in(&postgres, b"Q\0\0\0\0select 1\0", b"Q\0\0\0\x0dselect 1\0");
    // The first messages have no type.
    fills_in(&postgres, b"\0\0\0\0\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x2f");
    fills_in(&postgres, b"\0\0\0\0\0\x03\0\0user\0me\0\0", b"\0\0\0\x11\0\x03\0\0user\0me\0\0");
    // The answer to SSLRequest is one byte, and what comes behind it is framed again.
    let mut framer = Framer::new(postgres);
    framer.push(Bytes::from_static(b"NR\0\0\0\x08\0\0\0\0"));
    assert_eq!(framer.take(1), Some(bytes(b"N")));
    assert_eq!(framer.receive(), Ok(Some(Received::Message(bytes(b"R\0\0\0\x08\0\0\0\0")))));
}

#[test]
fn mysql_tds_mongodb_and_cassandra() {
    fills_in(&named("mysql"), b"\0\0\0\x01\x03select 1", b"\x09\0\0\x01\x03select 1");
    let tds = length(Length::new(Notation::big(2)).at(2).adjust(-4));
    fills_in(&tds, b"\x01\x01\0\0\0\0\x01\0hi", b"\x01\x01\0\x0a\0\0\x01\0hi");
    let reply = b"\x12\0\0\0\x01\0\0\0\x2a\0\0\0\xdd\x07\0\0hi";
    fills_in(&named("mongodb"), b"\0\0\0\0\x01\0\0\0\x2a\0\0\0\xdd\x07\0\0hi", reply);
    // The id is at another place in the reply.
    let request = b"\x12\0\0\0\x2a\0\0\0\0\0\0\0\xdd\x07\0\0hi";
    assert_eq!(id(&number(4, 4, Endian::Little), request), id(&number(8, 4, Endian::Little), reply));
    let frame = b"\x84\0\0\x07\x08\0\0\0\x02hi";
    fills_in(&named("cassandra"), b"\x84\0\0\x07\x08\0\0\0\0hi", frame);
    assert_eq!(id(&number(2, 2, Endian::Big), frame), Id::Number(7));
}

#[test]
fn kafka_thrift_and_others_with_four_bytes() {
    let request = b"\0\x12\0\x03\0\0\0\x07\0\x02me";
    let reply = b"\0\0\0\x07\0\0";
    let stream = [b"\0\0\0\x0c", &request[..], b"\0\0\0\x06", reply].concat();
    for name in ["kafka", "thrift", "u32"] {
        both_ways(&named(name), &stream, &[request, reply]);
    }
    // Behind the length, which is no part of the message: 8 and 4 in the frame.
    assert_eq!(id(&number(4, 4, Endian::Big), request), id(&number(0, 4, Endian::Big), reply));
    // SunRPC: the highest bit says that the fragment is the last.
    let notation = Notation::Uint { bytes: 4, little: false, mask: Some(0x7fff_ffff) };
    let sunrpc = length(Length::new(notation).header(Header::Keep));
    fills_in(&sunrpc, b"\x80\0\0\0\0\0\0\x01abcd", b"\x80\0\0\x08\0\0\0\x01abcd");
}

#[test]
fn amqp() {
    let amqp = named("amqp");
    let method = b"\x01\0\0\0\0\0\x04\0\x0a\0\x0b";
    assert_eq!(messages(&amqp, &[&method[..], b"\xce"].concat()), [&method[..]]);
    assert_eq!(encode(&amqp, b"\x01\0\0\0\0\0\0\0\x0a\0\x0b"), [&method[..], b"\xce"].concat());
    // The protocol's header goes before all frames, and comes back if the peer wants another version.
    both_ways(&amqp, b"AMQP\0\0\x09\x01", &[b"AMQP\0\0\x09\x01"]);
    let (_, error) = receive(&amqp, [Bytes::from_static(b"\x08\0\0\0\0\0\0\xcd")]);
    assert_eq!(
        error.unwrap().to_string(),
        "the message at offset 0 is malformed: it does not end with \
        `trailer`: 0xcd in place of 0xce, at offset 7"
    );
    let amqp1 = named("amqp1");
    both_ways(&amqp1, b"AMQP\0\x01\0\0\0\0\0\x08\x02\0\0\0", &[b"AMQP\0\x01\0\0", b"\0\0\0\x08\x02\0\0\0"]);
    fills_in(&amqp1, b"\0\0\0\0\x02\0\0\0xy", b"\0\0\0\x0a\x02\0\0\0xy");
}

#[test]
fn mqtt_and_varints() {
    let mqtt = named("mqtt");
    fills_in(&mqtt, b"\x30\0\0\x01tx", b"\x30\x04\0\x01tx");
    let long = [&b"\x30\xc8\x01"[..], &[7; 200]].concat();
    fills_in(&mqtt, &[&b"\x30\0"[..], &[7; 200]].concat(), &long);
    fills_in(&mqtt, &long, &long);
    both_ways(&named("varint"), &[&b"\x02hi\xac\x02"[..], &[1; 300]].concat(), &[b"hi", &[1; 300]]);
}

#[test]
fn grpc_modbus_smpp_and_diameter() {
    let grpc = length(Length::new(Notation::big(4)).at(1));
    fills_in(&grpc, b"\0\0\0\0\0hi", b"\0\0\0\0\x02hi");
    let stripped = length(Length::new(Notation::big(4)).at(1).header(Header::Strip));
    both_ways(&stripped, b"\0\0\0\0\x02hi", &[b"hi"]);

    let modbus = b"\0\x07\0\0\0\x06\x01\x03\0\0\0\x01";
    fills_in(&named("modbus"), b"\0\x07\0\0\0\0\x01\x03\0\0\0\x01", modbus);
    assert_eq!(id(&number(0, 2, Endian::Big), modbus), Id::Number(7));

    let smpp = b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x09";
    fills_in(&named("smpp"), b"\0\0\0\0\0\0\0\x15\0\0\0\0\0\0\0\x09", smpp);
    assert_eq!(id(&number(12, 4, Endian::Big), smpp), Id::Number(9));

    let diameter = b"\x01\0\0\x14\x80\0\x01\x18\0\0\0\0\0\0\0\x05\0\0\0\x06";
    fills_in(&named("diameter"), b"\x01\0\0\0\x80\0\x01\x18\0\0\0\0\0\0\0\x05\0\0\0\x06", diameter);
    assert_eq!(id(&number(12, 4, Endian::Big), diameter), Id::Number(5));
}

#[test]
fn dns_radius_bgp_and_tpkt() {
    let query = b"\x12\x34\x01\0\0\0\0\0\0\0\0\0";
    both_ways(&named("dns"), &[b"\0\x0c", &query[..]].concat(), &[query]);
    assert_eq!(id(&number(0, 2, Endian::Big), query), Id::Number(0x1234));
    let radius = length(Length::new(Notation::big(2)).at(2).adjust(-4));
    fills_in(&radius, b"\x01\x07\0\0abcd", b"\x01\x07\0\x08abcd");
    assert_eq!(id(&number(1, 1, Endian::Big), b"\x01\x07\0\x08abcd"), Id::Number(7));
    // The place of the length is the protocol's own: behind the sixteen bytes of the marker.
    let bgp = Description {
        magic: bytes(&[0xff; 16]),
        ..Description::new(Form::Length(Length::new(Notation::big(2)).at(16).adjust(-18)))
    };
    let keepalive = [&[0xff; 16][..], b"\0\x13\x04"].concat();
    both_ways(&described(bgp.clone()), &keepalive, &[b"\0\x13\x04"]);
    assert_eq!(encode(&described(bgp), b"\0\0\x04"), keepalive);
    fills_in(&named("tpkt"), b"\x03\0\0\0\x02\xf0\x80", b"\x03\0\0\x07\x02\xf0\x80");
}

#[test]
fn ldap_and_snmp() {
    let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
    let long = [&b"\x30\x82\x01\x2c"[..], &[4; 300]].concat();
    both_ways(&named("ldap"), &[&bind[..], &long].concat(), &[bind, &long]);
    let own = length(Length::new(Notation::Ber).at(1));
    fills_in(&own, &[&b"\x30\0"[..], &[4; 300]].concat(), &long);
}

#[test]
fn little_endian_lengths() {
    // OPC UA: counts all, at 4.
    let opcua = length(Length::new(Notation::little(4)).at(4).adjust(-8));
    fills_in(&opcua, b"HELF\0\0\0\0abcd", b"HELF\x0c\0\0\0abcd");
    // Source RCON.
    both_ways(&named("u32le"), b"\x0a\0\0\0\x07\0\0\0\x02\0\0\0\0\0", &[b"\x07\0\0\0\x02\0\0\0\0\0"]);
    both_ways(&named("u16le"), b"\x02\0hi", &[b"hi"]);
    both_ways(&named("u16"), b"\0\x02hi", &[b"hi"]);
    both_ways(&named("u8"), b"\x02hi\0", &[b"hi", b""]);
    // Bitcoin: a checksum between the length and the payload.
    let bitcoin = Description {
        magic: bytes(b"\xf9\xbe\xb4\xd9"),
        ..Description::new(Form::Length(Length::new(Notation::little(4)).at(16).adjust(4)))
    };
    let ping = b"ping\0\0\0\0\0\0\0\0\x08\0\0\0\x01\x02\x03\x0412345678";
    both_ways(&described(bitcoin), &[b"\xf9\xbe\xb4\xd9", &ping[..]].concat(), &[ping]);
}

#[test]
fn someip_stun_and_trackers() {
    let someip = length(Length::new(Notation::big(4)).at(4));
    let frame = b"\x12\x34\0\x01\0\0\0\x08\0\x01\0\x02\x01\x01\0\0";
    fills_in(&someip, b"\x12\x34\0\x01\0\0\0\0\0\x01\0\x02\x01\x01\0\0", frame);
    assert_eq!(id(&number(8, 4, Endian::Big), frame), Id::Number(0x0001_0002));
    let stun = length(Length::new(Notation::big(2)).at(2).adjust(16));
    let binding = [&b"\0\x01\0\x04\x21\x12\xa4\x42"[..], &[9; 12], b"abcd"].concat();
    both_ways(&stun, &binding, &[&binding]);
    // IEC 104 and GT06: magic, a length of one byte, and a trailer.
    let iec = Description {
        magic: bytes(b"\x68"),
        ..Description::new(Form::Length(Length::new(Notation::big(1)).at(1).header(Header::Strip)))
    };
    both_ways(&described(iec), b"\x68\x04\x43\0\0\0", &[b"\x43\0\0\0"]);
    let gt06 = |length| {
        described(Description {
            magic: bytes(b"\x78\x78"),
            trailer: bytes(b"\r\n"),
            ..Description::new(Form::Length(length))
        })
    };
    let one_byte = || Length::new(Notation::big(1));
    for length in [one_byte().at(2).adjust(2).header(Header::Strip), one_byte()] {
        both_ways(&gt06(length), b"\x78\x78\x05\x01ab12\r\n", &[b"\x01ab12"]);
    }
}

#[test]
fn byte_stuffing() {
    let escaped = |delimiter, start, byte, map: &[(u8, u8)]| {
        let escape = Some(Escape { byte, map: map.to_vec() });
        framing(Form::Delimiter(Delimiters { start, escape, ..one(delimiter) }))
    };
    // JT/T 808.
    let tracker = escaped(b"\x7e", bytes(b"\x7e"), 0x7d, &[(2, 0x7e), (1, 0x7d)]);
    both_ways(&tracker, b"\x7e\x01\x7d\x02\x7d\x01\x02\x7e\x7eab\x7e", &[b"\x01\x7e\x7d\x02", b"ab"]);
    let slip = escaped(b"\xc0", Bytes::new(), 0xdb, &[(0xdc, 0xc0), (0xdd, 0xdb)]);
    both_ways(&slip, b"a\xdb\xdc\xdb\xddb\xc0\xc0", &[b"a\xc0\xdbb", b""]);
    // TN3270: the delimiter starts with the escape byte.
    let telnet = escaped(b"\xff\xef", Bytes::new(), 0xff, &[(0xff, 0xff)]);
    both_ways(&telnet, b"a\xff\xff\xef\xff\xefb\xff\xef", &[b"a\xff\xef", b"b"]);
    // A backslash in front of the delimiter itself.
    let backslash = escaped(b";", Bytes::new(), b'\\', &[(b';', b';'), (b'\\', b'\\')]);
    both_ways(&backslash, b"a\\;b\\\\;c;", &[b"a;b\\", b"c"]);
    let (_, error) = receive(&slip, [Bytes::from_static(b"a\xdb\x01")]);
    let Some(FrameError::Invalid { at: 2, .. }) = error else { panic!("{error:?}") };
}

/// Two lengths in one header, or flags that say how wide the length is: the caller finds the end itself.
#[test]
fn what_only_a_function_can_frame() {
    fn fastcgi(received: &[u8]) -> usize {
        let Some(header) = received.get(..8) else { return 0 };
        let size = 8 + usize::from(u16::from_be_bytes([header[4], header[5]])) + usize::from(header[6]);
        if received.len() < size { 0 } else { size }
    }
    fn egts(received: &[u8]) -> usize {
        let (Some(header), Some(count)) = (received.get(3), received.get(5..7)) else { return 0 };
        let size = usize::from(*header) + usize::from(u16::from_le_bytes([count[0], count[1]])) + 2;
        if received.len() < size { 0 } else { size }
    }
    fn zmtp(received: &[u8]) -> usize {
        let size = match received {
            [flags, short, ..] if flags & 2 == 0 => 2 + usize::from(*short),
            [_, a, b, c, d, e, f, g, h, ..] => {
                9 + u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize
            }
            _ => return 0,
        };
        if received.len() < size { 0 } else { size }
    }
    let frames: [(fn(&[u8]) -> usize, &[u8]); 3] = [
        (fastcgi, b"\x01\x06\0\x01\0\x05\x03\0hello\0\0\0"),
        (egts, b"\x01\0\0\x08\0\x02\0\0hi\0\0"),
        (zmtp, b"\x02\0\0\0\0\0\0\0\x03abc"),
    ];
    for (length, frame) in frames {
        let mut buffer = senary_wire::Buffer::new();
        let mut taken = Vec::new();
        for byte in [frame, frame].concat() {
            buffer.push(Bytes::copy_from_slice(&[byte]));
            let size = length(buffer.all());
            if size > 0 {
                taken.extend(buffer.take(size));
            }
        }
        assert_eq!(taken, [frame, frame]);
    }
}

#[test]
fn fixed_sizes_and_own_delimiters() {
    both_ways(&framing(Form::Fixed(4)), b"abcdefgh", &[b"abcd", b"efgh"]);
    let kept = framing(Form::Delimiter(Delimiters { keep: true, ..one(b"|") }));
    both_ways(&kept, b"a|b|", &[b"a|", b"b|"]);
    assert_eq!(encode(&kept, b"a"), b"a|");
    let several = Delimiters {
        delimiters: [&b";"[..], b"\n", b"END", b"\r\n", b"!"].map(Bytes::from_static).to_vec(),
        ..Delimiters::default()
    };
    let several = framing(Form::Delimiter(several));
    assert_eq!(messages(&several, b"a;b\nc\r\nEdENDe!"), ["a", "b", "c", "Ed", "e"]);
    assert_eq!(encode(&several, b"a"), b"a;");
}
