//! `senary archive`: packs a test into one file, with all it needs. What such a file looks like is
//! [`archive`](crate::archive)'s.

use std::fs::File;
use std::io::{self, BufWriter};

use senary_execution::Shutdown;
use senary_words::remedy::explained;

use crate::archive::Archive;
use crate::cli::ArchiveArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::options::OptionLayers;
use crate::script::{self, Planned};
use crate::settings::{GlobalSettings, RuntimeSettings};

/// The default path of an archive.
const DEFAULT_FILE: &str = "archive.tar";

pub fn run(args: &ArchiveArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    let archive = event_loop()?.block_on(pack(args, global, env))?;
    let path = args.archive_out.as_deref().unwrap_or(DEFAULT_FILE);
    write(&archive, path).map_err(|e| {
        CommandError::Command(format!("could not write the archive to {path:?}: {}", explained(&e)))
    })
}

/// Loads the test as a run would, and checks its options.
async fn pack(
    args: &ArchiveArgs,
    global: &GlobalSettings,
    env: &Environment,
) -> Result<Archive, CommandError> {
    let runtime = RuntimeSettings::new(&args.script.runtime, env, false)?;
    let layers = OptionLayers::read(args.layer()?, env, global.config.as_ref())?;
    let name = args.script.name();
    let Planned { test, as_given, .. } =
        script::planned(name, layers, &runtime, global, env, &Shutdown::new()).await?;
    let env = match args.exclude_env_vars == Some(true) {
        true => Default::default(),
        false => test.env.iter().cloned().collect(),
    };
    Ok(Archive { env, ..test.kept(&as_given) })
}

fn write(archive: &Archive, path: &str) -> io::Result<()> {
    match path {
        "-" => archive.write(io::stdout().lock()),
        _ => archive.write(BufWriter::new(File::create(path)?)),
    }
}
