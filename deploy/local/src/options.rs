//! The options of `cargo run`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Parser;
use selvedge::{Config, RegistryConfig, TelemetryConfig};
use selvedge_kit::{
    cache,
    database::{self, Location},
    logs::Format,
};

/// Runs Selvedge whole in one process: registry, users, catalog and the gateway.
#[derive(Clone, Debug, Parser)]
#[command(name = "selvedge-local", version)]
pub(crate) struct Options {
    /// A running Consul, in place of the embedded registry: http://host:port or https://host:port. Who we are to it
    /// is said by Consul's own variables (CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_CACERT, CONSUL_CLIENT_CERT,
    /// CONSUL_CLIENT_KEY) and by SELVEDGE_REGISTRY__DATACENTER and the like
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

    /// A database server that holds the data, in place of files: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, value_name = "URL", env = "SELVEDGE_DATABASE")]
    pub(crate) database: Option<String>,

    #[command(flatten)]
    pub(crate) limits: database::Args,

    #[command(flatten)]
    pub(crate) cache: cache::Args,

    /// Adds this many products, and a tenth as many users, before the services start; always the same ones
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Instances of each service
    #[arg(long, value_name = "N", env = "SELVEDGE_INSTANCES", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) instances: u16,

    /// Where spans and metrics are sent, by OTLP over gRPC: http://host:port [default: nowhere]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,

    /// The share of traces that is sent, 0 to 1
    #[arg(long, value_name = "SHARE", env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0)]
    pub(crate) trace_sample: f64,

    /// How log lines are written
    #[arg(long, value_enum, env = "SELVEDGE_LOG_FORMAT", default_value_t = Format::Text)]
    pub(crate) log_format: Format,

    /// Which log lines are written: a level, or directives such as `info,selvedge=debug`
    // Quiet, but for the registry: that it is gone is a warning, that it is back is not.
    #[arg(long, value_name = "FILTER", env = "SELVEDGE_LOG", default_value = "warn,selvedge::consul=info")]
    pub(crate) log: String,
}

impl Options {
    /// Returns how a Consul outside is reached, if one is to be used: with what the environment says of it, as the
    /// services' own programs do.
    ///
    /// # Errors
    ///
    /// A variable that cannot be read.
    pub(crate) fn consul(&self) -> anyhow::Result<Option<RegistryConfig>> {
        let Some(url) = &self.registry else { return Ok(None) };
        let mut registry = Config::from_env("local")?.registry;
        registry.address.clone_from(url);
        Ok(Some(registry))
    }

    /// Returns the URL of a service's database: on the server, or a file of the data folder.
    pub(crate) fn database_of(&self, service: &str, data_dir: &Path) -> String {
        match &self.database {
            Some(url) => url.clone(),
            None => database::url(&data_dir.join(format!("{service}.db"))),
        }
    }

    /// Says where the data are, without a password.
    ///
    /// # Errors
    ///
    /// That `--database` is no database that can be used.
    pub(crate) fn data(&self, data_dir: &Path) -> anyhow::Result<String> {
        match &self.database {
            Some(url) => Ok(Location::parse(url).context("--database")?.to_string()),
            None => Ok(data_dir.display().to_string()),
        }
    }

    /// Returns what is sent where.
    pub(crate) fn telemetry(&self) -> TelemetryConfig {
        let mut telemetry = TelemetryConfig::default();
        telemetry.otlp.endpoint.clone_from(&self.otlp_endpoint);
        telemetry.traces.sample = self.trace_sample;
        telemetry
    }

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
