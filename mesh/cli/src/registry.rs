//! `selvedge registry`: the embedded registry as a program of its own.

use std::{
    collections::BTreeMap,
    fmt,
    io::{Write, stdout},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;
use selvedge_registry::{Config, Registry};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `selvedge registry` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "SELVEDGE_REGISTRY_LISTEN", default_value = "127.0.0.1:8500", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where to keep the state; without it, all is forgotten at the end.
    #[arg(long, env = "SELVEDGE_REGISTRY_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The one token that may do everything; who names another, or none, may do nothing. Better in the variable,
    /// which other users do not see.
    #[arg(long, env = "SELVEDGE_REGISTRY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Metadata of the node; may be repeated.
    #[arg(long, value_name = "KEY:VALUE", value_parser = pair)]
    node_meta: Vec<(String, String)>,
    /// Take faults under /__dev, for tests of clients.
    #[arg(long)]
    faults: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    // Before the line that says it is there: whoever reads it may end it at once.
    let interrupt = signal(SignalKind::interrupt()).context("cannot listen to Ctrl-C")?;
    let terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let memory = match &options.data_dir {
        Some(folder) => format!("it keeps its state in {}", folder.display()),
        None => "it forgets all at its end".to_owned(),
    };
    let registry = Registry::bind(config(options)).await?;
    let address = registry.local_addr();
    // Whoever started it may have stopped reading: no reason to stop serving.
    let _ = writeln!(stdout(), "registry at http://{address}, for one machine: {memory}; for more there is Consul");
    registry.run(stopped(interrupt, terminate)).await.context("the registry ended")
}

fn config(options: Options) -> Config {
    Config {
        listen: options.listen,
        folder: options.data_dir,
        token: options.token,
        node_meta: BTreeMap::from_iter(options.node_meta),
        faults: options.faults,
        ..Config::default()
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once(':').ok_or("expected a key and a value with a colon between")?;
    Ok((key.to_owned(), value.to_owned()))
}

async fn stopped(mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
