//! Every name, with any messages that are valid under it: what is sent is received, however the stream is cut.
#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod common;

use bytes::Bytes;
use common::{encode, named, receive};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use senary_wire::{Received, names};

type Messages = BoxedStrategy<Vec<u8>>;

fn body(most: usize) -> impl Strategy<Value = Vec<u8>> {
    // Bytes that mean something to some framing come often.
    let byte = prop_oneof![
        3 => any::<u8>(),
        2 => prop::sample::select(b"\0\r\n :,;{}[]\"\\0139=\x01\x0b\x1c\xceAMQP".to_vec()),
    ];
    prop::collection::vec(byte, 0..most)
}

fn without(bytes: &'static [u8]) -> Messages {
    body(60).prop_map(move |body| body.into_iter().filter(|byte| !bytes.contains(byte)).collect()).boxed()
}

/// A header with a place for the length, and what it counts.
fn behind(header: &'static [u8]) -> Messages {
    body(300).prop_map(move |body| [header, &body].concat()).boxed()
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9.]{0,8}"
}

fn json() -> Messages {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        r#""([a-z{}\[\], ]|\\"|\\\\|\\n){0,12}""#,
    ];
    let value = leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(", "))),
            prop::collection::vec(inner, 0..6).prop_map(|values| {
                let pairs: Vec<String> = values.iter().map(|value| format!("\"k]}}\":\n{value}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    });
    value.prop_map(String::into_bytes).boxed()
}

fn bulk(kind: char) -> impl Strategy<Value = Vec<u8>> {
    body(20).prop_map(move |body| [format!("{kind}{}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat())
}

fn resp() -> Messages {
    let simple = prop::sample::select(vec![
        "+OK\r\n",
        "-ERR x\r\n",
        ":-7\r\n",
        "_\r\n",
        "#t\r\n",
        ",inf\r\n",
        "(1\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "%0\r\n",
        "$?\r\n;3\r\na\r\n\r\n;0\r\n",
        "+\r\n",
    ]);
    let leaf = prop_oneof![simple.prop_map(|text| text.as_bytes().to_vec()), bulk('$'), bulk('='), bulk('!')];
    let several = |kind: &'static str, each: usize| {
        move |values: Vec<Vec<u8>>| {
            let count = values.len() / each;
            [format!("{kind}{count}\r\n").as_bytes(), &values[..count * each].concat()].concat()
        }
    };
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let values = || prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            values().prop_map(several("*", 1)),
            values().prop_map(several("~", 1)),
            values().prop_map(several(">", 1)),
            values().prop_map(several("%", 2)),
            values().prop_map(|values| [b"*?\r\n", &values.concat()[..], b".\r\n"].concat()),
            (values(), inner.clone())
                .prop_map(move |(attributes, value)| { [several("|", 2)(attributes), value].concat() }),
        ]
    })
    .boxed()
}

fn smtp() -> Messages {
    (100..600_u16, prop::collection::vec("[ -~]{0,20}", 1..5))
        .prop_map(|(code, lines)| {
            let last = lines.len() - 1;
            let line = |(index, text): (usize, &String)| {
                format!("{code}{}{text}", if index == last { ' ' } else { '-' })
            };
            lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n").into_bytes()
        })
        .boxed()
}

fn memcached() -> Messages {
    let value = (word(), body(20)).prop_map(|(key, body)| {
        [format!("VALUE {key} 0 {}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat()
    });
    prop_oneof![
        prop::collection::vec(value, 0..4).prop_map(|values| [&values.concat()[..], b"END"].concat()),
        prop::sample::select(vec!["STORED", "17", "HD", "SERVER_ERROR x"])
            .prop_map(|text| text.as_bytes().to_vec()),
        body(20).prop_map(|body| [format!("VA {} t1\r\n", body.len()).as_bytes(), &body].concat()),
    ]
    .boxed()
}

fn nats() -> Messages {
    prop_oneof![
        (word(), body(20)).prop_map(|(subject, body)| {
            [format!("MSG {subject} 1 {}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat()
        }),
        (word(), word(), body(20)).prop_map(|(subject, reply, body)| {
            [format!("hpub {subject} {reply} 0 {}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat()
        }),
        prop::sample::select(vec!["PING\r\n", "+OK\r\n", "INFO {}\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
    .boxed()
}

fn stomp() -> Messages {
    prop_oneof![
        (word(), without(b"\0")).prop_map(|(header, body)| [
            format!("SEND\n{header}:1\n\n").as_bytes(),
            &body
        ]
        .concat()),
        (word(), body(40)).prop_map(|(header, body)| {
            let head = format!("MESSAGE\r\n{header}:1\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        }),
    ]
    .boxed()
}

fn fix() -> Messages {
    (word(), without(b"\x01"))
        .prop_map(|(kind, text)| {
            let body = [format!("35={kind}\x0158=").as_bytes(), &text, b"\x01"].concat();
            [format!("8=FIX.4.4\x019={}\x01", body.len()).as_bytes(), &body, b"10=042\x01"].concat()
        })
        .boxed()
}

fn ldap() -> Messages {
    body(300)
        .prop_map(|body| {
            let count = body.len() as u16;
            let length = if count < 0x80 {
                vec![count as u8]
            } else {
                [vec![0x82], count.to_be_bytes().to_vec()].concat()
            };
            [vec![0x30], length, body].concat()
        })
        .boxed()
}

fn valid(name: &str) -> Messages {
    match name {
        "lines" | "crlf" => without(b"\r\n"),
        "nul" => without(b"\0"),
        "mllp" => without(b"\x1c"),
        "json" => json(),
        "u8" => body(256).boxed(),
        "u16" | "u16le" | "u32" | "u32le" | "varint" | "lsp" | "netstring" | "syslog" | "kafka"
        | "thrift" | "iso8583" | "dns" => body(300).boxed(),
        "resp" => resp(),
        "smtp" => smtp(),
        "memcached" => memcached(),
        "nats" => nats(),
        "stomp" => stomp(),
        "fix" => fix(),
        "postgres" => prop_oneof![behind(b"Q\0\0\0\0"), behind(b"\0\0\0\0\0\x03\0\0")].boxed(),
        "mysql" | "mongodb" | "amqp1" | "smpp" | "diameter" | "tpkt" => behind(b"\x03\0\0\0"),
        "cassandra" => behind(b"\x84\0\0\x01\x08\0\0\0\0"),
        "mqtt" => behind(b"\x30\0"),
        "amqp" => prop_oneof![behind(b"\x03\0\x01\0\0\0\0"), Just(b"AMQP\0\0\x09\x01".to_vec())].boxed(),
        "modbus" => behind(b"\0\x01\0\0\0\0"),
        "ldap" => ldap(),
        other => panic!("the name {other} is not tested"),
    }
}

#[test]
fn what_is_sent_under_a_name_is_received() {
    for name in names::all() {
        let framing = named(name);
        let cuts = prop::collection::vec(any::<Index>(), 0..12);
        let messages = (prop::collection::vec(valid(name), 1..6), cuts);
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(150) });
        let run = runner.run(&messages, |(messages, cuts)| {
            let sent: Vec<Vec<u8>> = messages.iter().map(|message| encode(&framing, message)).collect();
            let stream = sent.concat();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let chunks = places.windows(2).map(|ends| Bytes::copy_from_slice(&stream[ends[0]..ends[1]]));
            let (received, error) = receive(&framing, chunks);
            prop_assert_eq!(error, None);
            prop_assert_eq!(received.len(), messages.len());
            for ((received, message), sent) in received.iter().zip(&messages).zip(&sent) {
                let Received::Message(received) = received else { panic!("{received:?}") };
                prop_assert_eq!(&encode(&framing, received), sent);
                // Where the script's message has a place for the length, only that is different.
                prop_assert!(received == message || received.len() >= message.len());
            }
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
