//! A process that serves the echo service, so that its CPU is counted apart from the client's.

use std::{net::SocketAddr, process::Stdio};

use anyhow::Context as _;
use selvedge::{Config, Mesh};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};
use tonic::{service::Routes, transport::server::TcpIncoming};

use crate::echo;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Make {
    Tonic,
    Selvedge,
}

/// Serves until it is killed; prints its address.
pub(crate) async fn run(make: Make, registry: &str) -> anyhow::Result<()> {
    match make {
        Make::Tonic => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            // Told here: of a listener of ours, the server does not set it itself.
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder().add_service(echo::service());
            Ok(server.serve_with_incoming(incoming).await?)
        }
        Make::Selvedge => {
            let mut config = Config::new("echo-mesh");
            config.registry.address = registry.into();
            let mesh = Mesh::builder(config).descriptors(echo::DESCRIPTORS).build()?;
            mesh.serve(Routes::new(echo::service())).on_ready(|address| println!("{address}")).await?;
            Ok(())
        }
    }
}

/// A server in a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    _child: Child,
}

impl Server {
    pub(crate) async fn start(make: Make, registry: &str) -> anyhow::Result<Self> {
        let make = if make == Make::Tonic { "tonic" } else { "selvedge" };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", make, "--registry", registry])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("the server ended")?;
        let process = child.id().context("the server ended")?;
        Ok(Self { address: line.parse()?, process, _child: child })
    }
}
