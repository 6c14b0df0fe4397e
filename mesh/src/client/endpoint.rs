//! One address of a service: the stops of an attempt there.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceBuilder;

use crate::{
    client::{
        AnswerFuture, Stop,
        attempt::{Timed, TimeoutLayer},
        call::{Call, EndpointId},
        judge::{self, Judge},
        load::{Load, Mean},
        metrics::{self, Measured},
        pool::{Keeper, Pool, Target},
        standing::{Notices, Permit, Standing},
        stream::{self, Remote},
    },
    policy::live::Live,
    telemetry::Metrics,
};

/// One address of a service. It leaves when it is dropped; calls that run there may end.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) load: Arc<Load>,
    pub(crate) standing: Arc<Standing>,
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
    pub(crate) policy: Live,
    /// Told when the endpoint becomes ready, or is no longer, and when its standing changes.
    pub(crate) notices: Notices,
}

type EndpointStack = Measured<Timed<Connection>>;

/// The way of an attempt at its endpoint, outermost first. Above it stands the judge, which was made with the pick:
/// the next pick must see this one.
fn stack(metrics: Metrics, name: &str, connection: Connection) -> EndpointStack {
    ServiceBuilder::new()
        // On top: counts whatever ends below.
        .layer(metrics::attempt(metrics))
        // Below all that wants to see a timeout as an outcome, and not as a future that is dropped.
        .layer(TimeoutLayer::new(name))
        .service(connection)
}

impl Endpoint {
    /// Makes an endpoint, and the task that keeps it connected for its owner to spawn.
    pub(crate) fn new(parts: Parts) -> (Self, BoxFuture<'static, ()>) {
        let Parts { id, target, remote, mean, policy, notices } = parts;
        let pool = Arc::new(Pool::new(target));
        let (metrics, changed) = (notices.metrics.clone(), notices.changed.clone());
        let load = Arc::new(Load::new(mean, Instant::now()));
        let standing = Arc::new(Standing::new(policy, Instant::now(), notices));
        let leaves = CancellationToken::new();
        let connection = Connection { pool: Arc::clone(&pool), remote: Arc::new(remote) };
        let stack = stack(metrics, pool.name(), connection);
        let keeper = Keeper::new(Arc::clone(&pool), changed);
        let (measured, standing_of) = (Arc::clone(&load), Arc::clone(&standing));
        let fresh = move || {
            let now = Instant::now();
            measured.reset(now);
            standing_of.reconnected(now);
        };
        let task = keeper.run(leaves.clone(), fresh).boxed();
        (Self { id, load, standing, pool, stack, _leave: leaves.drop_guard() }, task)
    }

    /// Makes one that looks connected, and never will be.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn ready(parts: Parts) -> Self {
        let (endpoint, _) = Self::new(parts);
        endpoint.pool.pretend_ready();
        endpoint
    }

    /// Whether it has a connection that takes calls.
    pub(crate) fn is_ready(&self) -> bool {
        self.pool.is_ready()
    }

    /// Returns how many connections it has.
    pub(crate) fn connections(&self) -> usize {
        self.pool.connections()
    }

    pub(crate) fn name(&self) -> &str {
        self.pool.name()
    }

    /// Returns why it has no connection, if that is known.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.pool.last_error()
    }

    /// Makes an attempt that was picked with `permit`, now and not when it is first polled: the next pick must see it.
    pub(crate) fn call(&self, call: Call, permit: Permit) -> AnswerFuture {
        let (id, deadline) = (self.id, call.route.deadline.map(|deadline| deadline.at));
        call.traffic.went_to(id);
        if call.span.is_recorded() {
            call.span.set("selvedge.endpoint", self.name().to_owned());
        }
        let judge = Judge::new(self.load.begin(Instant::now(), deadline), permit, deadline);
        judge::watch(self.stack.call(call), judge, id).boxed()
    }
}

/// The bottom of the stack: finds the place of a stream on a connection.
#[derive(Clone, Debug)]
struct Connection {
    pool: Arc<Pool>,
    remote: Arc<Remote>,
}

impl Stop for Connection {
    fn call(&self, call: Call) -> AnswerFuture {
        let remote = Arc::clone(&self.remote);
        if let Some(slot) = self.pool.take() {
            return stream::exchange(slot, remote, call).boxed();
        }
        let pool = Arc::clone(&self.pool);
        async move { stream::exchange(pool.wait().await?, remote, call).await }.boxed()
    }
}
