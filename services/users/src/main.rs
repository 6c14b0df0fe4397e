//! The users service as a program.

use std::process::ExitCode;

use clap::Parser;
use selvedge_kit::program;

/// Selvedge's users service
#[derive(Debug, Parser)]
#[command(name = "selvedge-users", version)]
struct Cli {
    #[command(flatten)]
    args: program::Args,
}

fn main() -> ExitCode {
    match program::parse::<Cli>() {
        Ok(cli) => program::main(selvedge_users::SERVICE, cli.args, selvedge_users::run),
        Err(code) => code,
    }
}
