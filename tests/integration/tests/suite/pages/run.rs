//! Builds the page and the program on Node, runs both against a stack, and keeps what became of each trial.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use axum::{Router, extract::Path as Param, http::StatusCode, routing::get};
use selvedge_harness::{Buf, Chromium, LIMIT, Node, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::OnceCell};
use tokio_util::task::AbortOnDropHandle;

use crate::{gateway::Gateway, greeter::Greeter, stack::Stack};

/// Where a client ran, and what it called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// On a page in a browser, through the gateway.
    Page,
    /// On a page of an origin that the gateway does not let in.
    Stranger,
    /// On Node, through the gateway.
    Gateway,
    /// On Node, past the gateway.
    Instance,
}

/// What became of each trial, by place, client and trial: nothing is wrong, or this is.
type Verdicts = BTreeMap<(Place, String, String), Option<String>>;

/// What became of all.
#[derive(Debug)]
pub(super) struct Outcome {
    verdicts: Verdicts,
    /// What of a service says that a stream runs on which its client gave up.
    pub(super) streams_left: Option<String>,
}

impl Outcome {
    /// Tells what was wrong with a trial.
    pub(super) fn of(&self, place: Place, client: &str, trial: &str) -> Result<(), &str> {
        match self.verdicts.get(&(place, client.to_owned(), trial.to_owned())) {
            Some(None) => Ok(()),
            Some(Some(problem)) => Err(problem),
            None => Err("it was not tried"),
        }
    }

    /// Returns what succeeded on the page that must not get anything; nothing was tried is something too.
    pub(super) fn done_by_a_stranger(&self) -> Vec<String> {
        let mut tried = self.verdicts.iter().filter(|((place, ..), _)| *place == Place::Stranger).peekable();
        if tried.peek().is_none() {
            return vec!["nothing was tried".into()];
        }
        let done = tried.filter(|(_, problem)| problem.is_none());
        done.map(|((_, client, trial), _)| format!("{client}, {trial}")).collect()
    }

    /// Returns how many trials must succeed.
    pub(super) fn trials(&self) -> usize {
        self.verdicts.keys().filter(|(place, ..)| *place != Place::Stranger).count()
    }
}

/// Returns what became of the trials, which run once for all tests; nothing if a tool is missing.
pub(super) async fn outcome() -> anyhow::Result<Option<&'static Outcome>> {
    static OUTCOME: OnceCell<Result<Outcome, String>> = OnceCell::const_new();
    let (Some(python), Some(node)) = (Python::find(), Node::find()) else { return Ok(None) };
    let (Some(buf), Some(chromium)) = (Buf::find(), Chromium::find()) else { return Ok(None) };
    let run = async || run(&python, &node, &buf, &chromium).await.map_err(|error| format!("{error:#}"));
    OUTCOME.get_or_init(run).await.as_ref().map(Some).map_err(|why| anyhow!("the trials were not carried out: {why}"))
}

async fn run(python: &Python, node: &Node, buf: &Buf, chromium: &Chromium) -> anyhow::Result<Outcome> {
    let (stack, http) = (Stack::embedded().await?, reqwest::Client::new());
    let greeter = Greeter::start(python).await?;
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
    let options = ["--cors-origin", &page.origin, "--expose", "all"];
    let gateway = Gateway::start(&stack.registry, &options, "/readyz").await?;
    let drive = async |page: &Page, owner: &str| {
        let url = format!("{}/index.html?gateway={}", page.origin, gateway.url);
        let chromium = chromium.path().to_str().context("a plain path")?;
        node.run(folder.path(), &["drive.mjs", chromium, &url, owner], &[]).await
    };
    let mut verdicts = Verdicts::new();
    read(&mut verdicts, Place::Page, &drive(&page, "users/ada-1815").await?)?;
    let left = eventually(LIMIT, async || no_stream_is_left(&stack).await).await;

    // The same page is of another origin when it is served from another port.
    let stranger = Page::serve(folder.path().join("dist")).await?;
    read(&mut verdicts, Place::Stranger, &drive(&stranger, "").await?)?;

    let through = stack.gateway_address();
    let said = node.run(folder.path(), &["dist/node.cjs", through, through, through], &[]).await?;
    read(&mut verdicts, Place::Gateway, &said)?;
    let said = node.run(folder.path(), &["dist/node.cjs", &stack.users[0], &stack.catalog[0]], &[]).await?;
    read(&mut verdicts, Place::Instance, &said)?;
    Ok(Outcome { verdicts, streams_left: left.err().map(|error| format!("{error:#}")) })
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

/// Reads what became of each trial, a JSON object a line: none under `problem` if it went well.
fn read(verdicts: &mut Verdicts, place: Place, said: &str) -> anyhow::Result<()> {
    for line in said.lines() {
        let verdict: Value = serde_json::from_str(line).with_context(|| format!("no verdict: {line}"))?;
        let word = |name: &str| verdict[name].as_str().map(str::to_owned);
        let (client, trial) = word("client").zip(word("trial")).with_context(|| format!("no verdict: {line}"))?;
        verdicts.insert((place, client, trial), word("problem"));
    }
    Ok(())
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
