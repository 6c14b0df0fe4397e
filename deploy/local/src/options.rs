//! The options of `cargo run`.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;
use selvedge_kit::logs::Format;

/// Runs Selvedge whole in one process: registry, users, catalog and the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "selvedge-local", version)]
pub(crate) struct Options {
    /// A running Consul, in place of the embedded registry: http://host:port
    #[arg(long, value_name = "URL", env = "SELVEDGE_REGISTRY")]
    pub(crate) registry: Option<String>,

    /// Where the embedded registry listens
    #[arg(long, value_name = "ADDRESS", env = "SELVEDGE_REGISTRY_LISTEN", default_value = "127.0.0.1:8500")]
    pub(crate) registry_listen: SocketAddr,

    /// Where the gateway listens
    #[arg(long, value_name = "ADDRESS", env = "SELVEDGE_GATEWAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) gateway_listen: SocketAddr,

    /// Where metrics and administration listen
    #[arg(long, value_name = "ADDRESS", env = "SELVEDGE_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) admin_listen: SocketAddr,

    /// The folder that holds the databases [default: selvedge in the user's data folder]
    #[arg(long, value_name = "DIR", env = "SELVEDGE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Instances of each service
    #[arg(long, value_name = "N", env = "SELVEDGE_INSTANCES", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) instances: u16,

    /// How log lines are written
    #[arg(long, value_enum, env = "SELVEDGE_LOG_FORMAT", default_value_t = Format::Text)]
    pub(crate) log_format: Format,

    /// Which log lines are written: a level, or directives such as `info,selvedge=debug`
    // Quiet, but for the registry: that it is gone is a warning, that it is back is not.
    #[arg(long, value_name = "FILTER", env = "SELVEDGE_LOG", default_value = "warn,selvedge::consul=info")]
    pub(crate) log: String,
}

impl Options {
    /// Returns the data folder, made if it was not there.
    ///
    /// # Errors
    ///
    /// When there is no home folder to put it in, or it cannot be made.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let dir = match &self.data_dir {
            Some(dir) => dir.clone(),
            None => user_data_dir().context("no folder for data: HOME is not set, name one with --data-dir")?,
        };
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the data folder {}: name another with --data-dir", dir.display()))?;
        Ok(dir)
    }
}

/// `$XDG_DATA_HOME/selvedge`, else `~/.local/share/selvedge` (XDG Base Directory Specification).
fn user_data_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")))?;
    Some(base.join("selvedge"))
}
