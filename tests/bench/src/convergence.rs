//! How soon a change in the registry is one of calls: embedded and Consul, a few instances and a thousand
//! (`cargo xtask bench convergence`).
//!
//! `register`: from the PUT to the first call that reaches the new instance. `maintenance`, `kill`: from the PUT, or the
//! SIGKILL, to the last call that goes to the old one. Of a thousand instances any one is called too rarely for that:
//! `register_crowd` lasts until the new one has a connection, `maintenance_crowd` until the old one is off the list.
//! `idle`: what a process costs that has a thousand services in view while nothing happens.

mod calls;
mod crowd;
pub(crate) mod engine;
mod idle;
pub(crate) mod observer;
mod plan;
mod samples;
mod target;
mod wire;

use std::{path::Path, time::Duration};

use tokio::time::{Instant, sleep, timeout};

pub(crate) use crate::convergence::plan::Plan;
use crate::{
    convergence::{
        calls::Calls,
        engine::{Engine, Kind},
        plan::LIMIT,
        samples::{Samples, number},
        target::Target,
    },
    figures::Figures,
    server::{Make, Server},
};

const SERVICE: &str = "converge";
/// Instances that stay.
const STEADY: usize = 3;
/// How long no call may go to an instance before it counts as left.
const QUIET: Duration = Duration::from_millis(600);

pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    for kind in [Kind::Embedded, Kind::Consul] {
        let Some(engine) = Engine::start(kind).await? else { continue };
        if plan.changes > 0 {
            few(&engine, plan, &mut figures).await?;
        }
        if plan.crowd > 0 {
            crowd::run(&engine, plan, &mut figures).await?;
        }
        if plan.services > 0 {
            idle::run(&engine, plan, &mut figures).await?;
        }
    }
    figures.write(Path::new("target/bench/convergence.json"))
}

async fn few(engine: &Engine, plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let mut steady = Vec::new();
    for n in 0..STEADY {
        let target = Target::start().await?;
        engine.register(SERVICE, &format!("steady-{n}"), target.address).await?;
        steady.push(target);
    }
    let calls = Calls::start(engine.url(), SERVICE).await?;
    come_and_go(engine, plan, figures).await?;
    killed(engine, plan, (&steady, &calls), figures).await?;
    for n in 0..STEADY {
        engine.deregister(&format!("steady-{n}")).await?;
    }
    figures.add(format!("calls.{}.failed", engine.name()), number(calls.failed()), "calls");
    Ok(())
}

/// An instance is registered, put into maintenance, removed, and so on.
async fn come_and_go(engine: &Engine, plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let (mut register, mut maintenance) = (Samples::default(), Samples::default());
    let target = Target::start().await?;
    for n in 0..plan.changes {
        let id = format!("new-{n}");
        plan.rest().await;
        target.forget();
        let began = engine.register(SERVICE, &id, target.address).await?;
        let first = timeout(LIMIT, target.first()).await?;
        register.add(began, Some(first));
        plan.rest().await;
        let began = engine.maintain(&id).await?;
        sleep(QUIET).await;
        maintenance.add(began, target.last());
        engine.deregister(&id).await?;
    }
    register.note(figures, "register", engine.name());
    maintenance.note(figures, "maintenance", engine.name());
    Ok(())
}

/// An instance that is called dies, and the registry does not know. A call goes to it for the last time when another
/// instance sees a further attempt of one, or when a call fails.
async fn killed(
    engine: &Engine,
    plan: Plan,
    (steady, calls): (&[Target], &Calls),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut kill = Samples::default();
    for n in 0..plan.changes {
        let id = format!("mortal-{n}");
        let server = Server::start(Make::Tonic, engine.url()).await?;
        engine.register(SERVICE, &id, server.address).await?;
        plan.rest().await;
        let began = Instant::now();
        drop(server);
        sleep(QUIET).await;
        let retried = steady.iter().filter_map(Target::last_retry);
        kill.add(began, retried.chain(calls.last_failure()).max());
        engine.deregister(&id).await?;
    }
    kill.note(figures, "kill", engine.name());
    Ok(())
}
