//! `senary archive`: packs a test into one file, with all it needs. What such a file looks like is
//! [`archive`](crate::archive)'s.

use std::fs::File;
use std::io::{self, BufWriter};

use senary_execution::Shutdown;
use senary_metrics::Registry;
use senary_words::io_text;

use crate::archive::Archive;
use crate::cli::ArchiveArgs;
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::failure::Failure;
use crate::options::{Given, GlobalSettings, Note, RuntimeSettings, ScriptOptions};
use crate::plan::{ScriptFacts, TestPlan};
use crate::script;

/// Where an archive goes if nothing is said.
const DEFAULT_FILE: &str = "archive.tar";

pub fn run(args: &ArchiveArgs, global: &GlobalSettings, env: &Environment) -> Result<(), Failure> {
    let archive = event_loop()?.block_on(pack(args, global, env))?;
    let path = args.archive_out.as_deref().unwrap_or(DEFAULT_FILE);
    write(&archive, path)
        .map_err(|e| Failure::Command(format!("could not write the archive to {path:?}: {}", io_text(&e))))
}

/// Loads the test as a run would, and checks its options.
async fn pack(args: &ArchiveArgs, global: &GlobalSettings, env: &Environment) -> Result<Archive, Failure> {
    let name = &args.script[0];
    let runtime = RuntimeSettings::new(&args.runtime, env, false)?;
    let given = Given::read(Some(&args.options), None, env, global.config.as_ref())?;
    let secrets = script::secrets(global, env)?;
    let test = script::read(name, runtime.source_type.as_deref(), &global.web)?;
    let entry = test.source.clone();
    let variables = test.env(&runtime);
    let base_compatibility = test.has_base_compatibility(&runtime);
    let registry = Registry::new();
    let bundle = script::load(test, &runtime, secrets, &registry, &Shutdown::new()).await?;
    let options = ScriptOptions { name, text: &entry.text, json: bundle.options() };
    let consolidated = given.consolidate(&options)?;
    consolidated.notes.iter().for_each(Note::log);
    let options = consolidated.as_given.to_json().into();
    let facts = ScriptFacts { exports: bundle.exports(), registry: &registry, name, text: &entry.text };
    TestPlan::new(consolidated, &runtime, &facts)?;
    Ok(Archive {
        url: entry.url,
        script: entry.text.into_bytes().into(),
        options,
        env: if args.exclude_env_vars == Some(true) {
            Default::default()
        } else {
            variables.into_iter().collect()
        },
        base_compatibility,
        contents: bundle.store().contents(),
    })
}

fn write(archive: &Archive, path: &str) -> io::Result<()> {
    match path {
        "-" => archive.write(io::stdout().lock()),
        _ => archive.write(BufWriter::new(File::create(path)?)),
    }
}
