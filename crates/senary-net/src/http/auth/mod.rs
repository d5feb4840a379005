//! Authentication that answers a challenge of the server: Digest and NTLM. Pure functions from the server's fields to the field that is
//! sent; random numbers and the time are the caller's.

mod challenge;
pub mod digest;
pub mod ntlm;

/// The user and the password.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
