//! The registry on its port: binds, serves, and ends its parts.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{
    check,
    disk::{self, Folder},
    error::Error,
    faults::with_faults,
    keeper,
    record::Node,
    routes::routes,
    state::REAP_FLOOR,
    store::Store,
};

/// How long open requests may take to end at shutdown.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// What the registry needs to know.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Consul's own port, 8500 on loopback, by default.
    pub listen: SocketAddr,
    /// The name of the one node.
    pub node: String,
    /// The name of the one datacenter.
    pub datacenter: String,
    /// What is known of the node beside its name.
    pub node_meta: BTreeMap<String, String>,
    /// The one token that may do everything; without it, everybody may.
    pub token: Option<String>,
    /// Where the state is kept; without a folder, it ends with the registry.
    pub folder: Option<PathBuf>,
    /// The shortest time for which a check must be critical before its service is removed, whatever its registration
    /// says: a minute by default (Consul's `check_deregister_interval_min`).
    pub reap_floor: Duration,
    /// Whether faults can be asked for, under `/__dev`.
    pub faults: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, node, datacenter, node_meta, token, folder, reap_floor, faults } = self;
        let token = token.as_ref().map(|_| "…");
        let mut shown = out.debug_struct("Config");
        shown.field("listen", listen).field("node", node).field("datacenter", datacenter);
        shown.field("node_meta", node_meta).field("token", &token).field("folder", folder);
        shown.field("reap_floor", reap_floor).field("faults", faults).finish()
    }
}

impl Default for Config {
    fn default() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8500);
        Self {
            listen,
            node: "selvedge".to_owned(),
            datacenter: "dc1".to_owned(),
            node_meta: BTreeMap::new(),
            token: None,
            folder: None,
            reap_floor: REAP_FLOOR,
            faults: false,
        }
    }
}

/// A registry that listens, and serves once [`run`](Self::run).
#[derive(Debug)]
pub struct Registry {
    listener: TcpListener,
    address: SocketAddr,
    store: Arc<Store>,
    folder: Option<Arc<Folder>>,
    faults: bool,
    closing: CancellationToken,
}

impl Registry {
    /// Listens at the address of `config`. It has what is kept in the folder, or nothing.
    ///
    /// # Errors
    ///
    /// If the address is in use or cannot be listened on, or if the folder or what is in it cannot be used.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let failed = |error| Error::listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let closing = CancellationToken::new();
        let node = Node::own(config.node, config.datacenter, node_ip(address.ip()), config.node_meta);
        let (folder, store) = match config.folder {
            Some(path) => kept(&path, node, closing.clone())?,
            None => (None, Store::new(node, closing.clone())),
        };
        store.write(|state| state.reap_floor = config.reap_floor);
        let store = Arc::new(store.with_token(config.token));
        Ok(Self { listener, address, store, folder, faults: config.faults, closing })
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
        let Self { listener, address, store, folder, faults, closing } = self;
        info!(%address, "registry serves");
        let mut parts = JoinSet::new();
        parts.spawn(keeper::run(Arc::clone(&store)));
        parts.spawn(check::run(Arc::clone(&store)));
        if let Some(folder) = folder {
            parts.spawn(disk::run(folder, Arc::clone(&store)));
        }
        parts.spawn({
            let closing = closing.clone();
            async move {
                shutdown.await;
                closing.cancel();
            }
        });
        let endpoints = if faults { with_faults(routes(Arc::clone(&store)), store) } else { routes(store) };
        let server = axum::serve(listener, endpoints).with_graceful_shutdown(closing.clone().cancelled_owned());
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

/// Opens a folder, and the state in it.
fn kept(path: &Path, node: Node, closing: CancellationToken) -> Result<(Option<Arc<Folder>>, Store), Error> {
    let folder = Folder::open(path)?;
    let store = match folder.load(&node)? {
        Some(state) => Store::of(state, closing),
        None => Store::new(node, closing),
    };
    Ok((Some(Arc::new(folder)), store.kept()))
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
