//! Who we are to Consul, while that changes: a token by login that is deleted, TLS files that are replaced.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use selvedge::Config;
use selvedge_harness::{Consul, LIMIT, Program, Release, eventually, free_ports};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    consul::{TOKEN, agent, certificates, mesh, until},
    instance::Instance,
};

/// What stands before the point of a P-256 public key in its DER (RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// How long a token by login lives: Consul grants no shorter time.
const LIFE: Duration = Duration::from_secs(60);

/// A public key as PEM, and a JWT of the service `orders` that it verifies.
fn proof() -> Result<(String, String)> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let der = [&P256[..], key.public_key().as_ref()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der));
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({"iss": "test", "sub": "orders", "nbf": now - 60, "exp": now + 3_600});
    let signed = format!("{}.{}", part(json!({"alg": "ES256", "typ": "JWT"})), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
    Ok((pem, format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

/// Asks as the one who may do everything.
async fn asked(consul: &Consul, method: reqwest::Method, path: &str, body: Value) -> Result<Value> {
    let request = reqwest::Client::new().request(method, format!("{}{path}", consul.url()));
    let answer = request.header("X-Consul-Token", TOKEN).json(&body).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status == 200, "{path}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// The accessors of the tokens that logins brought.
async fn tokens(consul: &Consul) -> Result<Vec<String>> {
    let found = asked(consul, reqwest::Method::GET, "/v1/acl/tokens?authmethod=jwt", Value::Null).await?;
    let all = found.as_array().context("a list of tokens")?;
    Ok(all.iter().filter_map(|one| one["AccessorID"].as_str().map(str::to_owned)).collect())
}

/// Waits until one other token than before is all there is; the one before was given up.
async fn another(consul: &Consul, before: &[String], limit: Duration) -> Result<Vec<String>> {
    eventually(limit, async || {
        let now = tokens(consul).await?;
        ensure!(now.len() == 1 && now != before, "not logged in anew: {now:?}");
        Ok(now)
    })
    .await
}

#[tokio::test]
async fn a_token_by_login_is_had_anew_when_it_is_deleted_or_old_and_given_up_after_the_drain() -> Result<()> {
    let Some(consul) = Consul::start_closed(TOKEN).await? else { return Ok(()) };
    let (pem, jwt) = proof()?;
    let folder = TempDir::new()?;
    fs::write(folder.path().join("jwt"), jwt)?;
    let config = json!({"JWTValidationPubKeys": [pem], "JWTSupportedAlgs": ["ES256"], "BoundIssuer": "test", "ClaimMappings": {"sub": "service"}});
    let method = json!({"Name": "jwt", "Type": "jwt", "MaxTokenTTL": "1m", "Config": config});
    asked(&consul, reqwest::Method::PUT, "/v1/acl/auth-method", method).await?;
    let rule = json!({"AuthMethod": "jwt", "BindType": "service", "BindName": "${value.service}"});
    asked(&consul, reqwest::Method::PUT, "/v1/acl/binding-rule", rule).await?;

    let (stop, url) = (CancellationToken::new(), consul.url());
    let orders = mesh("orders", |config| {
        config.registry.address.clone_from(&url);
        config.registry.login.method = "jwt".into();
        config.registry.login.bearer_token_file = Some(folder.path().join("jwt"));
    })?;
    let mut followed = orders.instances("orders");
    let serving = tokio::spawn(orders.serve(Routes::default()).until(stop.clone().cancelled_owned()).into_future());
    until(&mut followed, |list| list.len() == 1).await?;

    let first = tokens(&consul).await?;
    ensure!(first.len() == 1, "one login for all: {first:?}");
    asked(&consul, reqwest::Method::DELETE, &format!("/v1/acl/token/{}", first[0]), Value::Null).await?;
    let second = another(&consul, &first, LIMIT).await?;
    // It takes two thirds of the shortest life that Consul grants: too long for each run.
    if Release::asked().contains(&Release::Older) {
        another(&consul, &second, LIFE).await?;
        until(&mut followed, |list| list.len() == 1).await?;
    }

    stop.cancel();
    timeout(LIMIT, serving).await???;
    // What follows the instances may log in once more.
    drop((orders, followed));
    let left = tokens(&consul).await?;
    ensure!(left.is_empty(), "not logged out: {left:?}");
    Ok(())
}

/// Makes a token, and returns its secret.
async fn token(consul: &Consul, rights: Value) -> Result<String> {
    let made = asked(consul, reqwest::Method::PUT, "/v1/acl/token", rights).await?;
    Ok(made["SecretID"].as_str().context("a token has a secret")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_lacks_is_named_whether_it_is_refused_or_sees_less() -> Result<()> {
    let Some(consul) = Consul::start_closed(TOKEN).await? else { return Ok(()) };
    let data = TempDir::new()?;
    let database = format!("sqlite://{}/users.db", data.path().display());
    let users = |token: &str| {
        let args = ["--registry", &consul.url(), "--database", &database];
        Program::spawn("selvedge-users", &args, &[("CONSUL_HTTP_TOKEN", token)])
    };
    let of_another = token(&consul, json!({"ServiceIdentities": [{"ServiceName": "orders"}]})).await?;
    let refused = users(&of_another)?;
    let line = refused.wait_for_line(|line| line.contains("not registered"), LIMIT).await?;
    ensure!(line.contains("service:write") && line.contains("users") && !line.contains(&of_another), "{line}");

    let _registered = Instance::ready(users(TOKEN)?).await?;
    let policy = json!({"Name": "services", "Rules": "service_prefix \"\" { policy = \"read\" }"});
    asked(&consul, reqwest::Method::PUT, "/v1/acl/policy", policy).await?;
    let without_nodes = token(&consul, json!({"Policies": [{"Name": "services"}]})).await?;
    let args = ["--registry", &consul.url(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let gateway = Program::spawn("selvedge-gateway", &args, &[("CONSUL_HTTP_TOKEN", &without_nodes)])?;
    let line = gateway.wait_for_line(|line| line.contains("sees a part"), LIMIT).await?;
    ensure!(line.contains("node:read") && !line.contains(&without_nodes), "{line}");
    Ok(())
}

#[tokio::test]
async fn tls_files_that_are_replaced_are_used_without_a_restart() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    let (before, after, live) = (TempDir::new()?, TempDir::new()?, TempDir::new()?);
    for folder in [&before, &after] {
        certificates(consul.path(), folder.path())?;
    }
    let ports @ [https, ..] = free_ports::<3>()?;
    put(before.path(), live.path())?;
    let mut running = agent(consul.path(), before.path(), ports)?;
    let settings = |config: &mut Config| {
        let file = |name: &str| Some(live.path().join(name));
        config.registry.address = format!("https://127.0.0.1:{https}");
        config.registry.ca_cert = file("ca.pem");
        config.registry.client_cert = file("client.pem");
        config.registry.client_key = file("client-key.pem");
    };
    let stop = CancellationToken::new();
    let (orders, caller) = (mesh("orders", settings)?, mesh("caller", settings)?);
    let serving = tokio::spawn(orders.serve(Routes::default()).until(stop.clone().cancelled_owned()).into_future());
    let mut followed = caller.instances("orders");
    until(&mut followed, |list| list.len() == 1).await?;

    running.kill().await?;
    put(after.path(), live.path())?;
    let _running = agent(consul.path(), after.path(), ports)?;
    // The new agent knows nothing: what is seen of it was registered, and read, with the new files.
    let mut others = caller.instances("consul");
    until(&mut others, |list| list.len() == 1).await.context("a watch that began with the new files")?;
    let healed = |list: &[selvedge::Instance]| list.len() == 1 && !list[0].last_resort;
    eventually(LIMIT, async || {
        let known = asked_over_tls(live.path(), https).await?;
        ensure!(known.contains("orders-127.0.0.1"), "not registered again: {known}");
        Ok(())
    })
    .await?;
    until(&mut followed, healed).await?;
    stop.cancel();
    timeout(LIMIT, serving).await???;
    Ok(())
}

/// Puts the files of an authority in the place of another's, one after the other.
fn put(from: &Path, to: &Path) -> Result<()> {
    for (made, name) in [
        ("consul-agent-ca.pem", "ca.pem"),
        ("dc1-client-consul-0.pem", "client.pem"),
        ("dc1-client-consul-0-key.pem", "client-key.pem"),
    ] {
        fs::copy(from.join(made), to.join(name))?;
    }
    Ok(())
}

async fn asked_over_tls(files: &Path, port: u16) -> Result<String> {
    let ca = reqwest::Certificate::from_pem(&fs::read(files.join("ca.pem"))?)?;
    let identity = [fs::read(files.join("client.pem"))?, fs::read(files.join("client-key.pem"))?].concat();
    let client = reqwest::Client::builder().tls_certs_only([ca]).identity(reqwest::Identity::from_pem(&identity)?);
    let url = format!("https://127.0.0.1:{port}/v1/agent/services");
    Ok(client.build()?.get(url).send().await?.error_for_status()?.text().await?)
}
