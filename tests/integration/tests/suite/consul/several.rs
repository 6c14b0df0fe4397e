//! Several agents, of which the one that is asked freezes: it still takes connections, and answers nothing.

use anyhow::{Context as _, Result, ensure};
use selvedge::{Config, Instance};
use selvedge_harness::{Consul, LIMIT, eventually};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::consul::{mesh, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_next_agent_is_asked_when_one_freezes() -> Result<()> {
    let (Some(first), Some(second)) = tokio::try_join!(Consul::start(), Consul::start())? else { return Ok(()) };
    let both = |config: &mut Config| config.registry.address = format!("{},{}", first.url(), second.url());
    let (orders, caller) = (mesh("orders", both)?, mesh("caller", both)?);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(orders.serve(Routes::default()).until(stop.clone().cancelled_owned()).into_future());
    let mut followed = caller.instances("orders");
    let before = until(&mut followed, |list| list.len() == 1).await?;

    first.program().freeze()?;
    // Of this one the caller knows only when it asks the second agent; it registers nothing itself.
    let other = format!("{}/v1/agent/service/register", second.url());
    let body = serde_json::json!({"ID": "elsewhere", "Name": "orders", "Address": "127.0.0.1", "Port": 9});
    reqwest::Client::new().put(other).json(&body).send().await?.error_for_status()?;
    let has = |list: &[Instance], id: &str| list.iter().any(|one| one.id == id && !one.last_resort);
    let seen = until(&mut followed, |list| {
        assert!(!list.is_empty(), "no cluster is emptied");
        has(list, "elsewhere") && has(list, &before[0].id)
    });
    seen.await.context("the caller asks the second agent, at which the instance registers too")?;
    eventually(LIMIT, async || {
        let known = reqwest::get(format!("{}/v1/agent/services", second.url())).await?.text().await?;
        ensure!(known.contains(&before[0].id), "not registered with the second agent");
        Ok(())
    })
    .await?;

    stop.cancel();
    timeout(LIMIT, serving).await???;
    first.program().thaw()
}
