//! The services that hostile input is sent to, and what must come of it.

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use selvedge::{Config, Mesh};
use selvedge_harness::{Embedded, Program};
use selvedge_proto::{
    catalog::v1::{self as catalog, CreateProductRequest, Product, catalog_service_client::CatalogServiceClient},
    google::r#type::Money,
    users::v1::{self as users, ListUsersRequest, user_service_client::UserServiceClient},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{databases::shop::Ground, instance::Instance, late};

/// Larger than the 4 MiB texts that are sent: they shall reach the services.
const LONGEST_MESSAGE: usize = 8 << 20;

/// Two processes of each service, and clients of them through the mesh.
pub(crate) struct World {
    pub(crate) users: UserServiceClient<selvedge::Channel>,
    pub(crate) catalog: CatalogServiceClient<selvedge::Channel>,
    pub(crate) mesh: Mesh,
    _instances: Vec<Instance>,
    _registry: Embedded,
}

impl World {
    /// Starts them, and creates a user and a product.
    pub(crate) async fn start(ground: &Ground) -> anyhow::Result<Self> {
        let registry = Embedded::start().await?;
        let longest = LONGEST_MESSAGE.to_string();
        let spawn = |service: &str| {
            let (url, database, cache) = (registry.url(), ground.database(service), ground.cache());
            let args = ["--registry", &url, "--database", &database, "--cache", &cache];
            Program::spawn(format!("selvedge-{service}"), &args, &[("SELVEDGE_SERVER__MAX_MESSAGE_BYTES", &longest)])
        };
        let programs = [spawn("users")?, spawn("users")?, spawn("catalog")?, spawn("catalog")?];
        let instances = try_join_all(programs.map(Instance::ready)).await?;
        let mut config = Config::new("caller");
        config.registry.address = registry.url();
        config.client.max_message_bytes = LONGEST_MESSAGE;
        let sets = [users::FILE_DESCRIPTOR_SET, catalog::FILE_DESCRIPTOR_SET];
        let mesh = sets.into_iter().fold(Mesh::builder(config), |mesh, set| mesh.upstream_descriptors(set)).build()?;
        let mut world = Self {
            users: UserServiceClient::new(mesh.channel("users")),
            catalog: CatalogServiceClient::new(mesh.channel("catalog")),
            mesh,
            _instances: instances,
            _registry: registry,
        };
        for id in ["ada-1815", "bob-1", "eve-1"] {
            world.users.create_user(late::creation(id)).await?;
        }
        world.catalog.create_product(loom()).await?;
        Ok(world)
    }

    pub(crate) async fn listed(&mut self, request: ListUsersRequest) -> Result<(), Status> {
        self.users.list_users(request).await.map(drop)
    }
}

fn loom() -> CreateProductRequest {
    let price = Some(Money { currency_code: "EUR".into(), units: 1, nanos: 0 });
    let (display_name, owner) = ("Loom".into(), "users/ada-1815".into());
    let product = Some(Product { display_name, owner, price, ..Product::default() });
    CreateProductRequest { product, product_id: "loom".into(), ..Default::default() }
}

/// Checks that a request was refused for a field.
pub(crate) fn refused<T>(answer: Result<T, Status>, field: &str, sent: &str) -> anyhow::Result<()> {
    let sent: String = sent.chars().take(60).collect();
    let status = answer.err().with_context(|| format!("{field}: {sent:?} was taken"))?;
    ensure!(status.code() == Code::InvalidArgument, "{field}: {sent:?}: {status}");
    let request = status.get_details_bad_request().with_context(|| format!("{field}: no details: {status}"))?;
    let fields: Vec<_> = request.field_violations.iter().map(|violation| violation.field.as_str()).collect();
    ensure!(!fields.is_empty() && fields.iter().all(|named| *named == field), "{sent:?}: {fields:?}, not {field}");
    ensure!(status.message().len() < 1_000 && status.details().len() < 2_000, "{field}: {status}");
    Ok(())
}
