//! What an operator says of a service with `consul kv put`, and what becomes of it.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};
use selvedge_harness::{Consul, Embedded, LIMIT, eventually};
use selvedge_proto::users::v1::{GetUserRequest, user_service_client::UserServiceClient};
use serde_json::{Value, json};

use crate::consul::mesh;

const KEY: &str = "selvedge/policy/users";

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_policy_is_in_force_and_a_bad_one_changes_nothing_on_consul() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    policy(consul.path(), &consul.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_policy_is_in_force_and_a_bad_one_changes_nothing_on_the_embedded_registry() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    let embedded = Embedded::start().await?;
    policy(consul.path(), &embedded.url()).await
}

async fn policy(consul: &Path, registry: &str) -> Result<()> {
    let kv = |args: &[&str]| -> Result<()> {
        let done = Command::new(consul).arg("kv").args(args).env("CONSUL_HTTP_ADDR", registry).output()?;
        ensure!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    };
    let caller = mesh("caller", |config| config.registry.address = registry.into())?;
    let channel = caller.channel("users");
    // Policies are followed from the first call on. Nobody serves this one.
    let called = UserServiceClient::new(channel.clone()).get_user(GetUserRequest { name: "users/a".into() }).await;
    ensure!(called.is_err(), "nobody is there");
    let explained = || -> Result<Value> { Ok(json!(channel.explain(None).map_err(anyhow::Error::msg)?)) };
    let is = async |percent: u64, origin: &str, refused: &Value| {
        eventually(LIMIT, async || {
            let told = explained()?;
            let rows = told["cluster"].as_array().into_iter().flatten();
            let row = rows.into_iter().find(|row| row["name"] == "panic_percent").cloned().unwrap_or_default();
            ensure!(row["value"] == percent && row["origin"] == origin, "{row}");
            ensure!(&told["document"]["refused"]["path"] == refused, "{}", told["document"]);
            Ok(())
        })
        .await
    };

    is(50, "default", &Value::Null).await?;
    kv(&["put", KEY, "cluster: {panic_percent: 7}"])?;
    is(7, "kv", &Value::Null).await?;
    kv(&["put", KEY, "methods: {GetUser: {max_attempts: 99}}"])?;
    is(7, "kv", &json!("methods.GetUser.max_attempts")).await?;
    let measured = caller.telemetry().prometheus_text()?;
    let refusals =
        |line: &&str| line.starts_with("selvedge_policy_refused") && line.contains("users") && line.ends_with(" 1");
    ensure!(measured.lines().any(|line| refusals(&line)), "one refusal is counted: {measured}");
    kv(&["put", KEY, r#"{"cluster": {"panic_percent": 8}}"#])?;
    is(8, "kv", &Value::Null).await?;
    kv(&["delete", KEY])?;
    is(50, "default", &Value::Null).await
}
