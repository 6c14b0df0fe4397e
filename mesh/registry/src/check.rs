//! Runs the probes: one task for each check that asks somebody, ended when its definition changes or goes.

mod http;
mod probe;
mod tally;

use std::{collections::HashMap, time::Duration};

use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tracing::debug;

use crate::{
    check::{probe::ask, tally::Tally},
    definition::Probe,
    store::Shared,
};

/// The probes that run, by the id of their check.
#[derive(Debug, Default)]
struct Running {
    by_check: HashMap<String, (Probe, AbortHandle)>,
    tasks: JoinSet<()>,
}

/// Keeps one probe running for each check that has one, until it is dropped.
pub(crate) async fn run(store: Shared) {
    let mut changes = store.changes();
    let mut running = Running::default();
    loop {
        running.follow(&store);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = running.tasks.join_next() => {}
        }
    }
}

impl Running {
    fn follow(&mut self, store: &Shared) {
        let mut wanted: HashMap<String, Probe> = store.read(|state| {
            let checks = state.checks.values();
            checks.filter_map(|check| Some((check.local.id.clone(), check.definition.probe.clone()?))).collect()
        });
        self.by_check.retain(|id, (probe, task)| {
            let same = wanted.get(id) == Some(probe);
            if !same {
                task.abort();
            }
            same
        });
        wanted.retain(|id, _| !self.by_check.contains_key(id));
        for (id, probe) in wanted {
            let task = self.tasks.spawn(watch(store.clone(), id.clone(), probe.clone()));
            self.by_check.insert(id, (probe, task));
        }
    }
}

/// Asks again and again, the first time at some point of the first interval, so that many do not ask together.
async fn watch(store: Shared, id: String, probe: Probe) {
    let mut tally = Tally::new(&probe);
    sleep(stagger(probe.interval)).await;
    loop {
        let (status, output) = ask(&probe).await;
        if let Some(status) = tally.count(status) {
            store.write_if(|state| state.report(&id, status, &output, Instant::now()));
        } else {
            debug!(check = %id, ?status, "not yet counted");
        }
        sleep(probe.interval).await;
    }
}

fn stagger(interval: Duration) -> Duration {
    interval.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests;
