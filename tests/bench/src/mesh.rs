//! A call by Selvedge against one by a bare tonic channel, interleaved in one run.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use hdrhistogram::Histogram;
use selvedge::{Config, Mesh};
use selvedge_registry::Registry;
use tokio::time::Instant;
use tonic::{Status, body::Body, client::GrpcService, codegen::StdError, transport::Endpoint};

use crate::{
    cpu,
    echo::{
        DESCRIPTORS,
        pb::{EchoManyRequest, EchoRequest, echo_service_client::EchoServiceClient},
    },
    figures::Figures,
    server::{Make, Server},
};

/// How long one arm runs in one round.
const SPAN: Duration = Duration::from_secs(2);

/// What is called: name, bytes of the message, calls at once.
const UNARY: [(&str, usize, usize); 4] = [
    ("unary_100B_c1", 100, 1),
    ("unary_100B_c16", 100, 16),
    ("unary_100B_c64", 100, 64),
    ("unary_10kB_c16", 10_000, 16),
];

const STREAM: &str = "stream_1000";

/// What is noted of each workload and arm; CPU is per call.
const METRICS: [&str; 5] = ["p50", "p99", "rps", "cpu", "client_cpu"];

/// One way of calling, and the process that answers.
struct Arm {
    name: &'static str,
    server: u32,
    unary: CallWith,
    stream: CallWith,
}

/// Makes one call with this payload.
type CallWith = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<(), Status>> + Send + Sync>;

pub(crate) async fn run(rounds: usize) -> anyhow::Result<()> {
    let config = selvedge_registry::Config { listen: "127.0.0.1:0".parse()?, ..selvedge_registry::Config::default() };
    let registry = Registry::bind(config).await?;
    let url = format!("http://{}", registry.local_addr());
    let serving = tokio::spawn(registry.run(std::future::pending()));
    let plain = Server::start(Make::Tonic, &url).await?;
    let meshed = Server::start(Make::Selvedge, &url).await?;
    let arms = arms(&url, &plain, &meshed).await?;
    let mut figures = Figures::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (name, size, at_once) in UNARY {
            for arm in &arms {
                measure(arm.server, at_once, &arm.unary, size).await?.note(&mut figures, name, arm.name);
            }
        }
        for arm in &arms {
            measure(arm.server, 1, &arm.stream, 100).await?.note(&mut figures, STREAM, arm.name);
        }
    }
    serving.abort();
    print(&figures, &arms);
    figures.write(Path::new("target/bench/mesh.json"))
}

async fn arms(registry: &str, plain: &Server, meshed: &Server) -> anyhow::Result<[Arm; 3]> {
    register(registry, "echo-plain", plain.address).await?;
    let mut config = Config::new("bench");
    config.registry.address = registry.into();
    let mesh = Mesh::builder(config).upstream_descriptors(DESCRIPTORS).build()?;
    let endpoint = Endpoint::new(format!("http://{}", plain.address))?.tcp_nodelay(true);
    Ok([
        arm("tonic", plain, endpoint.connect().await?),
        arm("selvedge", plain, mesh.channel("echo-plain")),
        arm("selvedge_both", meshed, mesh.channel("echo-mesh")),
    ])
}

fn arm<T>(name: &'static str, server: &Server, channel: T) -> Arm
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    let client = EchoServiceClient::new(channel);
    let streaming = client.clone();
    let unary: CallWith = Arc::new(move |payload| {
        let mut client = client.clone();
        async move { client.echo(EchoRequest { payload }).await.map(drop) }.boxed()
    });
    let stream: CallWith = Arc::new(move |payload| {
        let mut client = streaming.clone();
        async move {
            let mut answers = client.echo_many(EchoManyRequest { payload, times: 1_000 }).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok(())
        }
        .boxed()
    });
    Arm { name, server: server.process, unary, stream }
}

/// What one arm did in one round.
struct Measured {
    latency: Histogram<u64>,
    took: Duration,
    client_cpu: Duration,
    server_cpu: Duration,
}

/// Calls for a while, so many at once; every worker has its own histogram.
async fn measure(server: u32, at_once: usize, call: &CallWith, size: usize) -> anyhow::Result<Measured> {
    let payload = Bytes::from(vec![7; size]);
    try_join_all((0..at_once * 10).map(|_| call(payload.clone()))).await?;
    let own = std::process::id();
    let (client_before, server_before) = (cpu::used(own)?, cpu::used(server)?);
    let began = Instant::now();
    let workers = (0..at_once).map(|_| {
        let (call, payload) = (Arc::clone(call), payload.clone());
        tokio::spawn(async move {
            let mut latency = Histogram::<u64>::new(3)?;
            while began.elapsed() < SPAN {
                let start = Instant::now();
                call(payload.clone()).await?;
                latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
            }
            anyhow::Ok(latency)
        })
    });
    let mut all = Histogram::<u64>::new(3)?;
    for worker in try_join_all(workers).await? {
        all.add(worker?)?;
    }
    let took = began.elapsed();
    let (client_cpu, server_cpu) = (cpu::used(own)? - client_before, cpu::used(server)? - server_before);
    Ok(Measured { latency: all, took, client_cpu, server_cpu })
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn note(&self, figures: &mut Figures, workload: &str, arm: &str) {
        let calls = self.latency.len() as f64;
        let micros = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1_000.0;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / calls;
        let values = [
            (micros(0.5), "us"),
            (micros(0.99), "us"),
            (calls / self.took.as_secs_f64(), "1/s"),
            (each(self.client_cpu + self.server_cpu), "us"),
            (each(self.client_cpu), "us"),
        ];
        for (metric, (value, unit)) in METRICS.into_iter().zip(values) {
            figures.add(format!("{workload}.{arm}.{metric}"), value, unit);
        }
    }
}

/// Registers the plain server by hand, as a service of any make would be.
async fn register(registry: &str, name: &str, address: std::net::SocketAddr) -> anyhow::Result<()> {
    let body = serde_json::json!({"Name": name, "Address": address.ip().to_string(), "Port": address.port()});
    let url = format!("{registry}/v1/agent/service/register");
    reqwest::Client::new().put(url).body(body.to_string()).send().await?.error_for_status()?;
    Ok(())
}

fn print(figures: &Figures, arms: &[Arm]) {
    println!("medians, and their ratio to the first arm");
    for workload in UNARY.iter().map(|(name, ..)| *name).chain([STREAM]) {
        for Arm { name, .. } in arms {
            let cells = METRICS.map(|metric| {
                let median = |arm: &str| figures.median(&format!("{workload}.{arm}.{metric}")).unwrap_or(f64::NAN);
                format!("{metric} {:.1} ({:.2})", median(name), median(name) / median(arms[0].name))
            });
            println!("{workload:<16} {name:<14} {}", cells.join("  "));
        }
    }
}
