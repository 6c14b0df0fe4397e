//! A service as a program of its own: options, logs, admin listener, drain on SIGTERM.

use std::{
    env,
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use futures::{FutureExt as _, future::BoxFuture};
use selvedge::{Config, ErrorKind, Telemetry};
use tokio::{net::TcpListener, sync::oneshot};
use tracing::{info, warn};

use crate::{
    Options, RunError, cache,
    database::{self, Location},
    logs,
};

/// How long the admin listener gets to end its answers.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// The options that every service has. Each wins over its environment variable.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address of Consul, or of an embedded registry [env: CONSUL_HTTP_ADDR] [default: http://127.0.0.1:8500]
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// Address to listen on; port 0 takes a free one [env: SELVEDGE_SERVER__LISTEN] [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Host, or host and port, that others reach this instance by [env: SELVEDGE_SERVER__ADVERTISE]
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    /// Database: sqlite://PATH, sqlite::memory: or postgres://… [default: a file in the user's data folder]
    #[arg(long, value_name = "URL", env = "SELVEDGE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    #[command(flatten)]
    limits: database::Args,
    #[command(flatten)]
    cache: cache::Args,
    /// Address of the admin listener (/metrics, /healthz, /state, /explain)
    #[arg(long, value_name = "ADDRESS", env = "SELVEDGE_ADMIN_LISTEN", default_value = "127.0.0.1:0")]
    admin_listen: SocketAddr,
    /// How log lines are written
    #[arg(long, value_enum, env = "SELVEDGE_LOG_FORMAT", default_value_t = logs::Format::Text)]
    log_format: logs::Format,
    /// Which log lines are written: a level, or directives such as `info,selvedge=debug`
    #[arg(long, value_name = "FILTER", env = "SELVEDGE_LOG", default_value = "info")]
    log: String,
}

/// Ends when the program was asked to stop.
pub type Shutdown = BoxFuture<'static, ()>;

/// Is told the address that is listened on.
pub type Ready = Box<dyn FnOnce(SocketAddr) + Send>;

/// Why a program did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option holds something that cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// The option, as it is written on the command line.
        option: &'static str,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The runtime or the signal handlers could not be set up.
    #[error("the process cannot be set up: {0}")]
    Process(#[from] io::Error),
    /// The mesh or the admin listener refused.
    #[error(transparent)]
    Mesh(#[from] selvedge::Error),
    /// The service itself ended with an error.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Reads the command line of a program.
///
/// # Errors
///
/// The exit code to end with: of `--help` and `--version` that is success, and of a bad option, which was named on
/// one line of standard error, failure.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    P::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // Nothing is left to do if standard output is closed.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        eprintln!("{}", one_line(&error));
        ExitCode::FAILURE
    })
}

/// Runs a service until SIGTERM or Ctrl-C, and lets it drain. An error is told on one line of standard error.
pub fn main<R>(service: &'static str, args: Args, serve: impl FnOnce(Options, Shutdown, Ready) -> R) -> ExitCode
where
    R: Future<Output = Result<(), RunError>>,
{
    match start(service, args, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start<R>(service: &'static str, args: Args, serve: impl FnOnce(Options, Shutdown, Ready) -> R) -> Result<(), Error>
where
    R: Future<Output = Result<(), RunError>>,
{
    logs::start(args.log_format, &args.log).map_err(|reason| Error::Option { option: "--log", reason })?;
    let admin_listen = args.admin_listen;
    let options = args.options(service)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(Box::pin(run(service, options, admin_listen, serve)))
}

async fn run<R>(
    service: &'static str,
    options: Options,
    admin_listen: SocketAddr,
    serve: impl FnOnce(Options, Shutdown, Ready) -> R,
) -> Result<(), Error>
where
    R: Future<Output = Result<(), RunError>>,
{
    let telemetry = Telemetry::exporting(service, &options.mesh.telemetry)?;
    let refused = |error: selvedge::Error| Error::Option { option: "--admin-listen", reason: error.to_string() };
    let admin = Telemetry::bind_admin(admin_listen).await.map_err(refused)?;
    let admin_address = admin.local_addr()?;
    info!(address = %admin_address, "admin listener");
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let admin = tokio::spawn(serve_admin(telemetry.clone(), admin, admin_stopped));
    let ready: Ready = Box::new(move |address| info!(service, %address, "ready"));
    let mut options = Options { telemetry: Some(telemetry), ..options };
    options.mesh.admin.address = Some(admin_address);
    // Boxed: the future of a whole service is large, and there is one.
    let ended = Box::pin(serve(options, stop_signal()?.boxed(), ready)).await;
    // It lives as long as the drain does, so that the drain can be watched.
    let _ = stop_admin.send(());
    // A client that reads its answer slowly does not hold up the end.
    let _ = tokio::time::timeout(ADMIN_GRACE, admin).await;
    ended.map_err(named)?;
    info!(service, "stopped");
    Ok(())
}

/// Says which option an error is about, where it is about one.
fn named(error: RunError) -> Error {
    let option = match &error {
        RunError::Database(_) => "--database",
        RunError::Cache(_) => "--cache",
        RunError::Mesh(mesh) if mesh.kind() == ErrorKind::Listen => "--listen",
        RunError::Mesh(mesh) if mesh.kind() == ErrorKind::Registry => "--registry",
        RunError::Mesh(_) => return Error::Run(error),
    };
    Error::Option { option, reason: error.to_string() }
}

async fn serve_admin(telemetry: Telemetry, listener: TcpListener, stopped: oneshot::Receiver<()>) {
    let stopped = stopped.map(|_| ());
    if let Err(error) = telemetry.serve_admin(listener, axum::Router::new(), stopped).await {
        warn!(%error, "the admin listener ended");
    }
}

impl Args {
    /// Lays the options over the environment.
    ///
    /// # Errors
    ///
    /// [`Error`] naming the option or the setting.
    fn options(self, service: &str) -> Result<Options, Error> {
        let mut mesh = Config::from_env(service)?;
        let cache = self.cache.options().map_err(|(option, reason)| Error::Option { option, reason })?;
        let limits = self.limits.limits().map_err(|(option, reason)| Error::Option { option, reason })?;
        if let Some(address) = self.registry {
            mesh.registry.address = address;
            let refused = |error: selvedge::Error| Error::Option { option: "--registry", reason: error.to_string() };
            mesh.registry.url().map_err(refused)?;
        }
        mesh.server.listen = self.listen.unwrap_or(mesh.server.listen);
        mesh.server.advertise = self.advertise.or(mesh.server.advertise);
        let database = match self.database {
            Some(url) => url,
            None => default_database(service)?,
        };
        let refused = |error: database::OpenError| Error::Option { option: "--database", reason: error.to_string() };
        Location::parse(&database).map_err(refused)?;
        Ok(Options { mesh, database, limits, cache, telemetry: None })
    }
}

/// The XDG base directory specification: `$XDG_DATA_HOME`, else `$HOME/.local/share`.
fn default_database(service: &str) -> Result<String, Error> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| Error::Option {
        option: "--database",
        reason: "neither XDG_DATA_HOME nor HOME names a folder for it: give sqlite://PATH".into(),
    })?;
    Ok(database::url(&data.join(Path::new("selvedge")).join(format!("{service}.db"))))
}

/// Installs the handlers at once, so that no signal is lost; the future ends with the first signal.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "draining");
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// The first paragraph of clap's text says which option is wrong and why; the rest is usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["selvedge-users"], words].concat())
    }

    fn refusal(words: &[&str]) -> String {
        parse(words).unwrap().args.options("users").unwrap_err().to_string()
    }

    #[test]
    fn a_bad_option_is_named_on_one_line() {
        for (words, option) in [
            (["--listen", "nowhere"], "--listen"),
            (["--admin-listen", "1.2.3.4"], "--admin-listen"),
            (["--log-format", "xml"], "--log-format"),
            (["--colour", "red"], "--colour"),
        ] {
            let line = one_line(&parse(&words).unwrap_err());
            assert!(line.contains(option) && line.lines().count() == 1, "{line}");
        }
    }

    #[test]
    fn a_value_that_the_service_cannot_use_is_named() {
        assert!(refusal(&["--registry", "ftp://127.0.0.1"]).starts_with("--registry: "));
        assert!(refusal(&["--database", "users.db"]).starts_with("--database: "));
        assert!(refusal(&["--cache", "redis"]).starts_with("--cache: "));
        assert!(refusal(&["--database-wait", "0s"]).starts_with("--database-wait: "));
        let refused = refusal(&["--database", "postgres://ada:secret@localhost:many/users"]);
        assert!(refused.starts_with("--database: ") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn options_are_laid_over_the_defaults() {
        let words = ["--registry", "10.0.0.1:8500", "--listen", "0.0.0.0:7001", "--advertise", "10.0.0.2"];
        let words = [&words[..], &["--database", "sqlite::memory:", "--database-connections", "9"]].concat();
        let options = parse(&words).unwrap().args.options("users").unwrap();
        assert_eq!((options.mesh.service.as_str(), options.limits.connections), ("users", 9));
        assert_eq!(options.mesh.registry.url().unwrap().as_str(), "http://10.0.0.1:8500/");
        assert_eq!(options.mesh.server.listen, SocketAddr::from(([0, 0, 0, 0], 7001)));
        assert_eq!(options.mesh.server.advertise.as_deref(), Some("10.0.0.2"));
    }
}
