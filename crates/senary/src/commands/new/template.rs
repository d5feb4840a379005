//! Templates of scripts, as far as those in use go: the fields and conditions of Go's `text/template`. Whatever else
//! stands between double braces is an error, so that no script is made with half of its template in it.

/// Why a template cannot be followed, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TemplateError {
    pub line: usize,
    pub reason: String,
}

/// An `{{if}}` that has not ended yet.
struct Condition {
    line: usize,
    /// Whether what stands here is part of the result.
    holds: bool,
    /// Whether one of its branches has been chosen.
    is_decided: bool,
    is_last_branch: bool,
}

/// A piece of a template, and the line that it ends on or stands on.
struct Piece<'t> {
    line: usize,
    kind: Kind<'t>,
}

enum Kind<'t> {
    Plain(&'t str),
    /// What stands between the braces, without blanks and marks around it.
    Action(&'t str),
}

/// The template with its fields filled in: `{{.Name}}`, `{{if .Name}}…{{else if .Other}}…{{else}}…{{end}}`, comments
/// and the marks `{{-` and `-}}`, which remove the white space next to them. An empty field counts as false.
pub fn render<'a>(template: &str, field: impl Fn(&str) -> Option<&'a str>) -> Result<String, TemplateError> {
    let (mut text, mut conditions) = (String::new(), Vec::<Condition>::new());
    let mut rest = Pieces { template, rest: template, trims: false, action: None };
    while let Some(Piece { line, kind }) = rest.next()? {
        let error = |reason: String| TemplateError { line, reason };
        let shows = conditions.iter().all(|condition| condition.holds);
        let action = match kind {
            Kind::Plain(plain) => {
                text.push_str(if shows { plain } else { "" });
                continue;
            }
            Kind::Action(action) => action,
        };
        let value = |name: &str| {
            let found = name.strip_prefix('.').and_then(&field);
            found.ok_or_else(|| {
                error(format!("a template has .ScriptName and .ProjectID, if, else and end, but no {name:?}"))
            })
        };
        let words: Vec<&str> = action.split_whitespace().collect();
        match (&words[..], conditions.last_mut()) {
            _ if action.starts_with("/*") && action.ends_with("*/") => {}
            (["if", name], _) => {
                let holds = !value(name)?.is_empty();
                conditions.push(Condition { line, holds, is_decided: holds, is_last_branch: false });
            }
            (["else", ..] | ["end"], None) => return Err(error(format!("{action} without if"))),
            (["else", ..], Some(condition)) if condition.is_last_branch => {
                return Err(error(format!("{action} after else")));
            }
            (["else", "if", name], Some(condition)) => {
                let holds = !value(name)?.is_empty();
                condition.holds = holds && !condition.is_decided;
                condition.is_decided |= holds;
            }
            (["else"], Some(condition)) => {
                (condition.holds, condition.is_last_branch) = (!condition.is_decided, true);
            }
            (["end"], Some(_)) => drop(conditions.pop()),
            _ => text.push_str(Some(value(action)?).filter(|_| shows).unwrap_or_default()),
        }
    }
    match conditions.pop() {
        None => Ok(text),
        Some(Condition { line, .. }) => {
            Err(TemplateError { line, reason: "{{if}} without {{end}}".to_owned() })
        }
    }
}

/// A template on its way to be cut into pieces.
struct Pieces<'t> {
    template: &'t str,
    rest: &'t str,
    /// Whether the blanks in front of what is left are taken away.
    trims: bool,
    /// The action that follows the text that was given last.
    action: Option<Piece<'t>>,
}

impl<'t> Pieces<'t> {
    /// Text and actions in turn.
    fn next(&mut self) -> Result<Option<Piece<'t>>, TemplateError> {
        if let Some(action) = self.action.take() {
            return Ok(Some(action));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let open = self.rest.find("{{");
        let (mut plain, behind) = open.map_or((self.rest, ""), |at| (&self.rest[..at], &self.rest[at + 2..]));
        let end = self.template.len() - self.rest.len() + plain.len();
        let line = self.template[..end].matches('\n').count() + 1;
        if std::mem::take(&mut self.trims) {
            plain = plain.trim_start();
        }
        self.rest = behind;
        if open.is_some() {
            let is_blank = char::is_whitespace;
            let unclosed = || TemplateError { line, reason: "{{ without }}".to_owned() };
            let trimmed = behind.strip_prefix('-').filter(|action| action.starts_with(is_blank));
            if trimmed.is_some() {
                plain = plain.trim_end();
            }
            let (action, behind) = trimmed.unwrap_or(behind).split_once("}}").ok_or_else(unclosed)?;
            let trimmed = action.strip_suffix('-').filter(|action| action.ends_with(is_blank));
            self.trims = trimmed.is_some();
            self.rest = behind;
            let kind = Kind::Action(trimmed.unwrap_or(action).trim());
            self.action = Some(Piece { line, kind });
        }
        Ok(Some(Piece { line, kind: Kind::Plain(plain) }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(template: &str) -> Result<String, String> {
        let field = |name: &str| match name {
            "ScriptName" => Some("a.js"),
            "ProjectID" => Some(""),
            _ => None,
        };
        render(template, field).map_err(|e| e.to_string())
    }

    #[test]
    fn templates_are_followed() {
        for (template, expected) in [
            ("", ""),
            ("// {{.ScriptName}} {{ .ScriptName }}", "// a.js a.js"),
            ("{{if .ScriptName}}yes{{else}}no{{end}}!", "yes!"),
            ("{{ if .ProjectID }}yes{{ else }}no{{ end }}!", "no!"),
            ("{{if .ProjectID}}{{if .ScriptName}}a{{else}}b{{end}}c{{end}}d", "d"),
            ("{{if .ProjectID}}a{{else if .ScriptName}}b{{else}}c{{end}}", "b"),
            ("{{if .ScriptName}}a{{else if .ScriptName}}b{{else}}c{{end}}", "a"),
            ("a \n {{- .ScriptName -}} \n b", "aa.jsb"),
            ("a {{/* nothing */}} b", "a  b"),
            ("a{{- /* nothing */ -}} b", "ab"),
            ("{ {a: 1} }", "{ {a: 1} }"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let known = "a template has .ScriptName and .ProjectID, if, else and end, but no";
        for (template, expected) in [
            ("a\n{{.Name}}", format!("line 2: {known} \".Name\"")),
            ("{{range .ScriptName}}", format!("line 1: {known} \"range .ScriptName\"")),
            ("{{.ScriptName | printf}}", format!("line 1: {known} \".ScriptName | printf\"")),
            ("{{if not .ProjectID}}", format!("line 1: {known} \"if not .ProjectID\"")),
            ("{{}}", format!("line 1: {known} \"\"")),
            ("\n\n{{.ScriptName", "line 3: {{ without }}".to_owned()),
            ("\n{{if .ScriptName}}\n", "line 2: {{if}} without {{end}}".to_owned()),
            ("{{end}}", "line 1: end without if".to_owned()),
            ("{{else}}", "line 1: else without if".to_owned()),
            ("{{if .ScriptName}}{{else}}{{else}}{{end}}", "line 1: else after else".to_owned()),
            ("{{-3}}", format!("line 1: {known} \"-3\"")),
        ] {
            assert_eq!(rendered(template), Err(expected), "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_template_is_answered(parts in prop::collection::vec("[a ]|\\{\\{|\\}\\}|-|if|else|end|\\.ScriptName", 0..20)) {
            let _ = rendered(&parts.concat());
        }
    }
}
