//! The catalog service as a program.

use std::process::ExitCode;

use clap::Parser;
use selvedge_kit::program;

/// Selvedge's catalog service
#[derive(Debug, Parser)]
#[command(name = "selvedge-catalog", version)]
struct Cli {
    #[command(flatten)]
    args: program::Args,
}

fn main() -> ExitCode {
    match program::parse::<Cli>() {
        Ok(cli) => program::main(selvedge_catalog::SERVICE, cli.args, selvedge_catalog::run),
        Err(code) => code,
    }
}
