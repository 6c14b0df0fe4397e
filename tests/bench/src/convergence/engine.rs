//! A registry in a process of its own: ours, or Consul.

use std::{net::SocketAddr, process::Stdio};

use anyhow::Context as _;
use selvedge_harness::Consul;
use selvedge_registry::Registry;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::Instant,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Consul,
}

/// A registry that runs; ended when dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    kind: Kind,
    url: String,
    client: reqwest::Client,
    _running: Running,
}

#[derive(Debug)]
enum Running {
    Embedded(#[expect(dead_code, reason = "killed when dropped")] Child),
    Consul(#[expect(dead_code, reason = "ended when dropped")] Consul),
}

impl Engine {
    /// Starts one; none where there is no Consul, which is said.
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Option<Self>> {
        let (url, running) = match kind {
            Kind::Embedded => {
                let (url, child) = embedded().await?;
                (url, Running::Embedded(child))
            }
            Kind::Consul => {
                let Some(consul) = Consul::start().await? else { return Ok(None) };
                (consul.url(), Running::Consul(consul))
            }
        };
        let client = reqwest::Client::builder().tcp_nodelay(true).build()?;
        Ok(Some(Self { kind, url, client, _running: running }))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Embedded => "embedded",
            Kind::Consul => "consul",
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Registers an instance; returns when it began to.
    pub(crate) async fn register(&self, service: &str, id: &str, address: SocketAddr) -> anyhow::Result<Instant> {
        let (ip, port) = (address.ip().to_string(), address.port());
        let body = json!({ "ID": id, "Name": service, "Address": ip, "Port": port }).to_string();
        self.put("/v1/agent/service/register", body).await
    }

    /// Puts an instance into maintenance; returns when it began to.
    pub(crate) async fn maintain(&self, id: &str) -> anyhow::Result<Instant> {
        self.put(&format!("/v1/agent/service/maintenance/{id}?enable=true"), String::new()).await
    }

    pub(crate) async fn deregister(&self, id: &str) -> anyhow::Result<Instant> {
        self.put(&format!("/v1/agent/service/deregister/{id}"), String::new()).await
    }

    /// Enters a node of which no agent knows into the catalog, with a check.
    pub(crate) async fn enter_node(&self, number: usize) -> anyhow::Result<()> {
        let (node, address) = (node(number), format!("10.0.{number}.7"));
        let check =
            json!({ "CheckID": "alive", "Name": "Node Health Status", "Status": "passing", "Output": "Agent alive" });
        let body =
            json!({ "Node": node, "Address": address, "NodeMeta": { "rack": "r7" }, "Check": check }).to_string();
        self.put("/v1/catalog/register", body).await.map(drop)
    }

    /// Enters an instance on it, with all that one of ours has.
    pub(crate) async fn enter(&self, number: usize, service: &str) -> anyhow::Result<()> {
        let (id, address, port) = (format!("{service}-{number}"), format!("10.0.{number}.7"), 50_000 + number);
        let check = |kind: &str| json!({ "CheckID": format!("{id}:{kind}"), "Name": kind, "ServiceID": id, "Status": "passing" });
        let tags = ["grpc", "schema-0123456789ab"];
        let instance = json!({ "ID": id, "Service": service, "Tags": tags, "Address": address, "Port": port,
            "Meta": { "selvedge": "0.1.0", "selvedge-owner": "40e4a0b2c1d3" } });
        let body = json!({ "Node": node(number), "SkipNodeUpdate": true, "Service": instance,
            "Checks": [check("ttl"), check("grpc")] });
        self.put("/v1/catalog/register", body.to_string()).await.map(drop)
    }

    /// Removes a node and all on it.
    pub(crate) async fn remove_node(&self, number: usize) -> anyhow::Result<()> {
        self.put("/v1/catalog/deregister", json!({ "Node": node(number) }).to_string()).await.map(drop)
    }

    async fn put(&self, path: &str, body: String) -> anyhow::Result<Instant> {
        let request = self.client.put(format!("{}{path}", self.url)).body(body);
        let began = Instant::now();
        request.send().await?.error_for_status()?;
        Ok(began)
    }
}

fn node(number: usize) -> String {
    format!("quiet-node-{number}")
}

/// Serves the embedded registry until it is killed; prints its address.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let config = selvedge_registry::Config { listen: "127.0.0.1:0".parse()?, ..selvedge_registry::Config::default() };
    let registry = Registry::bind(config).await?;
    println!("{}", registry.local_addr());
    Ok(registry.run(std::future::pending()).await?)
}

async fn embedded() -> anyhow::Result<(String, Child)> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg("registry").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let line = BufReader::new(stdout).lines().next_line().await?.context("the registry ended")?;
    Ok((format!("http://{line}"), child))
}
