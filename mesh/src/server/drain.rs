//! How an instance leaves: maintenance, wait, GOAWAY, deregistration.

use std::{future::Future, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use crate::{
    config::DrainConfig,
    consul::Consul,
    server::{
        builtin::Health,
        phase::Phase,
        register::{
            Standing,
            claim::{Claim, OWNER},
        },
    },
};

/// All that Consul may cost a drain.
const CONSUL_BUDGET: Duration = Duration::from_secs(1);

/// How long calls that were cut off get to let go.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Everything of one instance that must end.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) consul: Consul,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) stop_lease: CancellationToken,
    pub(crate) lease: AbortOnDropHandle<()>,
    pub(crate) health: Health,
    pub(crate) phase: Phase,
    pub(crate) acceptor: AbortOnDropHandle<()>,
}

impl Leaving {
    /// Leaves; `hurry` skips what is left of the waiting.
    pub(crate) async fn drain(mut self, config: &DrainConfig, hurry: &CancellationToken) {
        let mut budget = Budget { left: CONSUL_BUDGET };
        self.end_lease(&mut budget).await;
        let standing = self.standing.borrow().clone();
        if self.hidden(&standing, &mut budget).await {
            // Until the last caller has heard of it, calls come and are served.
            hurry.run_until_cancelled(sleep(config.propagation)).await;
        }
        self.health.leaving().await;
        self.phase.leaving.cancel();
        let ended = hurry.run_until_cancelled(timeout(config.grace, &mut self.acceptor)).await;
        if !matches!(ended, Some(Ok(_))) {
            warn!(grace = ?config.grace, "calls are cut off: they did not end in server.drain.grace");
            self.phase.over.cancel();
            let _ = timeout(CUT_OFF, &mut self.acceptor).await;
        }
        deregister(&self.consul, &standing, &mut budget).await;
        if let Some(Err(error)) = budget.spend(self.consul.log_out()).await {
            warn!(%error, "not logged out: the token holds until it expires");
        }
    }

    /// From here on nothing registers: that would end the maintenance.
    async fn end_lease(&mut self, budget: &mut Budget) {
        self.stop_lease.cancel();
        if budget.spend(&mut self.lease).await.is_none() {
            self.lease.abort();
        }
    }

    /// Takes the instance out of everybody's discovery, if it can be.
    async fn hidden(&self, standing: &Standing, budget: &mut Budget) -> bool {
        let Standing::Registered(claim) = standing else { return false };
        let id = &claim.id;
        if is_taken(&self.consul, claim, budget).await {
            info!(%id, "draining without notice to others: another process has the id by now");
            return false;
        }
        match budget.spend(self.consul.maintenance(id, true, "drain")).await {
            Some(Ok(())) => {
                info!(%id, "draining");
                true
            }
            Some(Err(error)) => {
                warn!(%id, %error, "draining without notice to others");
                false
            }
            None => {
                warn!(%id, registry = %self.consul.describe(), "draining without notice to others: no answer");
                false
            }
        }
    }
}

async fn deregister(consul: &Consul, standing: &Standing, budget: &mut Budget) {
    let (Standing::Asked(claim) | Standing::Registered(claim)) = standing else { return };
    let id = &claim.id;
    if is_taken(consul, claim, budget).await {
        return info!(%id, "not deregistered: another process has the id by now");
    }
    match budget.spend(consul.deregister(id)).await {
        Some(Ok(())) => info!(%id, "deregistered"),
        Some(Err(error)) => warn!(%id, %error, "not deregistered: the agent will, a minute from now"),
        None => warn!(%id, "not deregistered for lack of an answer: the agent will, a minute from now"),
    }
}

/// Whether another registered the id meanwhile; if that cannot be told, it is still ours.
async fn is_taken(consul: &Consul, claim: &Claim, budget: &mut Budget) -> bool {
    let Some(Ok(Some(found))) = budget.spend(consul.registered(&claim.id)).await else { return false };
    found.owner(OWNER) != Some(&*claim.owner)
}

/// Time that several requests share.
#[derive(Debug)]
struct Budget {
    left: Duration,
}

impl Budget {
    /// Runs a future for as long as time is left; nothing if it did not end.
    async fn spend<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let ended = timeout(self.left, future).await.ok();
        self.left = self.left.saturating_sub(began.elapsed());
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_never_answered_cost_the_budget_once() {
        let mut budget = Budget { left: CONSUL_BUDGET };
        let began = Instant::now();
        assert_eq!(budget.spend(sleep(Duration::from_millis(400))).await, Some(()));
        for _ in 0..3 {
            assert_eq!(budget.spend(pending::<()>()).await, None);
        }
        assert_eq!(began.elapsed(), CONSUL_BUDGET);
    }
}
