//! Two instances of each service on one database, and what calls them.

use anyhow::Context as _;
use selvedge::{Config, Mesh};
use selvedge_harness::{Embedded, Postgres, Program, Redis};
use selvedge_kit::database::{self, Database, Statement};
use selvedge_proto::{
    catalog::v1::{
        CreateProductRequest, FILE_DESCRIPTOR_SET, GetProductRequest, Product, ReserveStockRequest,
        catalog_service_client::CatalogServiceClient,
    },
    google::r#type::Money,
    users::v1::user_service_client::UserServiceClient,
};
use tempfile::TempDir;
use tonic::Status;

use crate::{instance::Instance, late};

/// The product that there is in every shop.
pub(crate) const NAME: &str = "products/loom";

/// What the services keep their data in.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) engine: &'static str,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) redis: Option<Redis>,
    /// Where the cache is, if not at that Redis.
    pub(crate) cache_at: Option<String>,
    folder: TempDir,
}

impl Ground {
    pub(crate) fn sqlite() -> anyhow::Result<Self> {
        Ok(Self { engine: "sqlite", postgres: None, redis: None, cache_at: None, folder: TempDir::new()? })
    }

    /// PostgreSQL with Redis; nothing if one of them is not installed.
    pub(crate) async fn servers() -> anyhow::Result<Option<Self>> {
        let Some(redis) = Redis::start().await? else { return Ok(None) };
        let Some(postgres) = Postgres::start().await? else { return Ok(None) };
        let folder = TempDir::new()?;
        Ok(Some(Self {
            engine: "postgresql+redis",
            postgres: Some(postgres),
            redis: Some(redis),
            cache_at: None,
            folder,
        }))
    }

    pub(crate) fn database(&self, service: &str) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url(),
            None => database::url(&self.folder.path().join(format!("{service}.db"))),
        }
    }

    pub(crate) fn cache(&self) -> String {
        let redis = self.redis.as_ref().map(Redis::url);
        self.cache_at.clone().or(redis).unwrap_or_else(|| "none".into())
    }
}

/// Settings in the environment of a program.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

/// How instances are started.
#[derive(Debug)]
struct Start {
    registry: String,
    cache: String,
    settings: Settings,
}

impl Start {
    fn spawn(&self, service: &str, database: &str) -> anyhow::Result<Program> {
        let args = ["--registry", &self.registry, "--database", database, "--cache", &self.cache];
        Program::spawn(format!("selvedge-{service}"), &args, self.settings)
    }
}

/// Two instances of each service, and what calls them.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) registry: Embedded,
    pub(crate) catalog: Vec<Instance>,
    pub(crate) users: Vec<Instance>,
    pub(crate) mesh: Mesh,
    start: Start,
    database: String,
}

impl Shop {
    /// Starts all at once on databases that are empty, and creates a user and a product of so many pieces.
    pub(crate) async fn open(ground: &Ground, pieces: i64) -> anyhow::Result<Self> {
        Self::open_with(ground, pieces, &[]).await
    }

    /// The same, with settings of the services in their environment.
    pub(crate) async fn open_with(ground: &Ground, pieces: i64, settings: Settings) -> anyhow::Result<Self> {
        let registry = Embedded::start().await?;
        let start = Start { registry: registry.url(), cache: ground.cache(), settings };
        let spawn = |service: &str| start.spawn(service, &ground.database(service));
        let users = [spawn("users")?, spawn("users")?];
        let catalog = [spawn("catalog")?, spawn("catalog")?];
        let (users, catalog) = (ready(users).await?, ready(catalog).await?);
        let mut config = Config::new("caller");
        config.registry.address = registry.url();
        let mesh = Mesh::builder(config).upstream_descriptors(FILE_DESCRIPTOR_SET).build()?;
        let shop = Self { registry, catalog, users, mesh, start, database: ground.database("catalog") };
        UserServiceClient::new(shop.mesh.channel("users")).create_user(late::creation("ada-1815")).await?;
        shop.client().create_product(creation("loom", pieces)).await?;
        Ok(shop)
    }

    pub(crate) fn client(&self) -> CatalogServiceClient<selvedge::Channel> {
        CatalogServiceClient::new(self.mesh.channel("catalog"))
    }

    /// A client of one instance through the mesh.
    pub(crate) fn client_at(&self, instance: usize) -> CatalogServiceClient<selvedge::Channel> {
        CatalogServiceClient::new(self.mesh.channel(&format!("fixed://{}", self.catalog[instance].address)))
    }

    /// A client of one instance past the mesh, with a connection of its own.
    pub(crate) async fn client_of(
        &self,
        instance: usize,
    ) -> anyhow::Result<CatalogServiceClient<tonic::transport::Channel>> {
        Ok(CatalogServiceClient::new(self.catalog[instance].connect().await?))
    }

    pub(crate) async fn reserve(&self, request_id: &str) -> Result<Product, Status> {
        reserve(self.client(), request_id).await
    }

    pub(crate) async fn product(&self) -> Result<Product, Status> {
        Ok(self.client().get_product(GetProductRequest { name: NAME.into() }).await?.into_inner())
    }

    /// Kills an instance of the catalog, and starts another in its place.
    pub(crate) async fn replace(&mut self, instance: usize) -> anyhow::Result<()> {
        self.catalog[instance].program.kill().await?;
        self.catalog[instance] = Instance::ready(self.start.spawn("catalog", &self.database)?).await?;
        Ok(())
    }
}

/// Reserves one piece.
pub(crate) async fn reserve(
    mut client: CatalogServiceClient<selvedge::Channel>,
    request_id: &str,
) -> Result<Product, Status> {
    let request = ReserveStockRequest { name: NAME.into(), quantity: 1, request_id: request_id.into() };
    Ok(client.reserve_stock(request).await?.into_inner())
}

pub(crate) fn creation(id: &str, available_quantity: i64) -> CreateProductRequest {
    let product = Product {
        display_name: "Loom".into(),
        price: Some(Money { currency_code: "EUR".into(), units: 1, nanos: 0 }),
        owner: "users/ada-1815".into(),
        available_quantity,
        ..Product::default()
    };
    CreateProductRequest { product: Some(product), product_id: id.into(), ..Default::default() }
}

async fn ready(programs: [Program; 2]) -> anyhow::Result<Vec<Instance>> {
    let mut instances = Vec::new();
    for program in programs {
        instances.push(Instance::ready(program).await?);
    }
    Ok(instances)
}

/// Returns what the database of the catalog itself says.
pub(crate) async fn counted(ground: &Ground, sql: &'static str) -> anyhow::Result<i64> {
    let database: Database = database::open(&ground.database("catalog"), selvedge_catalog::store::SCHEMA).await?;
    let row = database.optional(Statement::new(sql)).await?.context("a count has a row")?;
    let count = row.int("n")?;
    database.close().await;
    Ok(count)
}
