//! Cookies as servers set them: what a `Set-Cookie` header says, and the dates in it.

/// What a server, or a script, says of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    pub domain: String,
    pub path: String,
    /// Milliseconds since the epoch.
    pub expires: Option<i64>,
    /// In seconds; a negative number deletes the cookie, and 0 stands for no age.
    pub max_age: i64,
    pub secure: bool,
    pub http_only: bool,
}

impl SetCookie {
    /// Reads a header; `None` if it is not a cookie.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if !is_token(name) {
            return None;
        }
        let mut cookie = Self { name: name.to_owned(), value: cookie_value(value, true)?, ..Self::default() };
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if let Some(value) = cookie_value(value.trim(), false) {
                cookie.read_attribute(&key.trim().to_ascii_lowercase(), value);
            }
        }
        Some(cookie)
    }

    fn read_attribute(&mut self, key: &str, value: String) {
        match key {
            "secure" => self.secure = true,
            "httponly" => self.http_only = true,
            "domain" => self.domain = value,
            "path" => self.path = value,
            "expires" => self.expires = parse_date(&value),
            "max-age" => match value.parse::<i64>() {
                Ok(seconds) if seconds <= 0 => self.max_age = -1,
                Ok(seconds) if !value.starts_with('0') => self.max_age = seconds,
                _ => {}
            },
            _ => {}
        }
    }
}

/// A value without its quotes; `None` if it has bytes that no cookie may have.
fn cookie_value(raw: &str, may_be_quoted: bool) -> Option<String> {
    let quoted = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    let value = if may_be_quoted { quoted.unwrap_or(raw) } else { raw };
    let is_valid = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\";\\".contains(&byte);
    value.bytes().all(is_valid).then(|| value.to_owned())
}

pub fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A cookie of a request, `name=value`, with what would break the header left out.
pub fn pair(name: &str, value: &str) -> String {
    let name: String = name.chars().map(|c| if "\n\r".contains(c) { '-' } else { c }).collect();
    let is_valid = |c: &char| (' '..'\u{7f}').contains(c) && !"\";\\".contains(*c);
    let value: String = value.chars().filter(is_valid).collect();
    if value.contains([' ', ',']) { format!("{name}=\"{value}\"") } else { format!("{name}={value}") }
}

/// A date of a cookie, in milliseconds since the epoch (RFC 6265, section 5.1.1: servers write them in many ways).
pub fn parse_date(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':');
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        let number = leading_number(token);
        if time.is_none() && token.contains(':') {
            time = read_time(token);
        } else if day.is_none() && number.is_some_and(|(_, digits)| digits <= 2) {
            day = number.map(|(n, _)| n);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() && number.is_some_and(|(_, digits)| digits == 2 || digits == 4) {
            year = number.map(|(n, _)| match n {
                70..=99 => n + 1900,
                0..=69 => n + 2000,
                n => n,
            });
        }
    }
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    if !(1..=31).contains(&day) || year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000)
}

fn leading_number(token: &str) -> Option<(i64, usize)> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    token[..digits].parse().ok().map(|number| (number, digits))
}

fn read_time(token: &str) -> Option<(i64, i64, i64)> {
    let mut parts = token.split(':').map(|part| leading_number(part).map(|(number, _)| number));
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn month_of(token: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let begin = token.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == begin).map(|at| at as i64 + 1)
}

/// By Howard Hinnant's `days_from_civil` (public domain).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let all = "a=b; Domain=x.test; path=/p; Expires=Thu, 01 Jan 1970 00:00:10 GMT; Max-Age=60; secure; HttpOnly; SameSite=Lax";
        let cookie = SetCookie {
            name: "a".into(),
            value: "b".into(),
            domain: "x.test".into(),
            path: "/p".into(),
            expires: Some(10_000),
            max_age: 60,
            secure: true,
            http_only: true,
        };
        assert_eq!(SetCookie::parse(all), Some(cookie));
        let value = |header| SetCookie::parse(header).map(|cookie| cookie.value);
        assert_eq!(value("a=\"b c\"").as_deref(), Some("b c"));
        assert_eq!(value("a=b=c").as_deref(), Some("b=c"));
        assert_eq!(value("a=").as_deref(), Some(""));
        for bad in ["", "a", "=b", "a b=c", "a=b\\c", "a=\u{e9}"] {
            assert_eq!(value(bad), None, "{bad}");
        }
        let age = |text: &str| SetCookie::parse(&format!("a=b; max-age={text}")).unwrap().max_age;
        assert_eq!([age("0"), age("-5"), age("7"), age("07"), age("x")], [-1, -1, 7, 0, 0]);
    }

    #[test]
    fn dates_are_read_however_they_are_written() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_date(date), Some(784_111_777_000), "{date}");
        }
        for bad in ["", "soon", "Sun, 06 Nov 1994", "Sun, 32 Nov 1994 08:49:37 GMT", "06 Nov 1994 25:00:00"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn pairs_cannot_break_a_header() {
        assert_eq!(pair("a", "b"), "a=b");
        assert_eq!(pair("a\r\nX", "b\r\n; \"c,d\\"), "a--X=\"b c,d\"");
    }
}
