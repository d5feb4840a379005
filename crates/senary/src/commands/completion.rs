//! `senary completion`: scripts that teach a shell the command line.

use clap_complete::Shell;

use crate::cli::{self, PROGRAM};

/// A shell for which there is no completion.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no completion for {0:?}: use bash, elvish, fish, powershell or zsh")]
pub struct UnknownShell(String);

/// The script for a shell.
pub fn script(shell: &str) -> Result<Vec<u8>, UnknownShell> {
    let shell: Shell = shell.parse().map_err(|_| UnknownShell(shell.to_owned()))?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::shown_command(), PROGRAM, &mut script);
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_the_commands() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let script = String::from_utf8(script(shell).unwrap()).unwrap();
            for word in ["run", "archive", "vus", "execution-segment"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
        }
        assert_eq!(script("tcsh"), Err(UnknownShell("tcsh".to_owned())));
    }
}
