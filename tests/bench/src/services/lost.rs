//! What a Redis that is lost adds to reads by name: frozen, killed, and slow.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context as _;
use selvedge_harness::{Redis, Slow};
use tempfile::TempDir;

use crate::{
    figures::Figures,
    services::{
        calls::Calls,
        measure::{AT_ONCE, called, note},
        workload::Workload,
        world::World,
    },
};

/// Products; there are a tenth as many users.
const ROWS: u64 = 1_000;
/// How long each piece of bytes takes to a Redis that is slow.
const SLOW: Duration = Duration::from_millis(300);
/// The ways of being lost.
const WAYS: [&str; 3] = ["frozen", "killed", "slow"];

/// Measures reads while Redis is there and while it is lost, from the moment on when it is; nothing without a Redis.
pub(super) async fn run(rounds: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let Some(mut redis) = Redis::start().await? else { return Ok(()) };
    let numbers = Arc::new(AtomicU64::new(0));
    let near = Readers::start(&redis.url()).await?;
    let slow = Slow::to(redis.url().replace("redis://", ""), SLOW).await?;
    let far = Readers::start(&format!("redis://{}", slow.address)).await?;
    for round in 0..rounds {
        eprintln!("redis: round {} of {rounds}", round + 1);
        near.measure("there", &numbers, figures).await?;
        redis.program().freeze()?;
        near.measure("frozen", &numbers, figures).await?;
        redis.program().thaw()?;
        near.recover(&numbers).await?;
        redis.kill().await?;
        near.measure("killed", &numbers, figures).await?;
        redis.start_again().await?;
        near.recover(&numbers).await?;
        far.measure("slow", &numbers, figures).await?;
    }
    Ok(())
}

/// Returns the table: what each way adds to the p99 of a Redis that is there.
pub(super) fn table(figures: &Figures) -> String {
    let p99 = |way: &str| figures.median(&format!("get_user_redis_{way}.sqlite.p99"));
    let Some(there) = p99("there") else { return "redis: not installed, nothing measured\n".into() };
    let added = WAYS.iter().filter_map(|way| Some((way, p99(way)?)));
    let added = added.map(|(way, p99)| format!("{way} p99 {p99:>9.1} us, adds {:>7.2} ms", (p99 - there) / 1_000.0));
    let lines: Vec<_> = std::iter::once(format!("there p99 {there:.1} us")).chain(added).collect();
    format!("get_user with redis, 16 at once: {}\n", lines.join("; "))
}

/// Services with this Redis as their cache, and who reads.
struct Readers {
    calls: Calls,
    _world: World,
    _data: TempDir,
}

impl Readers {
    async fn start(cache: &str) -> anyhow::Result<Self> {
        let data = TempDir::new()?;
        let url = |name: &str| format!("sqlite://{}/{name}.db", data.path().display());
        let world = World::start([&url("users"), &url("catalog")], ROWS, cache).await?;
        let calls = Calls::new(&world.mesh, ROWS).await?;
        Ok(Self { calls, _world: world, _data: data })
    }

    /// From the first call on: those that find out are counted.
    async fn measure(&self, way: &str, numbers: &Arc<AtomicU64>, figures: &mut Figures) -> anyhow::Result<()> {
        let measured = called(&self.calls, Workload::GetUserWarm, AT_ONCE, numbers).await;
        let measured = measured.with_context(|| format!("a read failed while redis was {way}"))?;
        note(figures, &format!("get_user_redis_{way}.sqlite"), &measured, &["p50", "p99", "rps"]);
        Ok(())
    }

    /// Reads until Redis has been found again.
    async fn recover(&self, numbers: &Arc<AtomicU64>) -> anyhow::Result<()> {
        called(&self.calls, Workload::GetUserWarm, AT_ONCE, numbers).await.map(drop)
    }
}
