//! What is called, through the mesh.

use std::sync::Arc;

use bytes::Bytes;
use selvedge::{Channel, Mesh};
use selvedge_proto::{
    catalog::v1::{ListProductsRequest, ReserveStockRequest, catalog_service_client::CatalogServiceClient},
    users::v1::{CreateUserRequest, GetUserRequest, User, user_service_client::UserServiceClient},
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::echo::pb::{EchoRequest, echo_service_client::EchoServiceClient};

/// Users that are read again and again, and so are in the cache.
const WARM_USERS: u64 = 1_000;
/// Pages that are read again and again.
const PAGES: u64 = 200;
/// Rows between two of them: far apart, so that they are all over the table.
const PAGE_SIZE: u16 = 1_000;

/// Bytes of an echo: those of a user.
const ECHOED: usize = 160;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    /// Of a service that does nothing: what the mesh itself takes.
    Echo,
    GetUserWarm,
    GetUserCold,
    CreateUser,
    ReserveStock,
    ListProducts,
}

impl Workload {
    /// Those of users and of catalog.
    pub(super) const ALL: [Self; 5] =
        [Self::GetUserWarm, Self::GetUserCold, Self::CreateUser, Self::ReserveStock, Self::ListProducts];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "mesh_echo",
            Self::GetUserWarm => "get_user_warm",
            Self::GetUserCold => "get_user_cold",
            Self::CreateUser => "create_user",
            Self::ReserveStock => "reserve_stock",
            Self::ListProducts => "list_products",
        }
    }

    pub(super) fn is_of_catalog(self) -> bool {
        matches!(self, Self::ReserveStock | Self::ListProducts)
    }

    /// Returns the number of the row that a call is about.
    pub(super) fn row(self, rows: u64, number: u64) -> u64 {
        match self {
            Self::GetUserWarm => number % WARM_USERS.min(users(rows)),
            // One after the other, so that none is in the cache.
            Self::GetUserCold => number % users(rows),
            // A prime: all over the table.
            Self::Echo | Self::CreateUser | Self::ReserveStock => number.wrapping_mul(7_919) % rows,
            // The row behind which a page begins.
            Self::ListProducts => number % PAGES * u64::from(PAGE_SIZE) % rows,
        }
    }
}

/// How many users there are for so many products.
pub(super) fn users(rows: u64) -> u64 {
    rows.div_ceil(10)
}

/// Clients of both services.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    users: UserServiceClient<Channel>,
    catalog: CatalogServiceClient<Channel>,
    echo: EchoServiceClient<Channel>,
    pages: Arc<Vec<String>>,
    rows: u64,
}

impl Calls {
    pub(super) async fn new(mesh: &Mesh, rows: u64) -> anyhow::Result<Self> {
        let users = UserServiceClient::new(mesh.channel("users"));
        let mut catalog = CatalogServiceClient::new(mesh.channel("catalog"));
        let mut pages = vec![String::new()];
        for _ in 1..PAGES {
            let page_token = pages[pages.len() - 1].clone();
            let request = ListProductsRequest { page_token, page_size: PAGE_SIZE.into(), ..Default::default() };
            let next = catalog.list_products(request).await?.into_inner().next_page_token;
            if next.is_empty() {
                break;
            }
            pages.push(next);
        }
        let echo = EchoServiceClient::new(mesh.channel("echo-mesh"));
        Ok(Self { users, catalog, echo, pages: Arc::new(pages), rows })
    }

    /// Makes the call of a number; no two calls of a run have the same.
    pub(super) async fn call(&self, workload: Workload, number: u64) -> Result<(), Status> {
        let row = workload.row(self.rows, number);
        let (mut users, mut catalog) = (self.users.clone(), self.catalog.clone());
        match workload {
            Workload::Echo => {
                let payload = Bytes::from_static(&[7; ECHOED]);
                self.echo.clone().echo(EchoRequest { payload }).await.map(drop)
            }
            Workload::GetUserWarm | Workload::GetUserCold => {
                users.get_user(GetUserRequest { name: format!("users/user-{row:07}") }).await.map(drop)
            }
            Workload::CreateUser => {
                let user = User {
                    display_name: "Ada".into(),
                    email: format!("bench-{number}@example.com"),
                    ..User::default()
                };
                users.create_user(CreateUserRequest { user: Some(user), ..Default::default() }).await.map(drop)
            }
            Workload::ReserveStock => {
                let (name, request_id) = (format!("products/product-{row:07}"), Uuid::new_v4().to_string());
                match catalog.reserve_stock(ReserveStockRequest { name, quantity: 1, request_id }).await {
                    // Of some products there are none.
                    Err(status) if status.code() != Code::FailedPrecondition => Err(status),
                    _ => Ok(()),
                }
            }
            Workload::ListProducts => {
                let page = usize::try_from(number).unwrap_or_default() % self.pages.len();
                let request = ListProductsRequest { page_token: self.pages[page].clone(), ..Default::default() };
                catalog.list_products(request).await.map(drop)
            }
        }
    }
}
