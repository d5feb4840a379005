//! Writes what packages of Senary contain besides the program: man pages, and completions for shells.
//!
//! ```text
//! cargo run --package senary --example package_files -- FOLDER
//! ```
//!
//! This is no command of the program, because nobody needs it who has the package.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use clap_mangen::Man;
use senary::cli::{PROGRAM, shown_command};
use senary::commands::completion;

/// Shells, and the file in which each one looks for completions of a program.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "senary"), ("zsh", "_senary"), ("fish", "senary.fish")];

/// What the pages do not take from the command line.
const SEE_ALSO: &str = r#".SH "SEE ALSO"
The outputs of a test: \fBsenary run \-\-out help\fR.
The options of a test, its exit codes, the modules that scripts can import and how to run a test on many machines are described in
the folder /usr/share/doc/senary.
"#;

fn main() -> Result<()> {
    let folder =
        std::env::args_os().nth(1).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "give a folder"))?;
    let folder = Path::new(&folder);
    write_man_pages(&folder.join("man"))?;
    write_completions(&folder.join("completions"))
}

/// One page for the program, and one for each command.
fn write_man_pages(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut root = shown_command().version(env!("CARGO_PKG_VERSION"));
    // So that each command knows its flags, and that it is one of the program's.
    root.build();
    write_page(&root, PROGRAM, folder)?;
    for command in root.get_subcommands() {
        let name = format!("{PROGRAM}-{}", command.get_name());
        let command = command.clone().display_name(&name).version(env!("CARGO_PKG_VERSION"));
        write_page(&command, &name, folder)?;
    }
    Ok(())
}

fn write_page(command: &clap::Command, name: &str, folder: &Path) -> Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .source(concat!("Senary ", env!("CARGO_PKG_VERSION")))
        .manual("Load tests")
        .render(&mut page)?;
    page.extend_from_slice(SEE_ALSO.as_bytes());
    std::fs::write(folder.join(format!("{name}.1")), page)
}

fn write_completions(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (shell, file) in COMPLETIONS {
        let script = completion::script(shell).map_err(Error::other)?;
        std::fs::write(folder.join(file), script)?;
    }
    Ok(())
}
