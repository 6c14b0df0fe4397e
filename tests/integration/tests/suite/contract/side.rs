//! One of the two registries, and how a step is run on it.

use std::{collections::HashMap, fmt, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method, RequestBuilder, Response};
use selvedge_registry::{Config, Registry};
use serde_json::{Map, Value, json};
use tokio::{
    net::TcpListener,
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::contract::{
    normal::Answer,
    step::{Request, Step},
};

/// The name of the node on both sides.
const NODE: &str = "n1";
/// Stands for a value that is larger than any may be.
const BIG: &str = "{big}";
const VALUE_LIMIT: usize = 512 * 1024;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A registry under test.
#[derive(Debug)]
pub(crate) struct Side {
    client: Client,
    address: String,
    /// What may do everything, where something is needed for that.
    token: Option<&'static str>,
    grpc: String,
    /// Whether writes reach the catalog later.
    syncs: bool,
    indexes: Mutex<HashMap<&'static str, u64>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// What a step gave.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Answer(Answer),
    Rose(Vec<(&'static str, bool)>),
    /// Whether a blocking read came back with a greater index, and with what.
    Read(bool, Answer),
}

impl Side {
    /// Returns a Consul that runs, whose node is named `n1`.
    pub(crate) async fn real(url: &str, token: Option<&'static str>) -> Result<Self> {
        let side = Self::new(url.trim_start_matches("http://"), token, Vec::new()).await?;
        let side = Self { syncs: true, ..side };
        // The addresses of the node are in the catalog after its first synchronisation.
        let node = Request { method: "GET", path: "/v1/catalog/nodes?token={token}", body: "" };
        side.until(&node, "lan_ipv4").await?;
        Ok(side)
    }

    /// Starts the embedded registry.
    pub(crate) async fn embedded(token: Option<&'static str>) -> Result<Self> {
        let listen = "127.0.0.1:0".parse()?;
        let token_of_config = token.map(str::to_owned);
        let config = Config { listen, node: NODE.to_owned(), token: token_of_config, ..Config::default() };
        let registry = Registry::bind(config).await?;
        let address = registry.local_addr().to_string();
        let task = tokio::spawn(async move { registry.run(std::future::pending()).await.unwrap_or_default() });
        Self::new(&address, token, vec![AbortOnDropHandle::new(task)]).await
    }

    async fn new(address: &str, token: Option<&'static str>, mut tasks: Vec<AbortOnDropHandle<()>>) -> Result<Self> {
        let (grpc, task) = health_server().await?;
        tasks.push(task);
        let client = Client::builder().timeout(LIMIT * 2).build()?;
        let (address, indexes) = (address.to_owned(), Mutex::default());
        Ok(Self { client, address, token, grpc, syncs: false, indexes, _tasks: tasks })
    }

    /// Returns its address, without a scheme.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn run(&self, step: &Step) -> Result<Outcome> {
        match step {
            Step::Ask(request, compare) => Ok(Outcome::Answer(self.ask(request).await?.reduced(*compare))),
            Step::Until(request, text) => Ok(Outcome::Answer(self.until(request, text).await?)),
            Step::Rises(paths) => self.rises(paths).await,
            Step::Wakes { read, by } => self.blocked(read, by, "60s").await,
            Step::Sleeps { read, through } => self.blocked(read, through, "1s").await,
        }
    }

    /// Removes all services, checks, other nodes and keys.
    pub(crate) async fn clear(&self) -> Result<()> {
        for (list, remove) in
            [("/v1/agent/services", "/v1/agent/service/deregister"), ("/v1/agent/checks", "/v1/agent/check/deregister")]
        {
            for id in self.json(list).await?.as_object().into_iter().flat_map(Map::keys) {
                let url = format!("http://{}{remove}/{id}", self.address);
                self.trusted(self.client.put(url)).send().await?.error_for_status()?;
            }
        }
        let nodes = self.json("/v1/catalog/nodes").await?;
        let names = nodes.as_array().into_iter().flatten().map(|node| &node["Node"]);
        for name in names.filter(|name| *name != NODE) {
            let url = format!("http://{}/v1/catalog/deregister", self.address);
            let body = json!({ "Node": name }).to_string();
            self.trusted(self.client.put(url)).body(body).send().await?.error_for_status()?;
        }
        let keys = format!("http://{}/v1/kv/?recurse", self.address);
        self.trusted(self.client.delete(keys)).send().await?.error_for_status()?;
        self.indexes.lock().await.clear();
        self.synced().await
    }

    async fn ask(&self, request: &Request) -> Result<Answer> {
        let answer = Answer::read(self.send(request).await?, &self.address).await?;
        if request.method == "PUT" {
            self.synced().await?;
        }
        Ok(answer)
    }

    async fn until(&self, request: &Request, text: &str) -> Result<Answer> {
        let look = async {
            loop {
                let answer = self.ask(request).await?;
                if answer.body.to_string().contains(text) {
                    return Ok(answer);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LIMIT, look).await.with_context(|| format!("{} never had {text}", request.path))?
    }

    async fn rises(&self, paths: &[&'static str]) -> Result<Outcome> {
        let mut known = self.indexes.lock().await;
        let mut rose = Vec::new();
        for path in paths {
            let index = index(&self.read(path).await?)?;
            let before = known.insert(path, index).unwrap_or(index);
            ensure!(index >= before, "the index of {path} fell from {before} to {index}");
            rose.push((*path, index > before));
        }
        Ok(Outcome::Rose(rose))
    }

    /// Begins a blocking read at the present index, then writes.
    async fn blocked(&self, read: &str, write: &Request, wait: &str) -> Result<Outcome> {
        let before = known(&self.read(read).await?)?;
        let separator = if read.contains('?') { '&' } else { '?' };
        let blocking = format!("{read}{separator}{before}&wait={wait}");
        let (read, written) = tokio::join!(timeout(LIMIT, self.read(&blocking)), self.ask(write));
        written?;
        let response = read.with_context(|| format!("{blocking} slept through {write}"))??;
        let woke = before.is_passed_by(&known(&response)?);
        Ok(Outcome::Read(woke, Answer::read(response, &self.address).await?))
    }

    async fn read(&self, path: &str) -> Result<Response> {
        let response = self.trusted(self.client.get(format!("http://{}{path}", self.address))).send().await?;
        // A key that is not there has an index, too.
        let absent = response.status() == 404 && path.starts_with("/v1/kv/");
        Ok(if absent { response } else { response.error_for_status()? })
    }

    async fn json(&self, path: &str) -> Result<Value> {
        Ok(self.read(path).await?.json().await?)
    }

    fn trusted(&self, request: RequestBuilder) -> RequestBuilder {
        match self.token {
            Some(token) => request.header("x-consul-token", token),
            None => request,
        }
    }

    async fn path(&self, request: &Request) -> Result<String> {
        let path = request.path.replace("{token}", self.token.unwrap_or_default());
        let Some((key, _)) = path.split_once('?').filter(|_| path.contains("{modified}")) else { return Ok(path) };
        let modified = self.json(key).await?[0]["ModifyIndex"].take();
        Ok(path.replace("{modified}", &modified.to_string()))
    }

    async fn send(&self, request: &Request) -> Result<Response> {
        let body = request.body.replace("{own}", &self.address).replace("{grpc}", &self.grpc);
        let body = if body == BIG { "x".repeat(VALUE_LIMIT + 1) } else { body };
        let method = Method::from_bytes(request.method.as_bytes())?;
        let url = format!("http://{}{}", self.address, self.path(request).await?);
        Ok(self.client.request(method, url).body(body).send().await?)
    }

    /// Waits until the catalog has what the agent knows.
    pub(crate) async fn synced(&self) -> Result<()> {
        if !self.syncs {
            return Ok(());
        }
        let end = Instant::now() + LIMIT;
        loop {
            let (local, catalog) = (self.local().await?, self.catalog().await?);
            if local == catalog {
                return Ok(());
            }
            ensure!(Instant::now() < end, "the agent knows {local:?}, the catalog still has {catalog:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn local(&self) -> Result<[Value; 2]> {
        let services = members(&self.json("/v1/agent/services").await?, &["ID", "Service", "Tags", "Address", "Port"]);
        let checks = members(&self.json("/v1/agent/checks").await?, &["CheckID", "Status", "Notes", "ServiceTags"]);
        Ok([services, checks])
    }

    async fn catalog(&self) -> Result<[Value; 2]> {
        let services = self.json(&format!("/v1/catalog/node/{NODE}")).await?["Services"].take();
        let services = members(&without(services, "ID", "consul"), &["ID", "Service", "Tags", "Address", "Port"]);
        let checks = self.json(&format!("/v1/health/node/{NODE}")).await?;
        let checks = members(&without(checks, "CheckID", "serfHealth"), &["CheckID", "Status", "Notes", "ServiceTags"]);
        Ok([services, checks])
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(out, "{answer}"),
            Self::Rose(rose) => write!(out, "{rose:?}"),
            Self::Read(woke, answer) => write!(out, "greater index: {woke}, {answer}"),
        }
    }
}

/// What a blocking read names: an index, or a hash where there is no index.
#[derive(Debug)]
enum Known {
    Index(u64),
    Hash(String),
}

impl Known {
    fn is_passed_by(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Index(before), Self::Index(after)) => after > before,
            (Self::Hash(before), Self::Hash(after)) => before != after,
            (Self::Index(_), Self::Hash(_)) | (Self::Hash(_), Self::Index(_)) => false,
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(out, "index={index}"),
            Self::Hash(hash) => write!(out, "hash={hash}"),
        }
    }
}

fn known(response: &Response) -> Result<Known> {
    match response.headers().get("x-consul-contenthash") {
        Some(hash) => Ok(Known::Hash(hash.to_str()?.to_owned())),
        None => index(response).map(Known::Index),
    }
}

fn index(response: &Response) -> Result<u64> {
    let header = response.headers().get("x-consul-index").context("an answer without an index")?;
    match header.to_str()?.parse()? {
        0 => bail!("an index of 0"),
        index => Ok(index),
    }
}

/// Returns the items of a list or an object, in the order of their ids, with these members only.
fn members(items: &Value, names: &[&str]) -> Value {
    let items = items.as_array().cloned().or_else(|| items.as_object().map(|items| items.values().cloned().collect()));
    // The catalog leaves a port of 0 out.
    let member = |item: &Value, name: &str| item.get(name).filter(|value| **value != 0).cloned();
    let pick = |item: Value| names.iter().map(|name| member(&item, name)).collect::<Value>();
    let mut picked: Vec<Value> = items.unwrap_or_default().into_iter().map(pick).collect();
    picked.sort_by_key(ToString::to_string);
    Value::Array(picked)
}

fn without(items: Value, name: &str, value: &str) -> Value {
    let items = match items {
        Value::Array(items) => items,
        Value::Object(items) => items.into_iter().map(|(_, item)| item).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    items.into_iter().filter(|item| item[name] != value).collect()
}

/// Starts a gRPC server that is healthy.
async fn health_server() -> Result<(String, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (_, service) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(service).into_axum_router();
    let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
    Ok((address, AbortOnDropHandle::new(task)))
}
