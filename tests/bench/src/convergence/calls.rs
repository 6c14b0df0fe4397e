//! Calls at a steady pace, by a mesh, for as long as the benchmark runs.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use selvedge::{Config, Mesh};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::echo::{
    DESCRIPTORS,
    pb::{EchoRequest, echo_service_client::EchoServiceClient},
};

/// The time between two calls: what the figures are exact to.
const PACE: Duration = Duration::from_millis(1);

/// A caller; ended when dropped.
#[derive(Debug)]
pub(crate) struct Calls {
    failures: Arc<Failures>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Calls {
    /// Starts to call, after one call was answered.
    pub(crate) async fn start(registry: &str, service: &str) -> anyhow::Result<Self> {
        let mesh = mesh(registry)?;
        let client = EchoServiceClient::new(mesh.channel(service));
        let request = || EchoRequest { payload: Bytes::from_static(&[7; 100]) };
        client.clone().echo(request()).await.context("the first call failed")?;
        let failures = Arc::new(Failures::default());
        let noted = Arc::clone(&failures);
        let calling = move || {
            let (mut client, noted) = (client.clone(), Arc::clone(&noted));
            async move {
                let failed = client.echo(request()).await.is_err();
                failed.then(|| noted.add());
            }
        };
        let task = tokio::spawn(async move {
            let mut ticks = interval(PACE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                tokio::spawn(calling());
            }
        });
        Ok(Self { failures, task })
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.count.load(Ordering::Relaxed)
    }

    pub(crate) fn last_failure(&self) -> Option<Instant> {
        *self.failures.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Failures {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Returns a mesh that calls and serves nothing.
pub(crate) fn mesh(registry: &str) -> anyhow::Result<Mesh> {
    let mut config = Config::new("bench");
    config.registry.address = registry.into();
    Ok(Mesh::builder(config).upstream_descriptors(DESCRIPTORS).build()?)
}
