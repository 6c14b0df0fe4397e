//! The local stack on three servers with TLS and closed ACLs: the leader is killed, a follower frozen, the client agent comes
//! back empty; no call fails.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use selvedge::{Channel, Config, Mesh, Secret};
use selvedge_harness::{ConsulCluster, LIMIT, Program, eventually};
use selvedge_proto::users::v1::{self, GetUserRequest, user_service_client::UserServiceClient};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    consul::TOKEN,
    instance::Instance,
    late,
    stack::{Stack, path},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_servers_die_freeze_and_the_agent_comes_back_empty() -> Result<()> {
    let Some(mut consul) = ConsulCluster::start(TOKEN).await? else { return Ok(()) };
    let data = TempDir::new()?;
    let database = format!("sqlite://{}/users.db", data.path().display());
    let (url, ca) = (consul.url(), consul.ca().display().to_string());
    let stack = Stack::start_with(&["--registry", &url, "--data-dir", path(&data)], &credentials(&ca)).await?;
    let load = Load::start(&consul, &stack.gateway).await?;
    load.goes_on().await?;

    let leader = consul.leader().await?;
    consul.server(leader).kill().await?;
    load.goes_on().await?;
    eventually(LIMIT, async || {
        ensure!(consul.leader().await? != leader, "no other leads yet");
        Ok(())
    })
    .await?;
    let third = Instance::ready(spawn(&consul, "selvedge-users", &["--database", &database])?).await?;
    load.reaches(&third).await.context("an instance that came after the election")?;

    consul.start_again(leader).await?;
    let leader = consul.leader().await?;
    let follower = (leader + 1) % 3;
    consul.server(follower).freeze()?;
    load.goes_on().await?;
    let fourth = Instance::ready(spawn(&consul, "selvedge-users", &["--database", &database])?).await?;
    load.reaches(&fourth).await.context("an instance that came while a follower was frozen")?;
    consul.server(follower).thaw()?;

    consul.empty_client().await?;
    let back = Instant::now();
    eventually(LIMIT, async || {
        let known = consul.get("/v1/agent/services").await?.to_string();
        let all = stack.users.iter().chain(&stack.catalog).chain([&third.address, &fourth.address]);
        let missing = all.filter(|address| !known.contains(address.rsplit(':').next().unwrap_or_default())).count();
        ensure!(missing == 0, "{missing} are not registered yet");
        Ok(())
    })
    .await?;
    println!("servers: all registered again {} ms after the agent was back", back.elapsed().as_millis());
    load.goes_on().await?;
    let (calls, failures) = load.end().await?;
    println!("servers: {calls} calls, {} failed", failures.len());
    ensure!(failures.is_empty(), "{} of {calls} failed: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    Ok(())
}

/// Starts a program of ours on the cluster.
fn spawn(consul: &ConsulCluster, program: &str, args: &[&str]) -> Result<Program> {
    let (url, ca) = (consul.url(), consul.ca().display().to_string());
    Program::spawn(program, &[&["--registry", &url], args].concat(), &credentials(&ca))
}

/// Who our programs are to the cluster.
fn credentials(ca: &str) -> [(&str, &str); 2] {
    [("CONSUL_HTTP_TOKEN", TOKEN), ("CONSUL_CACERT", ca)]
}

/// Calls under way until they are told to stop: through the mesh, and through the gateway.
struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

struct Shared {
    stop: CancellationToken,
    channel: Channel,
    url: String,
    http: reqwest::Client,
    made: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    async fn start(consul: &ConsulCluster, gateway: &str) -> Result<Self> {
        let mut config = Config::new("load");
        config.registry.address = consul.url();
        config.registry.ca_cert = Some(consul.ca());
        config.registry.token = Some(Secret::new(TOKEN));
        let mesh = Mesh::builder(config).upstream_descriptors(v1::FILE_DESCRIPTOR_SET).build()?;
        let channel = mesh.channel("users");
        UserServiceClient::new(channel.clone()).create_user(late::creation("ada-1815")).await?;
        let url = format!("{gateway}/v1/users/ada-1815");
        let http = reqwest::Client::new();
        eventually(LIMIT, async || Ok(http.get(&url).send().await?.error_for_status().map(drop)?)).await?;
        let (made, failures) = (AtomicU64::new(0), Mutex::default());
        let shared = Arc::new(Shared { stop: CancellationToken::new(), channel, url, http, made, failures });
        let mut workers = JoinSet::new();
        for worker in 0..6 {
            workers.spawn(Arc::clone(&shared).work(worker % 2 == 0));
        }
        Ok(Self { shared, workers })
    }

    /// Waits for so many calls more that all workers made several.
    async fn goes_on(&self) -> Result<()> {
        let before = self.shared.made.load(Ordering::Relaxed);
        eventually(LIMIT, async || {
            let made = self.shared.made.load(Ordering::Relaxed) - before;
            ensure!(made >= 300, "{made} calls");
            Ok(())
        })
        .await
    }

    async fn reaches(&self, instance: &Instance) -> Result<()> {
        eventually(LIMIT, async || {
            ensure!(instance.asked().await? > 0, "it is not called");
            Ok(())
        })
        .await
    }

    async fn end(mut self) -> Result<(u64, Vec<String>)> {
        self.shared.stop.cancel();
        while let Some(worker) = self.workers.join_next().await {
            worker?;
        }
        let failures = self.shared.failures.lock().expect("no worker panicked").clone();
        Ok((self.shared.made.load(Ordering::Relaxed), failures))
    }
}

impl Shared {
    async fn work(self: Arc<Self>, mesh: bool) {
        while !self.stop.is_cancelled() {
            let done = if mesh { self.by_mesh().await } else { self.by_rest().await };
            self.made.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = done {
                self.failures.lock().expect("no worker panicked").push(format!("{error:#}"));
            }
        }
    }

    async fn by_mesh(&self) -> Result<()> {
        let request = GetUserRequest { name: "users/ada-1815".into() };
        UserServiceClient::new(self.channel.clone()).get_user(request).await.map(drop).context("mesh")
    }

    async fn by_rest(&self) -> Result<()> {
        let response = self.http.get(&self.url).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status == 200, "rest: HTTP {status}: {text}");
        Ok(())
    }
}
