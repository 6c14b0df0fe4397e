//! The command `selvedge`: one subcommand for each thing it does.

mod explain;
mod policy;
mod registry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A gRPC service mesh that needs no sidecar.
#[derive(Debug, Parser)]
#[command(name = "selvedge", version, about, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serve a registry for one machine that speaks Consul's HTTP API.
    Registry(registry::Options),
    /// Say why a call goes where it goes: policy, instances, and the one that the next call is sent to.
    Explain(explain::Options),
    /// Look at policy documents, as they are written into Consul's KV store.
    Policy(policy::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match command.what {
        What::Registry(options) => registry::run(options).await,
        What::Explain(options) => explain::run(options).await,
        What::Policy(options) => policy::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
