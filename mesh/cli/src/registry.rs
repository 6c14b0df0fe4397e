//! `selvedge registry`: the embedded registry as a program of its own.

use std::{
    io::{Write, stdout},
    net::SocketAddr,
};

use anyhow::Context;
use clap::Args;
use selvedge_registry::{Config, Registry};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `selvedge registry` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "SELVEDGE_REGISTRY_LISTEN", default_value = "127.0.0.1:8500", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    // Before the line that says it is there: whoever reads it may end it at once.
    let interrupt = signal(SignalKind::interrupt()).context("cannot listen to Ctrl-C")?;
    let terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let registry = Registry::bind(Config { listen: options.listen, ..Config::default() }).await?;
    let address = registry.local_addr();
    // Whoever started it may have stopped reading: no reason to stop serving.
    let _ = writeln!(
        stdout(),
        "registry at http://{address}, for one machine: it forgets all at its end; for more there is Consul"
    );
    registry.run(stopped(interrupt, terminate)).await.context("the registry ended")
}

async fn stopped(mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
