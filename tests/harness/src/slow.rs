//! A way to a server that takes its time: every piece of bytes comes late.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// Listens, and leads to a server; ends when dropped.
#[derive(Debug)]
pub struct Slow {
    /// Where it listens.
    pub address: SocketAddr,
    _ways: JoinSet<()>,
}

impl Slow {
    /// Leads to an address (`host:port`); each piece of what is asked is held up for so long, answers are not.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn to(server: String, delay: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut ways = JoinSet::new();
        ways.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                open.spawn(lead(from_client, to_server, delay));
                open.spawn(lead(from_server, to_client, Duration::ZERO));
            }
        });
        Ok(Self { address, _ways: ways })
    }
}

async fn lead(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&bytes[..size]).await.is_err() {
            return;
        }
    }
}
