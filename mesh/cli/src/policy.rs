//! `selvedge policy`: checks documents before they are written, and prints their schema.

use std::{
    fs,
    io::{Read as _, Write as _, stdin, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use selvedge::Document;

/// What `selvedge policy` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check a document (JSON or YAML) before `consul kv put selvedge/policy/<service> @FILE`.
    Check {
        /// The file, or - for standard input.
        file: PathBuf,
    },
    /// Print the JSON schema of documents.
    Schema,
}

/// Checks, or prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
        What::Check { file } => check(file),
        What::Schema => Ok(writeln!(stdout(), "{:#}", selvedge::document_schema())?),
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    let name = file.display();
    let text = read(file).with_context(|| format!("cannot read {name}"))?;
    let document = Document::parse(&text).map_err(|error| anyhow!("{name}: {error}"))?;
    let methods: Vec<_> = document.methods.keys().map(String::as_str).collect();
    let of = if methods.is_empty() { String::new() } else { format!(", which names {}", methods.join(", ")) };
    Ok(writeln!(stdout(), "{name} is a policy{of}")?)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return Ok(fs::read(file)?);
    }
    let mut text = Vec::new();
    stdin().read_to_end(&mut text)?;
    Ok(text)
}
