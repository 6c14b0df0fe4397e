//! The live endpoints of one service: follows discovery, picks one for each attempt, and waits for a first.

pub(crate) mod candidates;
mod gauges;
mod held;
mod idle;
mod members;
pub(crate) mod picker;
pub(crate) mod set;
mod shared;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use opentelemetry::KeyValue;
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::shared::Own;
use crate::{
    client::{
        Answer, AnswerFuture, Stop,
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

impl Stop for Cluster {
    fn call(&self, call: Call) -> AnswerFuture {
        if self.shared.idle.called() {
            Members::start(Arc::clone(&self.shared));
        }
        // Before the pick, which changes what they cost.
        self.trace(&call);
        match self.shared.pick(wanted(&call)) {
            Some((endpoint, permit)) => endpoint.call(call, permit),
            None => late(Arc::clone(&self.shared), call).boxed(),
        }
    }
}

/// Waits for an endpoint that can be picked.
async fn late(shared: Arc<Shared>, call: Call) -> Answer {
    let (endpoint, permit) = shared.wait(&call.route, wanted(&call)).await?;
    call.span.event("Delayed LB pick complete");
    endpoint.call(call, permit).await
}

fn wanted(call: &Call) -> Wanted<'_> {
    Wanted { tried: &call.tried, hash: call.hash, tagged: call.route.tagged.as_ref() }
}

#[cfg(test)]
mod tests;
