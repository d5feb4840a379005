//! `senary new`: a script to start from.

mod editor;
mod template;

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use senary_js::source::read_text;
use senary_words::io_text;

use self::template::{TemplateError, render};
use crate::cli::NewArgs;

const DEFAULT_FILE: &str = "script.js";
const DEFAULT_TEMPLATE: &str = "minimal";

/// Templates by name.
const TEMPLATES: [(&str, &str); 2] = [
    (DEFAULT_TEMPLATE, include_str!("templates/minimal.js")),
    ("protocol", include_str!("templates/protocol.js")),
];

/// The fields that templates may use for what is not known in advance.
const SCRIPT_NAME: &str = "ScriptName";
const PROJECT_ID: &str = "ProjectID";

/// Why there is no new script.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error("{0} already exists. Use the `--force` flag to overwrite it")]
    Exists(String),
    #[error("there is no template {0:?}: use minimal, protocol, or the path of a template")]
    NoTemplate(String),
    #[error("the template \"browser\" needs k6/browser, which Senary does not have: use minimal or protocol")]
    Browser,
    #[error("could not read the template {path:?}: {}", io_text(.error))]
    Template { path: String, error: io::Error },
    #[error("could not follow the template {template:?}: {error}")]
    Rendering { template: String, error: TemplateError },
    #[error("could not write {path:?}: {}", io_text(.error))]
    Write { path: String, error: io::Error },
}

/// Writes the script, and returns the message about it.
pub fn run(args: &NewArgs) -> Result<String, NewError> {
    let file = args.file.first().map_or(DEFAULT_FILE, String::as_str);
    let template = args.template.as_deref().unwrap_or(DEFAULT_TEMPLATE);
    let force = args.force == Some(true);
    if !force && Path::new(file).exists() {
        return Err(NewError::Exists(file.to_owned()));
    }
    // If the folder has files already, only the script is added.
    let starts_project = args.types == Some(true) || is_empty(folder_of(file));
    let text = template_text(template)?;
    if args.project_id.is_some() && !text.contains(PROJECT_ID) {
        log::warn!("--project-id has no effect: the template does not mention a project");
    }
    let field = |name: &str| match name {
        SCRIPT_NAME => Some(file),
        PROJECT_ID => Some(args.project_id.as_deref().unwrap_or_default()),
        _ => None,
    };
    let text =
        render(&text, field).map_err(|error| NewError::Rendering { template: template.to_owned(), error })?;
    write(file, &text, force)?;
    let types = if starts_project {
        types_beside(file)
    } else {
        "For the types of the modules in your editor: senary new --types\n"
    };
    Ok(format!("New script created: {file} ({template} template).\n{types}"))
}

fn folder_of(file: &str) -> &Path {
    let folder = Path::new(file).parent();
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether there is nothing in a folder that anybody sees.
fn is_empty(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    entries.flatten().all(|entry| is_hidden(&entry.file_name()))
}

/// Writes what editors need beside the script; gives back what to tell of it. The script is there without it, too.
fn types_beside(file: &str) -> &'static str {
    match editor::set_up(folder_of(file)) {
        Ok(written) if written.is_empty() => "",
        Ok(_) => "For your editor: jsconfig.json and the types of the modules in .senary/types.\n",
        Err((path, error)) => {
            log::warn!("could not write {path:?}, which editors need: {}", io_text(&error));
            ""
        }
    }
}

fn template_text(template: &str) -> Result<String, NewError> {
    if let Some((_, text)) = TEMPLATES.iter().find(|(name, _)| *name == template) {
        return Ok((*text).to_owned());
    }
    if template == "browser" {
        return Err(NewError::Browser);
    }
    read_text(Path::new(template)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NewError::NoTemplate(template.to_owned()),
        _ => NewError::Template { path: template.to_owned(), error },
    })
}

fn write(file: &str, text: &str, force: bool) -> Result<(), NewError> {
    let mut options = OpenOptions::new();
    options.write(true);
    // Without force, a file that appeared in the meantime is not overwritten either.
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let written = options.open(file).and_then(|mut out| out.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists(file.to_owned()),
        _ => NewError::Write { path: file.to_owned(), error },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn path(&self, name: &str) -> String {
            self.0.path().join(name).to_str().unwrap().to_owned()
        }

        fn run(&self, file: &str, template: Option<&str>, force: bool) -> Result<String, NewError> {
            run(&NewArgs {
                file: vec![self.path(file)],
                force: Some(force),
                template: template.map(str::to_owned),
                project_id: Some("7".to_owned()),
                types: None,
            })
        }

        fn text(&self, file: &str) -> String {
            fs::read_to_string(self.path(file)).unwrap()
        }
    }

    fn folder() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[test]
    fn templates_become_scripts() {
        let folder = folder();
        for (name, _) in TEMPLATES {
            let said = folder.run(&format!("{name}.js"), Some(name), false).unwrap();
            let path = folder.path(&format!("{name}.js"));
            assert!(said.starts_with(&format!("New script created: {path} ({name} template).\n")), "{said}");
            let text = folder.text(&format!("{name}.js"));
            assert!(text.contains(&path) && !text.contains("{{"), "{text}");
        }
    }

    #[test]
    fn what_is_there_stays_unless_forced() {
        let folder = folder();
        fs::write(folder.path("a.js"), "mine").unwrap();
        let error = folder.run("a.js", None, false).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{} already exists. Use the `--force` flag to overwrite it", folder.path("a.js"))
        );
        assert_eq!(folder.text("a.js"), "mine");
        folder.run("a.js", None, true).unwrap();
        assert!(folder.text("a.js").contains("export default function"));
    }

    #[test]
    fn templates_of_ones_own() {
        let folder = folder();
        let template = "// {{.ScriptName}}{{ if .ProjectID }} of {{ .ProjectID }}{{ else }} alone{{ end }}";
        fs::write(folder.path("t.js"), template).unwrap();
        folder.run("a.js", Some(&folder.path("t.js")), false).unwrap();
        assert_eq!(folder.text("a.js"), format!("// {} of 7", folder.path("a.js")));
        fs::write(folder.path("t.js"), "\n{{ range .Lines }}").unwrap();
        let error = folder.run("b.js", Some(&folder.path("t.js")), false).unwrap_err().to_string();
        assert!(error.starts_with("could not follow the template ") && error.contains("line 2: "), "{error}");
        assert!(!Path::new(&folder.path("b.js")).exists());
    }

    #[test]
    fn templates_that_are_not_there() {
        let folder = folder();
        let error = |template| folder.run("a.js", Some(template), false).unwrap_err().to_string();
        assert!(error("none").starts_with("there is no template \"none\": use minimal"));
        assert!(error("browser").contains("needs k6/browser"));
        assert!(error("/").starts_with("could not read the template"));
        assert!(!Path::new(&folder.path("a.js")).exists());
        let error = folder.run("missing/a.js", None, false).unwrap_err().to_string();
        assert!(error.starts_with("could not write"), "{error}");
    }
}
