//! Three processes of a service under steady calls: one is killed, one is stopped, one is added.

mod load;
mod restart;
mod schema;

use std::time::Duration;

use anyhow::ensure;
use selvedge_harness::{Embedded, LIMIT, eventually};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::load::{Load, Tally};
use crate::{
    gateway::Gateway,
    instance::{Instance, users},
};

/// How long the calls go on, whatever happens meanwhile.
const STEADY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_instances_come_and_go() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let data = TempDir::new()?;
    let database = format!("sqlite://{}/users.db", data.path().display());
    let start = async || Instance::ready(users(&registry.url(), &database)?).await;
    let mut killed = start().await?;
    let mut stopped = start().await?;
    let kept = start().await?;
    let gateway = Gateway::start(&registry.url(), &[], "/v1/users").await?;

    let began = Instant::now();
    let stop = CancellationToken::new();
    let load = Load::start(&registry.url(), &gateway.url, &stop).await?;
    load.reaches(500).await?;

    killed.program.kill().await?;
    load.is_peaceful();
    load.goes_on(500).await?;

    stopped.program.terminate()?;
    let ended = stopped.program.wait(LIMIT).await?;
    ensure!(ended.success(), "SIGTERM: {ended}\n{}", crate::stack::output(&stopped.program));
    load.goes_on(500).await?;

    let added = start().await?;
    let fair = Duration::from_secs(5);
    eventually(fair, async || has_half_of_a_fair_share(&added, &kept).await).await?;

    load.goes_on_until(began + STEADY).await;
    stop.cancel();
    let Tally { idempotent, created, failures, rate } = load.end().await?;
    println!("rolling: {idempotent} idempotent calls, {created} creations, {rate} a second, {} failed", failures.len());
    ensure!(rate >= 200, "only {rate} calls a second");
    ensure!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    Ok(())
}

/// Compares what both are asked of the next hundred calls.
async fn has_half_of_a_fair_share(added: &Instance, kept: &Instance) -> anyhow::Result<()> {
    let (added_before, kept_before) = (added.asked().await?, kept.asked().await?);
    let next = eventually(LIMIT, async || {
        let (added, kept) = (added.asked().await? - added_before, kept.asked().await? - kept_before);
        ensure!(added + kept >= 100, "{} calls", added + kept);
        Ok((added, kept))
    });
    let (added, kept) = next.await?;
    let fair = (added + kept) / 2;
    ensure!(added * 2 >= fair, "{added} of {} calls", added + kept);
    Ok(())
}
