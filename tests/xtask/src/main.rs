//! Installs what the tests need, and runs them.
//!
//! ```text
//! cargo xtask test [FILTER]   installs, builds, runs every test, and sums up
//! cargo xtask bench SUBJECT   installs, builds with optimisations, and measures
//! cargo xtask tools           installs, and prints where each tool is
//! cargo xtask path NAME       installs one tool, and prints where it is
//! ```

mod bench;
mod suite;
mod tally;

mod install;
mod recipe;

mod command;
mod folders;
mod progress;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::{
    bench::Subject,
    install::ensure,
    recipe::{TOOLS, Tool},
};

/// Installs what the tests need, and runs them.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs what is missing, builds, runs all tests, and ends with `N passed, N failed, N skipped`.
    Test {
        /// Runs the tests whose name contains this.
        filter: Option<String>,
    },
    /// Measures, side by side with peers in one run; prints ratios, and writes `target/bench/SUBJECT.json`.
    Bench {
        subject: Subject,
        /// Options of the benchmark: see them with `-- --help`
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Installs what is missing, and prints where each tool is.
    Tools,
    /// Installs one tool if it is missing, and prints where it is.
    Path {
        /// As `cargo xtask tools` lists it.
        name: String,
    },
}

fn main() -> ExitCode {
    match run(Options::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out a task; tells whether all went well.
fn run(task: Task) -> Result<bool> {
    match task {
        Task::Test { filter } => suite::run(filter.as_deref()),
        Task::Bench { subject, options } => bench::run(subject, &options),
        Task::Tools => Ok(TOOLS.iter().map(print_path).filter(|printed| !printed).count() == 0),
        Task::Path { name } => {
            let tool = TOOLS.iter().find(|tool| tool.name == name);
            Ok(print_path(tool.with_context(|| format!("no tool is called {name:?}: see `cargo xtask tools`"))?))
        }
    }
}

/// Prints where a tool is, or says why it is not there.
fn print_path(tool: &Tool) -> bool {
    match ensure(tool) {
        Ok(path) => println!("{}", path.display()),
        Err(error) => {
            eprintln!("MISSING: {error:#}");
            return false;
        }
    }
    true
}
