//! The floor behind the mesh: a service that does nothing but send the same statements to the engine over one connection,
//! and answers with as many bytes. What is between it and the service itself is the service's own.

use std::{pin::Pin, process::Stdio, sync::Arc};

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use selvedge::{Config, Mesh};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::Mutex,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    echo::{
        self,
        pb::{
            EchoManyRequest, EchoRequest, EchoResponse,
            echo_service_server::{EchoService, EchoServiceServer},
        },
    },
    services::{floor::Floor, workload::Workload},
};

/// The name under which it is called.
pub(super) const NAME: &str = "floor";
/// Bytes of a user, and of a product.
const OF_USER: usize = 160;
const OF_PRODUCT: usize = 250;
/// Products of a page.
const PAGE: usize = 50;

/// What the process is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Serve {
    #[arg(long)]
    registry: String,
    #[arg(long)]
    users: String,
    #[arg(long)]
    catalog: String,
    #[arg(long)]
    rows: u64,
}

/// Sends statements, one call after the other.
#[derive(Clone, Debug)]
struct Behind {
    floors: Arc<[Mutex<Floor>; 2]>,
    rows: u64,
}

/// Starts it in a process of its own, and waits until it is registered.
pub(super) async fn spawn(registry: &str, [users, catalog]: [&str; 2], rows: u64) -> anyhow::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve-floor", "--registry", registry, "--users", users, "--catalog", catalog])
        .args(["--rows", &rows.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    BufReader::new(stdout).lines().next_line().await?.context("the floor ended")?;
    Ok(child)
}

/// Serves until it is killed; prints its address.
pub(crate) async fn serve(told: Serve) -> anyhow::Result<()> {
    let users = Floor::connect(&told.users, "users").await?;
    let catalog = Floor::connect(&told.catalog, "catalog").await?;
    let behind = Behind { floors: Arc::new([Mutex::new(users), Mutex::new(catalog)]), rows: told.rows };
    let mut config = Config::new(NAME);
    config.registry.address = told.registry;
    let mesh = Mesh::builder(config).descriptors(echo::DESCRIPTORS).build()?;
    let routes = Routes::new(EchoServiceServer::new(behind));
    Ok(mesh.serve(routes).on_ready(|address| println!("{address}")).await?)
}

/// Returns what asks for the statements of a call.
pub(super) fn asked(workload: Workload, number: u64) -> Bytes {
    let place = Workload::ALL.iter().position(|each| *each == workload).unwrap_or_default();
    let mut payload = BytesMut::new();
    payload.put_u64(u64::try_from(place).unwrap_or_default());
    payload.put_u64(number);
    payload.freeze()
}

/// The opposite of [`asked`].
fn read(mut payload: Bytes) -> Option<(Workload, u64)> {
    let place = usize::try_from(payload.try_get_u64().ok()?).ok()?;
    Some((*Workload::ALL.get(place)?, payload.try_get_u64().ok()?))
}

/// Returns about what the service would answer.
fn answer(workload: Workload) -> Bytes {
    static BYTES: [u8; PAGE * OF_PRODUCT] = [7; PAGE * OF_PRODUCT];
    let length = match workload {
        Workload::Echo | Workload::GetUserWarm | Workload::GetUserCold | Workload::CreateUser => OF_USER,
        Workload::ReserveStock => OF_PRODUCT,
        Workload::ListProducts => PAGE * OF_PRODUCT,
    };
    Bytes::from_static(&BYTES[..length])
}

#[tonic::async_trait]
impl EchoService for Behind {
    type EchoManyStream = Pin<Box<dyn Stream<Item = Result<EchoResponse, Status>> + Send>>;

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        let (workload, number) = read(request.into_inner().payload).ok_or(Status::invalid_argument("no workload"))?;
        let mut floor = self.floors[usize::from(workload.is_of_catalog())].lock().await;
        floor.ask(workload, self.rows, number).await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(EchoResponse { payload: answer(workload) }))
    }

    async fn echo_many(&self, _: Request<EchoManyRequest>) -> Result<Response<Self::EchoManyStream>, Status> {
        Err(Status::unimplemented("nobody asks for many"))
    }
}
