//! Products behind a gateway, each part a process.

use anyhow::{Context as _, ensure};
use selvedge_harness::{Embedded, LIMIT, Program};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    gateway::Gateway,
    instance::{Instance, users},
    stack::path,
};

/// Users, products and a gateway.
#[derive(Debug)]
pub(super) struct World {
    pub(super) http: reqwest::Client,
    gateway: Gateway,
    catalog: Option<Instance>,
    _users: Instance,
    registry: Embedded,
    data: TempDir,
}

impl World {
    /// Starts it, with one user.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (registry, data) = (Embedded::start().await?, TempDir::new()?);
        let users = users(&registry.url(), &format!("sqlite://{}/users.db", path(&data)))?;
        let catalog = catalog(&registry.url(), &data)?;
        let (users, catalog) = (Instance::ready(users).await?, Instance::ready(catalog).await?);
        let gateway = Gateway::start(&registry.url(), &[], "/v1/users").await?;
        let mut world = Self { http: reqwest::Client::new(), gateway, catalog: None, _users: users, registry, data };
        world.is_served(catalog).await?;
        let user = json!({"displayName": "Ada", "email": "ada@example.com"});
        world.post("/v1/users?user_id=ada-1815", &user).await?;
        Ok(world)
    }

    /// The URL of the watch.
    pub(super) fn watch(&self, query: &str) -> String {
        format!("{}/v1/products:watch{query}", self.gateway.url)
    }

    /// Creates a product.
    pub(super) async fn create(&self, id: &str) -> anyhow::Result<()> {
        let price = json!({"currencyCode": "GBP", "units": "17000"});
        let product = json!({"displayName": id, "owner": "users/ada-1815", "price": price});
        self.post(&format!("/v1/products?product_id={id}"), &product).await
    }

    /// Drains the instance of catalog and waits until it is gone.
    pub(super) async fn catalog_leaves(&mut self) -> anyhow::Result<()> {
        let mut catalog = self.catalog.take().context("it runs")?;
        catalog.program.terminate()?;
        let ended = catalog.program.wait(LIMIT).await?;
        ensure!(ended.success(), "SIGTERM: {ended}");
        Ok(())
    }

    /// Kills the instance of catalog.
    pub(super) async fn catalog_dies(&mut self) -> anyhow::Result<()> {
        let mut catalog = self.catalog.take().context("it runs")?;
        catalog.program.kill().await?;
        Ok(())
    }

    /// Starts another instance of catalog over the same products.
    pub(super) async fn catalog_returns(&mut self) -> anyhow::Result<()> {
        let catalog = Instance::ready(catalog(&self.registry.url(), &self.data)?).await?;
        self.is_served(catalog).await
    }

    /// How many watches began and how many ended at the instance of catalog.
    pub(super) async fn watches(&self) -> anyhow::Result<(u64, u64)> {
        let admin = &self.catalog.as_ref().context("it runs")?.admin;
        let text = reqwest::get(format!("{admin}/metrics")).await?.text().await?;
        let sum = |metric: &str| {
            let lines =
                text.lines().filter(|line| line.starts_with(metric) && line.contains("CatalogService/WatchProducts\""));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        Ok((sum("grpc_server_call_started_total{"), sum("grpc_server_call_duration_seconds_count{")))
    }

    async fn is_served(&mut self, catalog: Instance) -> anyhow::Result<()> {
        self.catalog = Some(catalog);
        let url = format!("{}/v1/products", self.gateway.url);
        selvedge_harness::eventually(LIMIT, async || {
            Ok(self.http.get(&url).send().await?.error_for_status().map(drop)?)
        })
        .await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let response = self.http.post(format!("{}{path}", self.gateway.url)).json(body).send().await?;
        let status = response.status();
        ensure!(status == 200, "{path}: HTTP {status}: {}", response.text().await?);
        Ok(())
    }
}

fn catalog(registry: &str, data: &TempDir) -> anyhow::Result<Program> {
    let database = format!("sqlite://{}/catalog.db", path(data));
    Program::spawn("selvedge-catalog", &["--registry", registry, "--database", &database], &[])
}
