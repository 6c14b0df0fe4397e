//! One address of a service: the stops of an attempt there.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::{Service, ServiceBuilder};

use crate::{
    client::{
        Answer, AnswerFuture,
        call::{Call, EndpointId},
        load::{Load, LoadLayer, Loaded, Mean},
        metrics::{self, Measured},
        outcome::Failure,
        pool::{Keeper, Pool, Target},
        stream::{self, Remote},
    },
    telemetry::Metrics,
};

/// One address of a service. It leaves when it is dropped; calls that run there may end.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) load: Arc<Load>,
    pool: Arc<Pool>,
    stack: EndpointStack,
    _leave: DropGuard,
}

/// What an endpoint is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: EndpointId,
    pub(crate) target: Target,
    pub(crate) remote: Remote,
    pub(crate) mean: Arc<Mean>,
    pub(crate) metrics: Metrics,
    /// Told when the endpoint becomes ready, or is no longer.
    pub(crate) changed: watch::Sender<()>,
}

type EndpointStack = Measured<Loaded<Connection>>;

/// The way of an attempt at its endpoint, outermost first.
fn stack(metrics: Metrics, load: Arc<Load>, connection: Connection) -> EndpointStack {
    ServiceBuilder::new()
        // On top: counts whatever ends below.
        .layer(metrics::attempt(metrics))
        // Above the connection: sees the outcome of each attempt, or that it was dropped.
        .layer(LoadLayer::new(load))
        .service(connection)
}

impl Endpoint {
    /// Makes an endpoint, and the task that keeps it connected for its owner to spawn.
    pub(crate) fn new(parts: Parts) -> (Self, BoxFuture<'static, ()>) {
        let Parts { id, target, remote, mean, metrics, changed } = parts;
        let pool = Arc::new(Pool::new(target));
        let load = Arc::new(Load::new(mean, Instant::now()));
        let leaves = CancellationToken::new();
        let connection = Connection { pool: Arc::clone(&pool), remote: Arc::new(remote) };
        let stack = stack(metrics, Arc::clone(&load), connection);
        let keeper = Keeper::new(Arc::clone(&pool), changed);
        let measured = Arc::clone(&load);
        let task = keeper.run(leaves.clone(), move || measured.reset()).boxed();
        (Self { id, load, pool, stack, _leave: leaves.drop_guard() }, task)
    }

    /// Whether it has a connection that takes calls.
    pub(crate) fn is_ready(&self) -> bool {
        self.pool.is_ready()
    }

    pub(crate) fn name(&self) -> &str {
        self.pool.name()
    }

    /// Returns why it has no connection, if that is known.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.pool.last_error()
    }

    pub(crate) async fn call(&self, call: Call) -> Answer {
        self.stack.clone().call(call).await.map_err(|failure| failure.at(self.id))
    }
}

/// The bottom of the stack: finds the place of a stream on a connection.
#[derive(Clone, Debug)]
struct Connection {
    pool: Arc<Pool>,
    remote: Arc<Remote>,
}

impl Service<Call> for Connection {
    type Response = http::Response<tonic::body::Body>;
    type Error = Failure;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Self { pool, remote } = self.clone();
        async move {
            let slot = match pool.take() {
                Some(slot) => slot,
                None => pool.wait().await?,
            };
            stream::exchange(slot, remote, call).await
        }
        .boxed()
    }
}
