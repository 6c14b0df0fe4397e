//! Installs what the tests need, and runs them.
//!
//! ```text
//! cargo xtask test [FILTER]   installs, builds, runs every test, and sums up; with --all, on older engines too
//! cargo xtask bench SUBJECT   installs, builds with optimisations, and measures
//! cargo xtask tools           installs, and prints where each tool is
//! cargo xtask path NAME       installs one tool, and prints where it is
//! ```

mod bench;
mod on_postgres;
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
    recipe::{Need, TOOLS, Tool},
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
        /// Runs more: the registry's contract on Consul 1.19.2 too, which takes some minutes to build the first time.
        #[arg(long)]
        all: bool,
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
    /// Installs what is missing, and prints where each tool is; not what only `test --all` needs.
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
        Task::Test { all, filter } => suite::run(filter.as_deref(), all),
        Task::Bench { subject, options } => bench::run(subject, &options),
        Task::Tools => {
            let usual = TOOLS.iter().filter(|tool| tool.need != Need::AllTests);
            Ok(usual.map(print_path).filter(|printed| !printed).count() == 0)
        }
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
