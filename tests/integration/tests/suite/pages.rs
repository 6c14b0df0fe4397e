//! Clients that are generated of the live mesh: in a browser, on a page of another origin; and on Node.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, ensure};
use axum::{Router, extract::Path as Param, http::StatusCode, routing::get};
use selvedge_harness::{Buf, Chromium, LIMIT, Node, Program, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{greeter::Greeter, instance::address_after, stack::Stack};

/// What every client must be able to do: see `tests/browser/page/trials.ts`, and `node/node.ts`.
const TRIALS: [&str; 5] = ["unary", "server_stream", "error_details", "cancel", "large_message"];
/// Those that speak gRPC-Web; REST knows no metadata.
const GRPC_WEB: [&str; 3] = ["connect-web", "grpc-web", "nice-grpc-web"];

#[tokio::test(flavor = "multi_thread")]
async fn generated_clients_call_from_a_page_of_another_origin_and_from_node() -> anyhow::Result<()> {
    let (Some(python), Some(node)) = (Python::find(), Node::find()) else { return Ok(()) };
    let (Some(buf), Some(chromium)) = (Buf::find(), Chromium::find()) else { return Ok(()) };
    let (stack, http) = (Stack::embedded().await?, reqwest::Client::new());
    let greeter = Greeter::start(&python).await?;
    greeter.register(&http, &stack.registry).await?;
    is_told_whole(&stack, &http).await?;
    let owner = json!({"displayName": "Ada", "email": "ada@example.com"});
    let created = http.post(format!("{}/v1/users?user_id=ada-1815", stack.gateway)).json(&owner).send().await?;
    created.error_for_status()?;

    let folder = TempDir::new()?;
    node.project(folder.path())?;
    let buf = buf.path().to_str().context("a plain path")?;
    node.run(folder.path(), &["build.mjs", &stack.gateway], &[("BUF", buf)]).await?;

    let page = Page::serve(folder.path().join("dist")).await?;
    let gateway = Gateway::start(&stack, &page.origin).await?;
    let drive = async |page: &Page, owner: &str| {
        let url = format!("{}/index.html?gateway={}", page.origin, gateway.url);
        let chromium = chromium.path().to_str().context("a plain path")?;
        verdicts(&node.run(folder.path(), &["drive.mjs", chromium, &url, owner], &[]).await?)
    };
    all_succeed(&drive(&page, "users/ada-1815").await?, &expected_in_a_browser());
    eventually(LIMIT, async || no_stream_is_left(&stack).await).await?;

    // The same page is of another origin when it is served from another port.
    let stranger = Page::serve(folder.path().join("dist")).await?;
    let refused = drive(&stranger, "").await?;
    let done: Vec<_> = refused.iter().filter(|(_, problem)| problem.is_null()).collect();
    assert!(!refused.is_empty() && done.is_empty(), "a page of no allowed origin: {done:?}");

    let through = stack.gateway_address();
    let said = node.run(folder.path(), &["dist/node.cjs", through, through, through], &[]).await?;
    all_succeed(&verdicts(&said)?, &[&expected_on_node()[..], &["grpc-js metadata".into()]].concat());
    let direct = node.run(folder.path(), &["dist/node.cjs", &stack.users[0], &stack.catalog[0]], &[]).await?;
    all_succeed(&verdicts(&direct)?, &expected_on_node());
    Ok(())
}

/// Waits until generators are told of all three services.
async fn is_told_whole(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<()> {
    eventually(LIMIT, async || {
        let document: Value = http.get(format!("{}/openapi.json", stack.gateway)).send().await?.json().await?;
        let routes = ["/v1/users", "/v1/products", "/v1/greetings:greet"];
        ensure!(routes.iter().all(|route| document["paths"].get(route).is_some()), "{}", document["paths"]);
        let set = http.get(format!("{}/descriptor.binpb", stack.gateway)).send().await?.error_for_status()?;
        ensure!(!set.headers().contains_key("x-left-out"), "{:?}", set.headers());
        Ok(())
    })
    .await
}

fn expected_in_a_browser() -> Vec<String> {
    let clients = GRPC_WEB.iter().chain(&["openapi-fetch"]);
    let of_all =
        clients.flat_map(|client| ["page"].into_iter().chain(TRIALS).map(move |trial| format!("{client} {trial}")));
    of_all.chain(GRPC_WEB.iter().map(|client| format!("{client} metadata"))).collect()
}

fn expected_on_node() -> Vec<String> {
    TRIALS.iter().chain(&["deadline"]).map(|trial| format!("grpc-js {trial}")).collect()
}

/// Reads what became of each trial, a JSON object a line: none under `problem` if it went well.
fn verdicts(said: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let read = |line: &str| {
        let verdict: Value = serde_json::from_str(line).with_context(|| format!("no verdict: {line}"))?;
        let word = |name: &str| verdict[name].as_str().unwrap_or_default().to_owned();
        Ok((format!("{} {}", word("client"), word("trial")), verdict["problem"].clone()))
    };
    said.lines().map(read).collect()
}

fn all_succeed(verdicts: &BTreeMap<String, Value>, expected: &[String]) {
    let missing: Vec<_> = expected.iter().filter(|name| !verdicts.contains_key(*name)).collect();
    let failed: Vec<_> = verdicts.iter().filter(|(_, problem)| !problem.is_null()).collect();
    assert!(missing.is_empty() && failed.is_empty(), "not tried: {missing:?}; failed: {failed:#?}");
}

/// Compares the streams that began with those that ended: one that a page gave up must not run on at a service.
async fn no_stream_is_left(stack: &Stack) -> anyhow::Result<()> {
    let text = reqwest::get(format!("{}/metrics", stack.admin)).await?.text().await?;
    let sum = |metric: &str| {
        let lines =
            text.lines().filter(|line| line.starts_with(metric) && line.contains("CatalogService/WatchProducts\""));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let (began, ended) = (sum("grpc_server_call_started_total{"), sum("grpc_server_call_duration_seconds_count{"));
    ensure!(began > 0.0 && began <= ended, "{began} streams began, {ended} ended");
    Ok(())
}

/// The built page on a web server that is not the gateway. It ends when dropped.
struct Page {
    origin: String,
    _server: AbortOnDropHandle<()>,
}

impl Page {
    async fn serve(folder: PathBuf) -> anyhow::Result<Self> {
        let file = async move |Param(name): Param<String>| {
            let kind = if name.ends_with(".html") { "text/html" } else { "text/javascript" };
            let found = std::fs::read(folder.join(name));
            found.map(|bytes| ([("content-type", kind)], bytes)).map_err(|_| StatusCode::NOT_FOUND)
        };
        let router = Router::new().route("/{name}", get(file));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { origin, _server: AbortOnDropHandle::new(server) })
    }
}

/// A gateway that lets pages of one origin in.
struct Gateway {
    _program: Program,
    url: String,
}

impl Gateway {
    async fn start(stack: &Stack, origin: &str) -> anyhow::Result<Self> {
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let args = [&["--registry", &stack.registry, "--cors-origin", origin, "--expose", "all"], &listen[..]].concat();
        let program = Program::spawn("selvedge-gateway", &args, &[])?;
        let url = format!("http://{}", address_after(&program, "gateway listens").await?);
        eventually(LIMIT, async || Ok(reqwest::get(format!("{url}/readyz")).await?.error_for_status().map(drop)?))
            .await?;
        Ok(Self { _program: program, url })
    }
}
