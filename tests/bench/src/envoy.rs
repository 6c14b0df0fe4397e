//! An Envoy between a client and a server, as a process.

use std::{env, net::TcpListener, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub(crate) struct Envoy {
    pub(crate) port: u16,
    pub(crate) process: u32,
    _child: Child,
}

/// What it does with requests before it hands them on over HTTP/2.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `HTTP2`, or `AUTO` for HTTP/1.1 too.
    pub(crate) codec: &'static str,
    /// HTTP filters, before the router.
    pub(crate) filters: Vec<Value>,
    /// Worker threads; one per processor if none is said.
    pub(crate) workers: Option<u32>,
    /// Bytes that a connection may buffer; Envoy's own 1 MiB if none is said.
    pub(crate) buffer: Option<u32>,
}

impl Settings {
    /// Hands HTTP/2 on, as a sidecar does.
    pub(crate) fn sidecar() -> Self {
        Self { codec: "HTTP2", filters: Vec::new(), workers: None, buffer: None }
    }
}

impl Envoy {
    /// Starts one before the server at a port of this machine.
    pub(crate) async fn start(upstream: u16, settings: &Settings) -> anyhow::Result<Self> {
        let program = env::var_os("SELVEDGE_TEST_ENVOY")
            .context("SELVEDGE_TEST_ENVOY names no envoy: run this by `cargo xtask bench`")?;
        // Envoy tells the port that it took only on an admin listener, which needs one itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        if let Some(workers) = settings.workers {
            command.args(["--concurrency", &workers.to_string()]);
        }
        let child = command
            .args(["--use-dynamic-base-id", "--log-level", "error", "--config-yaml"])
            .arg(config(port, upstream, settings).to_string())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start envoy")?;
        let process = child.id().context("envoy ended")?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if began.elapsed() > START {
                bail!("envoy does not listen on port {port} after {START:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { port, process, _child: child })
    }
}

/// One listener, one route, one cluster of HTTP/2; without time limits, logs and tracing.
fn config(port: u16, upstream: u16, settings: &Settings) -> Value {
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let filters: Vec<_> = settings.filters.iter().chain([&router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": settings.codec,
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
        }]},
        "http_filters": filters,
    });
    let http2 = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let mut listener = json!({
        "address": address(port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    });
    let mut cluster = json!({
        "name": "upstream",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{
            "lb_endpoints": [{"endpoint": {"address": address(upstream)}}],
        }]},
    });
    if let Some(bytes) = settings.buffer {
        listener["per_connection_buffer_limit_bytes"] = json!(bytes);
        cluster["per_connection_buffer_limit_bytes"] = json!(bytes);
    }
    json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
}
