//! What a declaration names, as a list: `tcp_reqs`, `SocketOptions.scope`, `SocketOptions.scope "vu"`.

use std::collections::BTreeSet;

/// Everything of a module that a script or a threshold could write: the metrics, the members of types and classes, and
/// the values that those may have.
pub fn of(declaration: &str) -> BTreeSet<String> {
    let tokens = tokens(&without_comments(declaration));
    let mut members = metrics(declaration);
    members.extend(codes(declaration));
    // The brackets that are open, and the member that each belongs to.
    let mut open: Vec<(String, String)> = Vec::new();
    let (mut declared, mut member) = (String::new(), String::new());
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| &tokens[before]);
        let behind = |step: usize| tokens.get(at + step).map_or("", String::as_str);
        let is_in_object = open.len() > 1 && open.last().is_some_and(|(bracket, _)| bracket == "{");
        match token.as_str() {
            "interface" | "type" | "class" if open.len() == 1 => {
                behind(1).clone_into(&mut declared);
                member.clone_from(&declared);
            }
            "{" | "(" | "[" => open.push((token.clone(), member.clone())),
            "}" | ")" | "]" => member = open.pop().map_or_else(String::new, |(_, of)| of),
            _ if declared.is_empty() => {}
            "Symbol.asyncIterator" => drop(members.insert(format!("{declared}.{token}"))),
            _ if is_in_object && is_name(token, before, &behind) => {
                member = format!("{declared}.{}", token.trim_matches('"'));
                members.insert(member.clone());
            }
            _ if is_value(token) && [":", "|", "="].contains(&before) => {
                members.insert(format!("{member} {token}"));
            }
            _ => {}
        }
    }
    members
}

fn is_value(token: &str) -> bool {
    token.starts_with('"') || token.parse::<u32>().is_ok()
}

/// A name that a type follows, and that is not itself part of a type.
fn is_name<'a>(token: &str, before: &str, behind: &impl Fn(usize) -> &'a str) -> bool {
    let is_word = token.starts_with(|c: char| c.is_alphabetic() || c == '"');
    let is_in_type =
        ["extends", ":", "|", "&", "<", "=", ">"].contains(&before) && !is_after_type(token, before);
    let has_type = [":", "(", "<"].contains(&behind(1)) || (behind(1), behind(2)) == ("?", ":");
    is_word && !is_in_type && has_type
}

/// `Promise<null>` ends with `>`, and the next member stands behind it.
fn is_after_type(token: &str, before: &str) -> bool {
    before == ">" && token.starts_with(char::is_lowercase)
}

/// The names in the first column of the table of metrics.
fn metrics(declaration: &str) -> BTreeSet<String> {
    let rows = declaration.lines().filter_map(|line| line.strip_prefix(" * | `"));
    let names = rows.flat_map(|row| row.split('|').next().unwrap_or_default().split('`'));
    names.filter(|name| name.starts_with("tcp_")).map(str::to_owned).collect()
}

/// The codes of errors that the comments name.
fn codes(declaration: &str) -> impl Iterator<Item = String> {
    let quoted = declaration.split('`').skip(1).step_by(2);
    let codes = quoted.filter(|text| text.starts_with("ERR_") || *text == "ETIMEDOUT");
    codes.map(str::to_owned)
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest: String = parts.filter_map(|part| part.split_once("*/")).map(|(_, rest)| rest).collect();
    let lines = (first + &rest)
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned())
        .collect::<Vec<_>>();
    lines.join("\n")
}

/// Words, with the dots in them; texts; everything else character by character.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let end = match first {
            '"' => 2 + rest[1..].find('"').unwrap_or(rest.len() - 2),
            '=' if rest.starts_with("=>") => 2,
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        tokens.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    tokens
}
