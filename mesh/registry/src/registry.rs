//! The registry on its port: binds, serves, and ends its parts.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{check, error::Error, keeper, record::Node, routes::routes, store::Store};

/// How long open requests may take to end at shutdown.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// What the registry needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Consul's own port, 8500 on loopback, by default.
    pub listen: SocketAddr,
    /// The name of the one node.
    pub node: String,
    /// The name of the one datacenter.
    pub datacenter: String,
}

impl Default for Config {
    fn default() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8500);
        Self { listen, node: "selvedge".to_owned(), datacenter: "dc1".to_owned() }
    }
}

/// A registry that listens, and serves once [`run`](Self::run).
#[derive(Debug)]
pub struct Registry {
    listener: TcpListener,
    address: SocketAddr,
    store: Arc<Store>,
    closing: CancellationToken,
}

impl Registry {
    /// Listens at the address of `config`. It is empty: nothing survives a restart.
    ///
    /// # Errors
    ///
    /// If the address is in use or cannot be listened on.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let failed = |error| Error::listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let closing = CancellationToken::new();
        let node = Node::new(config.node, config.datacenter, node_ip(address.ip()));
        let store = Arc::new(Store::new(node, closing.clone()));
        Ok(Self { listener, address, store, closing })
    }

    /// Returns the address it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends. Blocking reads are then answered at once.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Self { listener, address, store, closing } = self;
        info!(%address, "registry serves");
        let mut parts = JoinSet::new();
        parts.spawn(keeper::run(Arc::clone(&store)));
        parts.spawn(check::run(Arc::clone(&store)));
        parts.spawn({
            let closing = closing.clone();
            async move {
                shutdown.await;
                closing.cancel();
            }
        });
        let server = axum::serve(listener, routes(store)).with_graceful_shutdown(closing.clone().cancelled_owned());
        let served = tokio::select! {
            served = server => served.map_err(|error| Error::Serve(address, error)),
            () = close_limit(&closing) => {
                debug!("requests were still open at the end");
                Ok(())
            }
        };
        parts.shutdown().await;
        served
    }
}

/// Ends some time after the shutdown began.
async fn close_limit(closing: &CancellationToken) {
    closing.cancelled().await;
    tokio::time::sleep(CLOSE_LIMIT).await;
}

/// Returns the address of the node: instances without one of their own are reached there.
fn node_ip(listen: IpAddr) -> IpAddr {
    if listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen }
}
