//! Bodies that stand for a form: `application/x-www-form-urlencoded`, or `multipart/form-data` if files are in it.

use std::fmt::Write as _;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Text(String),
    File { data: Vec<u8>, filename: String, content_type: String },
}

/// Names and values, with `+` for spaces, sorted by name; values of the same name keep their order.
pub fn urlencoded(fields: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut out = String::new();
    for (name, value) in sorted {
        if !out.is_empty() {
            out.push('&');
        }
        escape_into(&mut out, name);
        out.push('=');
        escape_into(&mut out, value);
    }
    out
}

fn escape_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// The parts in their order, between lines with the boundary.
pub fn multipart(fields: &[(String, Field)], boundary: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, field) in fields {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        let name = quoted(name);
        let (head, data) = match field {
            Field::Text(text) => (String::new(), text.as_bytes()),
            Field::File { data, filename, content_type } => {
                let filename = quoted(filename);
                let content_type: String = content_type.chars().filter(|c| !c.is_control()).collect();
                (format!("; filename=\"{filename}\"\r\nContent-Type: {content_type}"), data.as_slice())
            }
        };
        out.extend_from_slice(
            format!("Content-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n").as_bytes(),
        );
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// What may stand between quotes in a head of a part.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let fields = [("user", "ann"), ("list", "x"), ("note", "a b&c=d☃"), ("list", "y"), ("n", "")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(urlencoded(&fields), "list=x&list=y&n=&note=a+b%26c%3Dd%E2%98%83&user=ann");
    }

    #[test]
    fn parts_cannot_break_out() {
        let file = Field::File {
            data: b"\x00\xff".to_vec(),
            filename: "a\"b\r\nX: y".into(),
            content_type: "text/plain\r\nX: y".into(),
        };
        let fields = [("kind".to_owned(), Field::Text("note".into())), ("f".to_owned(), file)];
        let expected = b"--B\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nnote\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\\\"b%0D%0AX: y\"\r\nContent-Type: text/plainX: y\r\n\r\n\x00\xff\r\n--B--\r\n";
        assert_eq!(multipart(&fields, "B"), expected);
    }
}
