//! Ten thousand calls while every process of a service is replaced by a new one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use selvedge::{Channel, Config, Mesh};
use selvedge_harness::{Embedded, LIMIT};
use selvedge_proto::users::v1::{self, GetUserRequest, user_service_client::UserServiceClient};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    instance::{Instance, users},
    late,
};

const CALLS: u64 = 10_000;
/// Calls at once.
const CALLERS: u64 = 16;
/// One call in so many is a creation, which may not be sent twice.
const CREATIONS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_calls_over_a_restart_of_every_instance_none_fails() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let data = TempDir::new()?;
    let database = format!("sqlite://{}/users.db", data.path().display());
    let start = async || Instance::ready(users(&registry.url(), &database)?).await;
    let mut instances = [start().await?, start().await?, start().await?];
    let mut config = Config::new("load");
    config.registry.address = registry.url();
    let mesh = Mesh::builder(config).upstream_descriptors(v1::FILE_DESCRIPTOR_SET).build()?;
    let channel = mesh.channel("users");
    UserServiceClient::new(channel.clone()).create_user(late::creation("ada-1815")).await?;

    let made = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call(channel.clone(), Arc::clone(&made)));
    }
    let due = CALLS / (instances.len() as u64 + 1);
    for (number, instance) in (1..).zip(&mut instances) {
        while made.load(Ordering::Relaxed) < number * due {
            ensure!(!callers.is_empty(), "no caller is left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut old = std::mem::replace(instance, start().await?);
        old.program.terminate()?;
        let ended = old.program.wait(LIMIT).await?;
        ensure!(ended.success(), "SIGTERM: {ended}\n{}", crate::stack::output(&old.program));
    }
    let replaced_at = made.load(Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    println!("restart: {CALLS} calls, of which {replaced_at} were made when the last instance was replaced");
    Ok(())
}

/// Makes calls until enough are made; the first failure ends it.
async fn call(channel: Channel, made: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        let number = made.fetch_add(1, Ordering::Relaxed);
        if number >= CALLS {
            return Ok(());
        }
        let mut client = UserServiceClient::new(channel.clone());
        let done = if number.is_multiple_of(CREATIONS) {
            client.create_user(late::creation(&format!("user-{number}"))).await.map(drop)
        } else {
            client.get_user(GetUserRequest { name: "users/ada-1815".into() }).await.map(drop)
        };
        done.with_context(|| format!("call {number}"))?;
    }
}
