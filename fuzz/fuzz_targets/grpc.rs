//! Answers of gRPC: whatever a server puts into status, words and frames, the message is a part of the frame, as long as it says,
//! and there is none unless the call went well. The first two bytes are the lengths of status and words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_web::fuzz_reply;

fuzz_target!(|data: &[u8]| {
    let [status, words, rest @ ..] = data else { return };
    let (status, rest) = rest.split_at(usize::from(*status).min(rest.len()));
    let (words, frame) = rest.split_at(usize::from(*words).min(rest.len()));
    let reply = fuzz_reply(status, words, frame);
    if reply.message.is_empty() {
        let _ = reply.to_string();
        return;
    }
    assert_eq!(reply.code, 0, "a message of a call that failed");
    let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
    assert_eq!((frame[0], reply.message.len()), (0, length));
    assert_eq!(&frame[5..5 + length], &reply.message[..]);
});
