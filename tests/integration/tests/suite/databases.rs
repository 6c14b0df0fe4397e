//! The services as they run: two processes of each, called through the mesh, on every database.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use selvedge::{Config, Mesh};
use selvedge_harness::{Embedded, LIMIT, Postgres, Program, eventually};
use selvedge_proto::{
    catalog::v1::{
        CreateProductRequest, FILE_DESCRIPTOR_SET, GetProductRequest, Product, ReserveStockRequest,
        WatchProductsRequest, catalog_service_client::CatalogServiceClient,
    },
    google::r#type::Money,
    users::v1::user_service_client::UserServiceClient,
};
use tempfile::TempDir;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{instance::Instance, late};

const NAME: &str = "products/loom";

/// Two instances of each service, and what calls them.
struct Shop {
    registry: Embedded,
    catalog: [Instance; 2],
    _users: [Instance; 2],
    mesh: Mesh,
}

impl Shop {
    /// Starts all at once on databases that are empty, and creates a user and a product.
    async fn open(users: &str, catalog: &str) -> anyhow::Result<Self> {
        let registry = Embedded::start().await?;
        let spawn = |service: &str, database: &str| {
            Program::spawn(service, &["--registry", &registry.url(), "--database", database], &[])
        };
        let users = [spawn("selvedge-users", users)?, spawn("selvedge-users", users)?];
        let catalog = [spawn("selvedge-catalog", catalog)?, spawn("selvedge-catalog", catalog)?];
        let ([u, v], [c, d]) = (users, catalog);
        let users = [Instance::ready(u).await?, Instance::ready(v).await?];
        let catalog = [Instance::ready(c).await?, Instance::ready(d).await?];
        let mut config = Config::new("caller");
        config.registry.address = registry.url();
        let mesh = Mesh::builder(config).upstream_descriptors(FILE_DESCRIPTOR_SET).build()?;
        let shop = Self { registry, catalog, _users: users, mesh };
        UserServiceClient::new(shop.mesh.channel("users")).create_user(late::creation("ada-1815")).await?;
        shop.client().create_product(creation()).await?;
        Ok(shop)
    }

    fn client(&self) -> CatalogServiceClient<selvedge::Channel> {
        CatalogServiceClient::new(self.mesh.channel("catalog"))
    }

    async fn reserve(&self, request_id: &str) -> Result<Product, Status> {
        let request = ReserveStockRequest { name: NAME.into(), quantity: 1, request_id: request_id.into() };
        Ok(self.client().reserve_stock(request).await?.into_inner())
    }
}

fn creation() -> CreateProductRequest {
    let product = Product {
        display_name: "Loom".into(),
        price: Some(Money { currency_code: "EUR".into(), units: 1, nanos: 0 }),
        owner: "users/ada-1815".into(),
        available_quantity: 100,
        ..Product::default()
    };
    CreateProductRequest { product: Some(product), product_id: "loom".into(), ..Default::default() }
}

/// Reads on from a token until so many pieces are left, or to the end of the stream: what was left each time.
async fn watched(instance: &Instance, token: &mut String, until: Option<i64>) -> anyhow::Result<(Vec<i64>, Code)> {
    let channel: Channel = instance.connect().await?;
    let request = WatchProductsRequest { resume_token: token.clone(), include_present: false };
    let mut stream = CatalogServiceClient::new(channel).watch_products(request).await?.into_inner();
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(LIMIT, stream.message()).await? {
            Ok(message) => {
                let message = message.context("the stream has no end of its own")?;
                *token = message.resume_token;
                seen.extend(message.product.map(|product| product.available_quantity));
            }
            Err(status) => {
                let info = status.get_details_error_info().context("no details")?;
                ensure!(info.metadata["resume_token"] == *token, "{status}");
                return Ok((seen, status.code()));
            }
        }
        if until.is_some() && seen.last().copied() == until {
            return Ok((seen, Code::Ok));
        }
    }
}

/// 200 want one of 100 pieces, and each asks twice; a watcher sees each reservation once, also when its instance leaves.
async fn reservations(engine: &str, users: &str, catalog: &str) -> anyhow::Result<()> {
    let shop = Shop::open(users, catalog).await?;
    let mut token = String::new();
    let ids: Vec<_> = (0..200).map(|_| Uuid::new_v4().to_string()).collect();
    let (leaving, staying) = (&shop.catalog[0], &shop.catalog[1]);
    let watch = watched(leaving, &mut token, None);
    let work = async {
        // Until the watch is there: what comes before it, it is not told.
        eventually(LIMIT, async || {
            let metrics = reqwest::get(format!("{}/metrics", leaving.admin)).await?.text().await?;
            ensure!(metrics.lines().any(|line| line.contains("started") && line.contains("WatchProducts")), "no watch");
            Ok(())
        })
        .await?;
        for round in 0..2 {
            let answers = join_all(ids.iter().map(|id| shop.reserve(id))).await;
            let taken = answers.iter().filter(|answer| answer.is_ok()).count();
            let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
            for status in refused {
                ensure!(status.code() == Code::FailedPrecondition, "{engine}, round {round}: {status}");
            }
            ensure!(taken == 100, "{engine}, round {round}: {taken} were reserved");
            if round == 0 {
                leaving.program.terminate()?;
            }
        }
        anyhow::Ok(())
    };
    let (watch, work) = tokio::join!(watch, work);
    work?;
    let (mut seen, code) = watch?;
    ensure!(code == Code::Unavailable, "{engine}: the watch ended with {code:?}");
    if seen.last() != Some(&0) {
        seen.extend(watched(staying, &mut token, Some(0)).await?.0);
    }
    let all: Vec<_> = (0..100).rev().collect();
    ensure!(seen == all, "{engine}: {seen:?}");
    let left = shop.client().get_product(GetProductRequest { name: NAME.into() }).await?.into_inner();
    ensure!((left.available_quantity, left.reserved_quantity) == (0, 100), "{engine}: {left:?}");
    println!("{engine}: 100 of 200 reserved, {} changes watched, at {}", seen.len(), shop.registry.url());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pieces_are_reserved_a_hundred_times_on_sqlite() -> anyhow::Result<()> {
    let data = TempDir::new()?;
    let url = |name: &str| format!("sqlite://{}/{name}.db", data.path().display());
    reservations("sqlite", &url("users"), &url("catalog")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pieces_are_reserved_a_hundred_times_on_postgresql() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::start().await? else { return Ok(()) };
    reservations("postgresql", &postgres.url(), &postgres.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_is_unavailable_meanwhile_and_then_heals() -> anyhow::Result<()> {
    let Some(mut postgres) = Postgres::start().await? else { return Ok(()) };
    let shop = Shop::open(&postgres.url(), &postgres.url()).await?;
    let get = async || shop.client().get_product(GetProductRequest { name: NAME.into() }).await;
    get().await?;
    postgres.stop().await?;
    for _ in 0..5 {
        let answer = tokio::time::timeout(Duration::from_secs(15), get()).await?;
        ensure!(answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable), "{answer:?}");
    }
    postgres.restart().await?;
    eventually(LIMIT, async || Ok(get().await.map(drop)?)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_its_server_and_says_so() -> anyhow::Result<()> {
    let Some(mut postgres) = Postgres::start().await? else { return Ok(()) };
    postgres.stop().await?;
    let registry = Embedded::start().await?;
    let args = ["--registry", &registry.url(), "--database", &postgres.url()];
    let users = Program::spawn("selvedge-users", &args, &[])?;
    users.wait_for_line(|line| line.contains("it is waited for"), LIMIT).await?;
    // It can be ended meanwhile.
    let mut waiting = Program::spawn("selvedge-users", &args, &[])?;
    waiting.wait_for_line(|line| line.contains("it is waited for"), LIMIT).await?;
    waiting.terminate()?;
    ensure!(waiting.wait(LIMIT).await?.code() == Some(0), "{}", waiting.stderr());
    postgres.restart().await?;
    Instance::ready(users).await.map(drop)
}
