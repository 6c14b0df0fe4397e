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

use crate::{
    echo::pb::{EchoRequest, echo_service_client::EchoServiceClient},
    services::{
        behind,
        workload::{PAGE_SIZE, PAGES, Workload},
    },
};

/// Bytes of an echo: those of a user.
const ECHOED: usize = 160;

/// Clients of both services.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    users: UserServiceClient<Channel>,
    catalog: CatalogServiceClient<Channel>,
    echo: EchoServiceClient<Channel>,
    behind: EchoServiceClient<Channel>,
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
        let behind = EchoServiceClient::new(mesh.channel(behind::NAME));
        Ok(Self { users, catalog, echo, behind, pages: Arc::new(pages), rows })
    }

    /// Asks for the statements of a call through the mesh.
    pub(super) async fn behind(&self, workload: Workload, number: u64) -> Result<(), Status> {
        let payload = behind::asked(workload, number);
        self.behind.clone().echo(EchoRequest { payload }).await.map(drop)
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
