//! Databases that are full, a process of each service, and a mesh that calls them.

use std::{future::pending, net::SocketAddr, ops::Range, process::Stdio};

use anyhow::Context as _;
use futures::FutureExt as _;
use selvedge::{Config, Mesh};
use selvedge_kit::{
    cache::{self, Location},
    database::{self, Limits},
};
use selvedge_proto::{catalog, users};
use selvedge_registry::Registry;
use tokio::time::Instant;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    echo,
    server::{Make, Server},
    services::{behind, workload},
};

/// Rows of one transaction.
const BATCH: u64 = 50_000;

/// What the process of one service is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Serve {
    /// `users` or `catalog`
    service: String,
    #[arg(long)]
    registry: String,
    #[arg(long)]
    database: String,
    #[arg(long)]
    cache: String,
}

/// The services of one engine, and one that does nothing. They end when it is dropped.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mesh: Mesh,
    _services: [Child; 3],
    _echo: Server,
    _registry: AbortOnDropHandle<()>,
}

impl World {
    /// Fills the databases of users and of catalog, and starts the services on them, with this cache.
    pub(super) async fn start(databases: [&str; 2], rows: u64, cache: &str) -> anyhow::Result<Self> {
        fill(databases, rows).await?;
        let config =
            selvedge_registry::Config { listen: "127.0.0.1:0".parse()?, ..selvedge_registry::Config::default() };
        let registry = Registry::bind(config).await?;
        let url = format!("http://{}", registry.local_addr());
        let registry = tokio::spawn(registry.run(pending()).map(drop));
        let [users, catalog] = databases;
        let services = [spawn("users", &url, users, cache).await?, spawn("catalog", &url, catalog, cache).await?];
        let [of_users, of_catalog] = services;
        let services = [of_users, of_catalog, behind::spawn(&url, databases, rows).await?];
        let echo = Server::start(Make::Selvedge, &url).await?;
        let mut config = Config::new("bench");
        config.registry.address = url;
        let sets = [users::v1::FILE_DESCRIPTOR_SET, catalog::v1::FILE_DESCRIPTOR_SET, echo::DESCRIPTORS];
        let mesh = sets.into_iter().fold(Mesh::builder(config), |mesh, set| mesh.upstream_descriptors(set)).build()?;
        Ok(Self { mesh, _services: services, _echo: echo, _registry: AbortOnDropHandle::new(registry) })
    }
}

async fn fill([users, catalog]: [&str; 2], rows: u64) -> anyhow::Result<()> {
    let database = database::open_within(users, selvedge_users::store::SCHEMA, Limits::of_bulk()).await?;
    let store = selvedge_users::store::Store::new(database.clone());
    batches("users", workload::users(rows), async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    database.close().await;
    let database = database::open_within(catalog, selvedge_catalog::store::SCHEMA, Limits::of_bulk()).await?;
    let store = selvedge_catalog::store::Store::new(database.clone());
    batches("products", rows, async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    database.close().await;
    Ok(())
}

async fn batches(what: &str, rows: u64, add: impl AsyncFn(Range<u64>) -> anyhow::Result<u64>) -> anyhow::Result<()> {
    let began = Instant::now();
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        let last = rows.min(first + BATCH);
        add(first..last).await?;
        eprintln!("{what}: {last} of {rows} after {} s", began.elapsed().as_secs());
    }
    Ok(())
}

/// Starts a service in a process of its own, and waits until it is registered.
async fn spawn(service: &str, registry: &str, database: &str, cache: &str) -> anyhow::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve-service", service, "--registry", registry, "--database", database, "--cache", cache])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    BufReader::new(stdout).lines().next_line().await?.with_context(|| format!("{service} ended"))?;
    Ok(child)
}

/// Serves until it is killed; prints its address.
pub(crate) async fn serve(told: Serve) -> anyhow::Result<()> {
    let mut mesh = Config::new(&told.service);
    mesh.registry.address = told.registry;
    let cache = cache::Options { location: Location::parse(&told.cache)?, ..cache::Options::default() };
    let options =
        selvedge_kit::Options { mesh, database: told.database, limits: Limits::default(), cache, telemetry: None };
    let ready = |address: SocketAddr| println!("{address}");
    match told.service.as_str() {
        "users" => selvedge_users::run(options, pending(), ready).await?,
        _ => selvedge_catalog::run(options, pending(), ready).await?,
    }
    Ok(())
}
