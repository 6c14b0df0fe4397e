//! Benchmarks, side by side with peers in one run. They print ratios, and assert nothing.

mod cpu;
mod echo;
mod figures;
mod mesh;
mod server;

use clap::{Parser, Subcommand};

use crate::server::Make;

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A call by Selvedge against one by a bare tonic channel
    Mesh {
        /// Rounds; in each, every arm runs once
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Serves the echo service (for the benchmark itself)
    #[command(hide = true)]
    Serve {
        make: Make,
        #[arg(long)]
        registry: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Options::parse().what {
        What::Mesh { rounds } => mesh::run(rounds).await,
        What::Serve { make, registry } => server::run(make, &registry).await,
    }
}
