//! The services at size, on both engines: a call through the mesh beside the same statements straight to the engine.

mod calls;
mod floor;
mod world;

use std::{
    fmt::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use selvedge_harness::Postgres;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) use self::world::{Serve, serve};
use self::{
    calls::{Calls, Workload},
    floor::Floor,
    world::World,
};
use crate::figures::Figures;

/// How long one arm runs in one round.
const SPAN: Duration = Duration::from_secs(2);
/// Calls before each measurement that are not counted.
const WARM_UP: u64 = 200;
/// Calls at once where calls per second are measured; latency is that of one call at a time, as the floor's is.
const AT_ONCE: usize = 16;

/// What is asked of the benchmark.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Rounds; in each, every workload and its floor run once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Products; there are a tenth as many users
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

/// Measures both engines, prints the medians, and writes them to `target/bench/services.json`.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let data = TempDir::new()?;
    let url = |name: &str| format!("sqlite://{}/{name}.db", data.path().display());
    engine("sqlite", [&url("users"), &url("catalog")], plan, &mut figures).await?;
    drop(data);
    let mut engines = vec!["sqlite"];
    if let Some(postgres) = Postgres::start().await? {
        engine("postgres", [&postgres.url(), &postgres.url()], plan, &mut figures).await?;
        engines.push("postgres");
    }
    println!("{}", table(&figures, &engines));
    figures.write(Path::new("target/bench/services.json"))
}

/// Measures one engine. The urls are those of the databases of users and of catalog.
async fn engine(name: &str, [users, catalog]: [&str; 2], plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let world = World::start([users, catalog], plan.rows).await?;
    let calls = Calls::new(&world.mesh, plan.rows).await?;
    let mut floors = [Floor::connect(users, "users").await?, Floor::connect(catalog, "catalog").await?];
    let numbers = Arc::new(AtomicU64::new(0));
    for round in 0..plan.rounds {
        eprintln!("{name}: round {} of {}", round + 1, plan.rounds);
        for workload in Workload::ALL {
            let of_service = format!("{}.{name}", workload.name());
            let alone = called(&calls, workload, 1, &numbers).await?;
            note(figures, &of_service, &alone, &["p50", "p99"]);
            let crowded = called(&calls, workload, AT_ONCE, &numbers).await?;
            note(figures, &of_service, &crowded, &["rps"]);
            let floor = &mut floors[usize::from(workload.is_of_catalog())];
            let floor = asked(floor, workload, plan.rows, &numbers).await?;
            note(figures, &format!("{}.{name}_floor", workload.name()), &floor, &["p50", "p99", "rps"]);
        }
    }
    Ok(())
}

/// What one arm did in one round.
struct Measured {
    latency: Histogram<u64>,
    took: Duration,
}

/// Calls for a while, so many at once.
async fn called(
    calls: &Calls,
    workload: Workload,
    at_once: usize,
    numbers: &Arc<AtomicU64>,
) -> anyhow::Result<Measured> {
    for _ in 0..WARM_UP {
        calls.call(workload, numbers.fetch_add(1, Ordering::Relaxed)).await?;
    }
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

/// Asks the engine for a while, over one connection.
async fn asked(floor: &mut Floor, workload: Workload, rows: u64, numbers: &AtomicU64) -> anyhow::Result<Measured> {
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
fn note(figures: &mut Figures, arm: &str, measured: &Measured, metrics: &[&'static str]) {
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

/// Medians: of one call at a time, and of calls per second with several.
fn table(figures: &Figures, engines: &[&str]) -> String {
    let mut text = format!("medians; p50 and p99 in us of one call at a time, calls/s of {AT_ONCE} at once\n");
    for workload in Workload::ALL {
        for engine in engines {
            let of = |arm: &str, metric: &str| {
                figures.median(&format!("{}.{engine}{arm}.{metric}", workload.name())).unwrap_or(f64::NAN)
            };
            let (p50, p99, rps) = (of("", "p50"), of("", "p99"), of("", "rps"));
            let (floor, floor_p99) = (of("_floor", "p50"), of("_floor", "p99"));
            let name = workload.name();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name:<14} {engine:<11} p50 {p50:>8.1} p99 {p99:>8.1} calls/s {rps:>8.0}   \
                 floor p50 {floor:>8.1} p99 {floor_p99:>8.1}   adds {:>8.1}",
                p50 - floor
            );
        }
    }
    text
}
