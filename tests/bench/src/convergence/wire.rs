//! A way to a registry on which the bytes of its answers are counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// How much is passed on at once.
const PIECE: usize = 64 * 1024;

/// A listener that passes everything on; ended when dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) url: String,
    received: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Wire {
    /// Starts one before the registry at `url`.
    pub(crate) async fn start(url: &str) -> anyhow::Result<Self> {
        let registry = url.strip_prefix("http://").context("the registry is not on plain HTTP")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let received = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (registry, counted) = (registry.clone(), Arc::clone(&counted));
                tokio::spawn(async move { pass(client, &registry, &counted).await });
            }
        });
        Ok(Self { url, received, task })
    }

    /// Returns the bytes of all answers so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes one connection on, until either end closes it.
async fn pass(client: TcpStream, registry: &str, counted: &AtomicU64) -> io::Result<()> {
    let registry = TcpStream::connect(registry).await?;
    client.set_nodelay(true)?;
    registry.set_nodelay(true)?;
    let ((mut from_client, to_client), (from_registry, mut to_registry)) = (client.into_split(), registry.into_split());
    tokio::select! {
        ended = io::copy(&mut from_client, &mut to_registry) => ended.map(drop),
        ended = count_all(from_registry, to_client, counted) => ended,
    }
}

async fn count_all(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counted: &AtomicU64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        counted.fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        to.write_all(&piece[..read]).await?;
    }
}
