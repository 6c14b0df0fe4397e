//! The live endpoints of one service: follows discovery, picks one for each attempt, and waits for a first.

pub(crate) mod candidates;
mod gauges;
mod held;
mod idle;
mod members;
pub(crate) mod picker;
pub(crate) mod set;
mod shared;

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use opentelemetry::KeyValue;
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Service;

pub(crate) use self::shared::Own;
use crate::{
    client::{
        Answer, AnswerFuture,
        call::Call,
        changes::Changes,
        cluster::{
            held::Held,
            idle::Idle,
            members::Members,
            picker::{Picker, Wanted},
            shared::Shared,
        },
        load::Mean,
        outcome::Failure,
    },
    config::ClientConfig,
    consul::polls::Usage,
    discovery::Resolve,
    policy::live::Live,
    random,
    telemetry::Metrics,
};

/// The way to the endpoints of one service.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    /// Ends the cluster's task when the last handle goes.
    _leave: Arc<DropGuard>,
}

impl Cluster {
    /// Makes a cluster that begins to look for instances at its first call.
    pub(crate) fn new(
        service: Arc<str>,
        (config, policy, own): (ClientConfig, Live, Own),
        resolver: Arc<dyn Resolve>,
        metrics: Metrics,
    ) -> Self {
        let target = KeyValue::new("grpc.target", service.to_string());
        let leaves = CancellationToken::new();
        let idle = Idle::new(config.idle_timeout, resolver.usage(&service));
        let shared = Shared {
            service,
            config,
            own,
            resolver,
            metrics,
            mean: Arc::new(Mean::new(Instant::now())),
            picker: Picker::new(policy, random::rng().random()),
            target,
            endpoints: ArcSwapOption::empty(),
            held: Held::default(),
            idle,
            changed: Changes::default(),
            none_since: Mutex::new(None),
            leaves: leaves.clone(),
        };
        let shared = Arc::new(shared);
        gauges::show(&shared);
        Self { shared, _leave: Arc::new(leaves.drop_guard()) }
    }

    /// Tells when it was called.
    pub(crate) fn usage(&self) -> Usage {
        self.shared.idle.usage().clone()
    }
}

impl Service<Call> for Cluster {
    type Response = http::Response<tonic::body::Body>;
    type Error = Failure;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if self.shared.idle.called() {
            Members::start(Arc::clone(&self.shared));
        }
        attempt(Arc::clone(&self.shared), call).boxed()
    }
}

async fn attempt(shared: Arc<Shared>, call: Call) -> Answer {
    let wanted = Wanted { tried: &call.tried, hash: call.hash };
    let (endpoint, permit) = match shared.pick(wanted) {
        Some(picked) => picked,
        None => {
            let picked = shared.wait(&call.route, wanted).await?;
            call.span.event("Delayed LB pick complete");
            picked
        }
    };
    endpoint.call(call, permit).await
}

#[cfg(test)]
mod tests;
