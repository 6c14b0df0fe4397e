//! The ways of opening a gRPC service to the web that are compared; one worker thread each.

use std::{net::SocketAddr, process::Stdio};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use selvedge_harness::{LIMIT, Program, eventually};
use selvedge_registry::{Config, Registry};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    envoy::{Envoy, Settings},
    gateway::{
        client::Client,
        exchange::{Exchange, Form},
        orders::{DESCRIPTORS, SERVICE},
    },
};

/// Bytes that a connection of Envoy may buffer: its JSON filter keeps whole messages.
const BUFFER: u32 = 16 * 1024 * 1024;
/// How many threads work, of a program on tokio.
const WORKERS: (&str, &str) = ("TOKIO_WORKER_THREADS", "1");

/// One way.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    pub(crate) forms: &'static [Form],
    pub(crate) address: SocketAddr,
    /// The process between client and service.
    pub(crate) proxy: u32,
    /// The process of the service.
    pub(crate) server: u32,
}

/// All that runs; it ends when dropped.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) arms: Vec<Arm>,
    _servers: [Server; 2],
    _gateway: Program,
    _envoy: Envoy,
    _registry: AbortOnDropHandle<()>,
}

impl World {
    /// Starts a service, Selvedge's gateway and Envoy before it, and another service that speaks gRPC-Web itself.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let registry = Registry::bind(Config { listen: "127.0.0.1:0".parse()?, ..Config::default() }).await?;
        let url = format!("http://{}", registry.local_addr());
        let registry = tokio::spawn(async move { drop(registry.run(std::future::pending()).await) });
        let (plain, web) = (Server::start(&[]).await?, Server::start(&["--web"]).await?);
        register(&url, plain.address).await?;
        let (gateway, address) = gateway(&url).await?;
        let envoy = Envoy::start(plain.address.port(), &filters()).await?;
        let all: &[Form] = &[Form::GrpcWeb, Form::Json];
        let server = plain.process;
        let arms = vec![
            Arm { name: "selvedge", forms: all, address, proxy: gateway.id().context("the gateway ended")?, server },
            Arm {
                name: "envoy",
                forms: all,
                address: SocketAddr::from(([127, 0, 0, 1], envoy.port)),
                proxy: envoy.process,
                server,
            },
            Arm {
                name: "tonic_web",
                forms: &[Form::GrpcWeb],
                address: web.address,
                proxy: web.process,
                server: web.process,
            },
        ];
        let registry = AbortOnDropHandle::new(registry);
        Ok(Self { arms, _servers: [plain, web], _gateway: gateway, _envoy: envoy, _registry: registry })
    }
}

/// Starts Selvedge's gateway, and waits until it knows the service.
async fn gateway(registry: &str) -> anyhow::Result<(Program, SocketAddr)> {
    let args = ["--registry", registry, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let program = Program::spawn("selvedge-gateway", &args, &[WORKERS])?;
    let line = program.wait_for_line(|line| line.contains("gateway listens"), LIMIT).await?;
    let words = line.split(|letter: char| letter.is_whitespace() || letter == '=');
    let address = words.filter_map(|word| word.parse().ok()).next_back().context("the gateway names no address")?;
    let small = Exchange::of(Form::Json, 100);
    eventually(LIMIT, async || Client::open(address, &small).await.map(drop)).await?;
    Ok((program, address))
}

/// gRPC-Web and JSON as Envoy has them, with the same form of JSON: zero values are written.
fn filters() -> Settings {
    let web = json!({
        "name": "envoy.filters.http.grpc_web",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"},
    });
    let package = "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3";
    let json = json!({
        "name": "envoy.filters.http.grpc_json_transcoder",
        "typed_config": {
            "@type": format!("{package}.GrpcJsonTranscoder"),
            "proto_descriptor_bin": STANDARD.encode(DESCRIPTORS),
            "services": [SERVICE],
            "print_options": {"always_print_primitive_fields": true},
            "convert_grpc_status": true,
        },
    });
    Settings { codec: "AUTO", filters: vec![web, json], workers: Some(1), buffer: Some(BUFFER) }
}

/// Registers the service by hand, as one of any make would be.
async fn register(registry: &str, address: SocketAddr) -> anyhow::Result<()> {
    let body: Value = json!({
        "Name": "orders", "Address": address.ip().to_string(), "Port": address.port(), "Tags": ["grpc", "gateway"],
    });
    let url = format!("{registry}/v1/agent/service/register");
    reqwest::Client::new().put(url).body(body.to_string()).send().await?.error_for_status()?;
    Ok(())
}

/// The service as a process of its own; killed when dropped.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    process: u32,
    _child: Child,
}

impl Server {
    async fn start(options: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("gateway-server")
            .args(options)
            .env(WORKERS.0, WORKERS.1)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("the server ended")?;
        let process = child.id().context("the server ended")?;
        Ok(Self { address: line.parse()?, process, _child: child })
    }
}
