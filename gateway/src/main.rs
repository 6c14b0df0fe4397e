//! The program `selvedge-gateway`: options, logs, signals.

use std::{io::IsTerminal as _, net::SocketAddr, process::ExitCode};

use anyhow::{Context as _, anyhow};
use clap::{Parser, ValueEnum};
use selvedge::Telemetry;
use selvedge_gateway::{Expose, Gateway, JsonFormat, Limits, Options, Origins, json_format};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Opens the mesh to browsers, REST clients and plain gRPC.
#[derive(Debug, Parser)]
#[command(version, name = "selvedge-gateway")]
struct Args {
    /// Where Consul is, as http://host:port [default: CONSUL_HTTP_ADDR, or http://127.0.0.1:8500]
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// Where clients are served
    #[arg(long, env = "SELVEDGE_GATEWAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where /metrics and /readyz?verbose are served
    #[arg(long, env = "SELVEDGE_ADMIN_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    admin_listen: SocketAddr,
    /// Which services with the tag grpc are reachable: those that also carry the tag gateway, or all
    #[arg(long, env = "SELVEDGE_GATEWAY_EXPOSE", default_value = "tagged")]
    expose: Expose,
    /// Origins of web pages that may read answers: * for any, none, or a list such as https://shop.example
    #[arg(
        long,
        env = "SELVEDGE_GATEWAY_CORS_ORIGIN",
        default_value = "*",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    cors_origin: Vec<String>,
    /// How JSON of a gRPC service is written and read, over what the service says: shop.v1.ShopService:ignore_unknown_fields;
    /// * for all. The settings are in gateway/docs
    #[arg(
        long,
        env = "SELVEDGE_GATEWAY_JSON",
        value_parser = json_format,
        value_delimiter = ';',
        value_name = "SERVICE:SETTING,SETTING=false"
    )]
    json: Vec<(String, JsonFormat)>,
    /// How many bytes of bodies all requests hold together; beyond that they are refused with 503
    #[arg(
        long,
        env = "SELVEDGE_GATEWAY_HELD_BYTES",
        default_value_t = Limits::default().held_bytes,
        value_name = "BYTES"
    )]
    held_bytes: usize,
    /// How the log is written; SELVEDGE_LOG says what of it (default: info)
    #[arg(long, env = "SELVEDGE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain(&error),
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints help in full, and what is wrong with an option in one line.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    eprintln!("selvedge-gateway: {line} (--help tells the options)");
    ExitCode::FAILURE
}

async fn run(args: Args) -> anyhow::Result<()> {
    start_log(args.log_format)?;
    let mut mesh = selvedge::Config::from_env("gateway")?;
    if let Some(registry) = args.registry {
        mesh.registry.address = registry;
    }
    let (cors, json) = (origins(args.cors_origin), args.json.into_iter().collect());
    let limits = Limits { held_bytes: args.held_bytes, ..Limits::default() };
    let options = Options { listen: args.listen, expose: args.expose, cors, json, limits, ..Options::new(mesh) };
    let gateway = Gateway::new(options)?;
    let admin = Telemetry::bind_admin(args.admin_listen).await.context("choose another address with --admin-listen")?;
    info!(address = %admin.local_addr().context("the admin listener has no address")?, "admin listener");
    let telemetry = gateway.telemetry().clone();
    let router = gateway.admin();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move { telemetry.serve_admin(admin, router, async { _ = stopped.await }).await });
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let ran = gateway.run(shutdown, |_| {}).await;
    drop(stop);
    serving.await.context("the admin listener broke")??;
    ran?;
    Ok(())
}

fn start_log(format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_env_var("SELVEDGE_LOG")
        .with_default_directive(tracing::Level::INFO.into())
        .from_env()
        .map_err(|_| anyhow!("SELVEDGE_LOG is no filter: expected something like info,selvedge=debug"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn origins(list: Vec<String>) -> Origins {
    match list.as_slice() {
        [one] if one == "*" => Origins::Any,
        [one] if one == "none" => Origins::None,
        _ => Origins::Only(list),
    }
}
