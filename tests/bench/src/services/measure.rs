//! Calls services, or asks their engine, for a while, and notes how long each took.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::{
    figures::Figures,
    services::{calls::Calls, floor::Floor, workload::Workload},
};

/// How long one arm runs in one round.
const SPAN: Duration = Duration::from_secs(2);
/// Calls before each measurement that are not counted.
const WARM_UP: u64 = 200;
/// Calls at once where calls per second are measured; latency is that of one call at a time, as the floor's is.
pub(super) const AT_ONCE: usize = 16;

/// What one arm did in one round.
pub(super) struct Measured {
    latency: Histogram<u64>,
    took: Duration,
}

/// Makes the calls that are not counted.
pub(super) async fn warm(calls: &Calls, workload: Workload, numbers: &AtomicU64) -> anyhow::Result<()> {
    for _ in 0..WARM_UP {
        calls.call(workload, numbers.fetch_add(1, Ordering::Relaxed)).await?;
    }
    Ok(())
}

/// Calls for a while, so many at once.
pub(super) async fn called(
    calls: &Calls,
    workload: Workload,
    at_once: usize,
    numbers: &Arc<AtomicU64>,
) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let workers = (0..at_once).map(|_| {
        let (calls, numbers) = (calls.clone(), Arc::clone(numbers));
        tokio::spawn(async move {
            let mut latency = Histogram::<u64>::new(3)?;
            while began.elapsed() < SPAN {
                let start = Instant::now();
                calls.call(workload, numbers.fetch_add(1, Ordering::Relaxed)).await?;
                latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
            }
            anyhow::Ok(latency)
        })
    });
    let mut latency = Histogram::new(3)?;
    for worker in try_join_all(workers).await? {
        latency.add(worker?)?;
    }
    Ok(Measured { latency, took: began.elapsed() })
}

/// Calls for a while, one call at a time, who only sends the statements.
pub(super) async fn called_behind(calls: &Calls, workload: Workload, numbers: &AtomicU64) -> anyhow::Result<Measured> {
    for _ in 0..WARM_UP {
        calls.behind(workload, numbers.fetch_add(1, Ordering::Relaxed)).await?;
    }
    let began = Instant::now();
    let mut latency = Histogram::<u64>::new(3)?;
    while began.elapsed() < SPAN {
        let start = Instant::now();
        calls.behind(workload, numbers.fetch_add(1, Ordering::Relaxed)).await?;
        latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
    }
    Ok(Measured { latency, took: began.elapsed() })
}

/// Asks the engine for a while, over one connection.
pub(super) async fn asked(
    floor: &mut Floor,
    workload: Workload,
    rows: u64,
    numbers: &AtomicU64,
) -> anyhow::Result<Measured> {
    for _ in 0..WARM_UP {
        floor.ask(workload, rows, numbers.fetch_add(1, Ordering::Relaxed)).await?;
    }
    let began = Instant::now();
    let mut latency = Histogram::<u64>::new(3)?;
    while began.elapsed() < SPAN {
        let start = Instant::now();
        floor.ask(workload, rows, numbers.fetch_add(1, Ordering::Relaxed)).await?;
        latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
    }
    Ok(Measured { latency, took: began.elapsed() })
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn note(figures: &mut Figures, arm: &str, measured: &Measured, metrics: &[&'static str]) {
    let Measured { latency, took } = measured;
    for metric in metrics {
        let (value, unit) = match *metric {
            "p50" => (latency.value_at_quantile(0.5) as f64 / 1_000.0, "us"),
            "p99" => (latency.value_at_quantile(0.99) as f64 / 1_000.0, "us"),
            _ => (latency.len() as f64 / took.as_secs_f64(), "1/s"),
        };
        figures.add(format!("{arm}.{metric}"), value, unit);
    }
}
