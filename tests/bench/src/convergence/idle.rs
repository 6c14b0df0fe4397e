//! Very many services in view of a mesh, of which none changes and none is called: what it costs to keep up.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use crate::{
    convergence::{
        engine::Engine,
        observer::{Observer, service},
        plan::Plan,
    },
    cpu,
    figures::Figures,
};

/// Instances of each service, each on a node of its own.
const INSTANCES: usize = 10;

/// How many are entered at once.
const AT_ONCE: usize = 16;

/// How long the observer is left alone before it is measured: all services were asked again by then.
const SETTLED: Duration = Duration::from_secs(11);

/// How long it is measured.
const MEASURED: Duration = Duration::from_secs(60);

pub(crate) async fn run(engine: &Engine, plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    for node in 0..INSTANCES {
        engine.enter_node(node).await?;
    }
    let all = (0..plan.services).flat_map(|number| (0..INSTANCES).map(move |node| (service(number), node)));
    let entered = all.map(|(name, node)| async move { engine.enter(node, &name).await });
    stream::iter(entered).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let mut observer = Observer::start(engine.url(), Some(plan.services)).await?;
    observer.until(plan.services).await?;
    sleep(SETTLED).await;
    let before = cpu::used(observer.process)?;
    sleep(MEASURED).await;
    let share = (cpu::used(observer.process)? - before).as_secs_f64() / MEASURED.as_secs_f64() * 100.0;
    let (memory, name) = (observer.memory()?, engine.name());
    println!("{:<18} {name:<9} {share:.2} % of a core and {memory:.0} MiB with {} services", "idle", plan.services);
    figures.add(format!("idle.{name}.cpu"), share, "%");
    figures.add(format!("idle.{name}.memory"), memory, "MiB");
    drop(observer);
    for node in 0..INSTANCES {
        engine.remove_node(node).await?;
    }
    Ok(())
}
