//! Log lines of a program, as text for people or as JSON for machines, on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text per event, in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per event and line.
    Json,
}

/// Starts to write what the filter lets through (`info`, `info,selvedge=debug`); for `main` only, and once.
///
/// # Errors
///
/// What is wrong with the filter, or that the process logs already.
pub fn start(format: Format, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("{filter:?} is no filter ({error}): write a level such as info or debug"))?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logs cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_before_anything_starts() {
        let error = start(Format::Text, "loud=very=much").unwrap_err();
        assert!(error.contains("loud=very=much"), "{error}");
    }
}
