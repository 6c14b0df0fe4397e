//! A service of very many instances, seen by a mesh in a process of its own: what one change costs it.

use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    convergence::{
        engine::Engine,
        observer::{CROWD, Observer},
        plan::{LIMIT, Plan},
        samples::{Samples, number},
        target::Target,
        wire::Wire,
    },
    cpu,
    figures::Figures,
};

/// How many are registered at once before anything is measured.
const AT_ONCE: usize = 16;
/// How long the mesh is left alone to see what it costs while nothing happens.
const IDLE: Duration = Duration::from_secs(10);

pub(crate) async fn run(engine: &Engine, plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let targets: Vec<Target> = stream::iter(0..plan.crowd).then(|_| Target::start()).try_collect().await?;
    let registered = targets.iter().enumerate().map(|(n, target)| async move {
        engine.register(CROWD, &format!("member-{n}"), target.address).await.map(drop)
    });
    stream::iter(registered).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let wire = Wire::start(engine.url()).await?;
    let mut observer = Observer::start(&wire.url, None).await?;
    observer.until(plan.crowd).await?;
    // All are connected to before anything is measured.
    for target in &targets {
        timeout(LIMIT, target.connected()).await.context("an instance was never connected to")?;
    }
    measure(engine, plan, (&wire, &mut observer), figures).await
}

async fn measure(
    engine: &Engine,
    plan: Plan,
    (wire, observer): (&Wire, &mut Observer),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let idle = idle(observer.process).await?;
    let (mut register, mut maintenance) = (Samples::default(), Samples::default());
    let target = Target::start().await?;
    let (began, cpu_before, bytes_before) = (Instant::now(), cpu::used(observer.process)?, wire.received());
    for n in 0..plan.changes {
        let id = format!("new-{n}");
        plan.rest().await;
        target.forget();
        let at = engine.register(CROWD, &id, target.address).await?;
        let connected = timeout(LIMIT, target.connected()).await?;
        register.add(at, Some(connected));
        observer.until(plan.crowd + 1).await?;
        plan.rest().await;
        let at = engine.maintain(&id).await?;
        let gone = observer.until(plan.crowd).await?;
        maintenance.add(at, Some(gone));
        engine.deregister(&id).await?;
    }
    register.note(figures, "register_crowd", engine.name());
    maintenance.note(figures, "maintenance_crowd", engine.name());
    // Each round is three changes of the service: register, maintenance, deregister.
    let changes = u32::try_from(plan.changes * 3)?;
    let spent = (cpu::used(observer.process)? - cpu_before).saturating_sub(idle.mul_f64(began.elapsed().as_secs_f64()));
    let cpu = spent.as_secs_f64() * 1e3 / f64::from(changes);
    let kib = number(wire.received() - bytes_before) / 1024.0 / f64::from(changes);
    println!("{:<18} {:<9} {kib:.0} KiB received and {cpu:.2} ms of CPU per change", "crowd", engine.name());
    figures.add(format!("crowd.{}.received", engine.name()), kib, "KiB");
    figures.add(format!("crowd.{}.cpu", engine.name()), cpu, "ms");
    Ok(())
}

/// Returns the share of a core that a process uses while nothing happens.
async fn idle(process: u32) -> anyhow::Result<Duration> {
    let before = cpu::used(process)?;
    sleep(IDLE).await;
    Ok((cpu::used(process)? - before).div_f64(IDLE.as_secs_f64()))
}
