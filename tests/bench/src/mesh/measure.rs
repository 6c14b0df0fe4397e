//! Calls for a while, and notes how long each took and what all cost.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::{cpu, figures::Figures, mesh::arms::CallWith};

/// What is noted of each workload and arm; CPU is per call.
pub(crate) const METRICS: [&str; 5] = ["p50", "p99", "rps", "cpu", "client_cpu"];

/// So many calls at once, of so many bytes, for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) at_once: usize,
    pub(crate) size: usize,
    pub(crate) span: Duration,
}

/// What one arm did in one round.
#[derive(Debug)]
pub(crate) struct Measured {
    latency: Histogram<u64>,
    took: Duration,
    client_cpu: Duration,
    others_cpu: Duration,
}

/// Calls for a while; every worker has its own histogram. `others` are the processes that take part beside this one.
pub(crate) async fn measure(others: &[u32], load: &Load, call: &CallWith) -> anyhow::Result<Measured> {
    let Load { at_once, size, span } = *load;
    let payload = Bytes::from(vec![7; size]);
    try_join_all((0..at_once * 10).map(|_| call(payload.clone()))).await?;
    let own = std::process::id();
    let (client_before, others_before) = (cpu::used(own)?, used(others)?);
    let began = Instant::now();
    let workers = (0..at_once).map(|_| {
        let (call, payload) = (Arc::clone(call), payload.clone());
        tokio::spawn(async move {
            let mut latency = Histogram::<u64>::new(3)?;
            while began.elapsed() < span {
                let start = Instant::now();
                call(payload.clone()).await?;
                latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
            }
            anyhow::Ok(latency)
        })
    });
    let mut all = Histogram::<u64>::new(3)?;
    for worker in try_join_all(workers).await? {
        all.add(worker?)?;
    }
    let took = began.elapsed();
    let (client_cpu, others_cpu) = (cpu::used(own)? - client_before, used(others)? - others_before);
    Ok(Measured { latency: all, took, client_cpu, others_cpu })
}

/// Returns the CPU time of all of them.
fn used(processes: &[u32]) -> anyhow::Result<Duration> {
    processes.iter().map(|process| cpu::used(*process)).sum()
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn note(&self, figures: &mut Figures, workload: &str, arm: &str) {
        let calls = self.latency.len() as f64;
        let micros = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1_000.0;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / calls;
        let values = [
            (micros(0.5), "us"),
            (micros(0.99), "us"),
            (calls / self.took.as_secs_f64(), "1/s"),
            (each(self.client_cpu + self.others_cpu), "us"),
            (each(self.client_cpu), "us"),
        ];
        for (metric, (value, unit)) in METRICS.into_iter().zip(values) {
            figures.add(format!("{workload}.{arm}.{metric}"), value, unit);
        }
    }
}
