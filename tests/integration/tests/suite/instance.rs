//! A service program as a process of its own, and what it says of itself.

use std::net::SocketAddr;

use anyhow::Context as _;
use selvedge_harness::{LIMIT, Program};
use selvedge_proto::users::v1::user_service_client::UserServiceClient;
use tonic::transport::{Channel, Endpoint};

/// A process that is registered and passing.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) program: Program,
    /// Where it listens, as `127.0.0.1:50051`.
    pub(crate) address: String,
    /// The URL of its admin listener.
    pub(crate) admin: String,
}

/// Starts a users service on a free port, without waiting for it.
pub(crate) fn users(registry: &str, database: &str) -> anyhow::Result<Program> {
    Program::spawn("selvedge-users", &["--registry", registry, "--database", database], &[])
}

impl Instance {
    /// Waits until a program that was started is ready.
    pub(crate) async fn ready(program: Program) -> anyhow::Result<Self> {
        let admin = format!("http://{}", address_after(&program, "admin listener").await?);
        let address = address_after(&program, "ready").await?;
        Ok(Self { program, address, admin })
    }

    /// Connects to it with a client that is not ours, past the mesh.
    pub(crate) async fn connect(&self) -> anyhow::Result<Channel> {
        let channel = Endpoint::from_shared(format!("http://{}", self.address))?.connect().await;
        channel.with_context(|| format!("cannot connect to {}", self.address))
    }

    /// Such a client of a users service.
    pub(crate) async fn client(&self) -> anyhow::Result<UserServiceClient<Channel>> {
        Ok(UserServiceClient::new(self.connect().await?))
    }

    /// How many calls of users' API it has been asked so far.
    pub(crate) async fn asked(&self) -> anyhow::Result<u64> {
        let text = reqwest::get(format!("{}/metrics", self.admin)).await?.text().await?;
        let counts = text.lines().filter(|line| {
            line.starts_with("grpc_server_call_started_total") && line.contains("selvedge.users.v1.UserService")
        });
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

/// Returns the address in the log line that tells of it.
pub(crate) async fn address_after(program: &Program, what: &str) -> anyhow::Result<String> {
    let find = |line: &str| {
        line.contains(what).then(|| {
            line.split(|c: char| c.is_whitespace() || c == '=' || c == '"').find(|w| is_address(w)).map(str::to_owned)
        })?
    };
    let line = program.wait_for_line(|line| find(line).is_some(), LIMIT).await?;
    Ok(find(&line).expect("the line was found by it"))
}

fn is_address(word: &str) -> bool {
    word.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0)
}
