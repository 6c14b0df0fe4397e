//! A process that has a thousand services in view.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    routing::get,
};
use futures::future::try_join_all;
use selvedge::Instances;
use selvedge_harness::{Consul, Embedded, LIMIT, eventually};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use crate::consul::{
    child::{self, Cost},
    connections, mesh, until,
};

const SERVICES: u64 = 1_000;
const INSTANCES: u64 = 10;

/// How many services the process calls that must not have a connection for each.
const UPSTREAMS: u16 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_upstreams_have_sixteen_connections_to_the_embedded_registry() -> Result<()> {
    let registry = Embedded::start().await?;
    upstreams_share_connections(&registry.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_upstreams_have_sixteen_connections_to_consul() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    upstreams_share_connections(&consul.url()).await
}

/// Every change is seen, and nobody waits at the agent for more than a few.
async fn upstreams_share_connections(registry: &str) -> Result<()> {
    let port = registry.rsplit(':').next().unwrap_or_default().parse()?;
    let mesh = mesh("caller", |config| config.registry.address = registry.into())?;
    let mut followed: Vec<_> = (0..UPSTREAMS).map(|number| mesh.instances(&format!("s{number}"))).collect();
    let mut most = 0;
    let seen = async {
        // Two rounds: the services come, and each changes its port.
        for round in 1..=2 {
            register(registry, round).await?;
            for (one, number) in followed.iter_mut().zip(0..) {
                until(one, |list| list.len() == 1 && list[0].port == round * 1_000 + number).await?;
            }
        }
        anyhow::Ok(())
    };
    let counted = async {
        loop {
            // One is the test's own, which registers.
            most = most.max(connections(port)?.saturating_sub(1));
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = seen => done?,
        failed = counted => return failed,
    }
    ensure!((2..=16).contains(&most), "{most} connections");
    Ok(())
}

async fn register(registry: &str, round: u16) -> Result<()> {
    let http = reqwest::Client::new();
    for number in 0..UPSTREAMS {
        let (name, port) = (format!("s{number}"), round * 1_000 + number);
        let body = json!({"ID": name, "Name": name, "Address": "127.0.0.1", "Port": port});
        http.put(format!("{registry}/v1/agent/service/register")).json(&body).send().await?.error_for_status()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_a_thousand_services_in_view_holds_less_than_100_mib() -> Result<()> {
    if let Some(registry) = child::registry() {
        return looks_on(&registry).await;
    }
    let quiet = Quiet::start().await?;
    let test = "consul::many::a_process_with_a_thousand_services_in_view_holds_less_than_100_mib";
    let program = child::start(test, &quiet.url)?;
    program.wait_for_line(|line| line.contains("all in view"), LIMIT * 2).await?;
    // From here on nothing changes: most are read in turn, each every ten seconds.
    let (before, began) = (Cost::of(&program)?, Instant::now());
    quiet.is_asked(SERVICES).await?;
    let (after, took) = (Cost::of(&program)?, began.elapsed());
    let core = (after.ticks - before.ticks) as f64 / took.as_secs_f64();
    println!("many: {} MiB, {core:.1} % of a core, {} sockets", after.memory / 1024, after.sockets);
    ensure!(after.memory < 100 * 1024, "{} KiB", after.memory);
    // Those to the agent, and a few of the runtime.
    ensure!(after.sockets <= 16 + 4, "{} sockets", after.sockets);
    Ok(())
}

/// The part of the process that is measured.
async fn looks_on(registry: &str) -> Result<()> {
    let mesh = mesh("looker", |config| config.registry.address = registry.into())?;
    let mut followed: Vec<_> = (0..SERVICES).map(|number| mesh.instances(&format!("s{number}"))).collect();
    let known = |seen: &Instances| matches!(seen, Instances::Known(list) if list.len() as u64 == INSTANCES);
    try_join_all(followed.iter_mut().map(|one| one.wait_for(known))).await?;
    println!("all in view");
    std::future::pending().await
}

/// An agent of whose services none ever changes.
struct Quiet {
    url: String,
    asked: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Quiet {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::<AtomicU64>::default();
        let routes = Router::new().route("/v1/health/service/{name}", get(health)).with_state(Arc::clone(&asked));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
        Ok(Self { url, asked, _task: AbortOnDropHandle::new(task) })
    }

    /// Waits until it was asked so often again.
    async fn is_asked(&self, times: u64) -> Result<()> {
        let before = self.asked.load(Ordering::Relaxed);
        eventually(LIMIT, async || {
            let asked = self.asked.load(Ordering::Relaxed) - before;
            ensure!(asked >= times, "asked {asked} times");
            Ok(())
        })
        .await
    }
}

async fn health(
    State(asked): State<Arc<AtomicU64>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> (HeaderMap, Json<Value>) {
    asked.fetch_add(1, Ordering::Relaxed);
    if query.contains_key("index") {
        let wait = query.get("wait").and_then(|wait| wait.trim_end_matches("ms").parse().ok()).unwrap_or(0);
        sleep(Duration::from_millis(wait)).await;
    }
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-consul-index"), HeaderValue::from_static("5"))]);
    (headers, Json((0..INSTANCES).map(|number| entry(&name, number)).collect()))
}

/// As much as Consul tells of an instance.
fn entry(service: &str, number: u64) -> Value {
    let (id, address, port) = (format!("{service}-{number}"), format!("10.0.{number}.7"), 50_000 + number);
    let check = |id: &str, name: &str, kind: &str| {
        json!({
            "Node": "n1", "CheckID": id, "Name": name, "Status": "passing", "Notes": "", "Output": "fine",
            "ServiceID": id, "ServiceName": service, "ServiceTags": ["grpc", "gateway"], "Type": kind,
            "Interval": "5s", "Timeout": "2s", "ExposedPort": 0, "Definition": {}, "CreateIndex": 3, "ModifyIndex": 4,
        })
    };
    json!({
        "Node": {"ID": "40e4a0b2-0000-0000-0000-000000000000", "Node": "n1", "Address": "10.0.0.7", "Datacenter": "dc1",
            "TaggedAddresses": {"lan": "10.0.0.7", "wan": "10.0.0.7"}, "Meta": {"consul-network-segment": ""},
            "CreateIndex": 1, "ModifyIndex": 2},
        "Service": {"ID": id, "Service": service, "Tags": ["grpc", "gateway", "schema-0123456789ab"], "Address": address,
            "TaggedAddresses": {"lan_ipv4": {"Address": address, "Port": port}}, "Meta": {"selvedge": "0.1.0"},
            "Port": port, "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "PeerName": "",
            "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}}, "Connect": {}, "CreateIndex": 3, "ModifyIndex": 3},
        "Checks": [check("serfHealth", "Serf Health Status", ""), check("lease", "lease", "ttl"), check("grpc", "grpc health", "grpc")],
    })
}
