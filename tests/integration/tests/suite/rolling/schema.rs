//! A service gets a new schema, instance by instance, under steady calls by JSON and by gRPC-Web: old and new fields
//! work all the while, and a new method from when the gateway knows of it.

mod notes;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use selvedge_harness::{Embedded, LIMIT, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::notes::{Node, Note, Version};
use crate::{
    gateway::Gateway,
    grpc_web::{self, Encoding},
};

/// Callers of each kind.
const EACH: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_a_new_schema_is_rolled_out() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let start = async |version| Node::start(&registry.url(), version).await;
    let mut old = vec![start(Version::Old).await?, start(Version::Old).await?, start(Version::Old).await?];
    let gateway = Gateway::start(&registry.url(), &[], "/v1/notes/first").await?;
    let callers = Callers::start(&gateway.url);
    callers.go_on(200).await?;
    ensure!(callers.shared.by_json(true).await.is_err(), "a field that nobody has declared is taken");

    let mut new = vec![start(Version::New).await?];
    old.pop().context("there are three")?.leave().await?;
    // Instances of both versions run, and the gateway knows of the new one.
    eventually(LIMIT, async || callers.shared.by_json(true).await.map(drop)).await?;
    callers.shared.is_open.store(true, Ordering::Release);
    eventually(LIMIT, async || callers.shared.both_answer()).await?;
    callers.go_on(500).await?;

    for node in old {
        new.push(start(Version::New).await?);
        node.leave().await?;
        callers.go_on(200).await?;
    }
    for _ in 0..20 {
        let answered = callers.shared.by_json(true).await?;
        ensure!(answered == Version::New, "an instance that left answered");
    }
    let failures = callers.end().await?;
    ensure!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    for node in new {
        node.leave().await?;
    }
    Ok(())
}

/// Calls under way, until they are ended.
struct Callers {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

struct Shared {
    http: reqwest::Client,
    gateway: String,
    /// The gateway takes the new field as JSON: from here on it always must.
    is_open: AtomicBool,
    made: AtomicU64,
    /// How many calls with the new field were answered by instances of the old and of the new version.
    answered: [AtomicU64; 2],
    /// How many calls of the new method were answered.
    painted: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Callers {
    fn start(gateway: &str) -> Self {
        let shared = Arc::new(Shared {
            http: reqwest::Client::new(),
            gateway: gateway.into(),
            is_open: AtomicBool::new(false),
            made: AtomicU64::new(0),
            answered: Default::default(),
            painted: AtomicU64::new(0),
            failures: Mutex::default(),
        });
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for number in 0..EACH * 4 {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    shared.call(number % 2 == 0, number % 4 < 2).await;
                }
            });
        }
        for json in [true, false] {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tasks.spawn(async move {
                // Nobody can call it before: there is no such method.
                while !stop.is_cancelled() && !shared.is_open.load(Ordering::Acquire) {
                    tokio::task::yield_now().await;
                }
                while !stop.is_cancelled() {
                    shared.paint(json).await;
                }
            });
        }
        Self { shared, stop, tasks }
    }

    /// Waits for so many more calls.
    async fn go_on(&self, calls: u64) -> anyhow::Result<()> {
        let wanted = self.shared.made.load(Ordering::Relaxed) + calls;
        eventually(LIMIT, async || {
            let made = self.shared.made.load(Ordering::Relaxed);
            ensure!(
                made >= wanted,
                "{made} calls of {wanted}: {:?}",
                self.shared.failures.lock().expect("no caller panicked").first()
            );
            Ok(())
        })
        .await
    }

    /// Waits for the last calls, and returns what went wrong.
    async fn end(mut self) -> anyhow::Result<Vec<String>> {
        self.stop.cancel();
        while let Some(task) = self.tasks.join_next().await {
            task?;
        }
        let counts = self.shared.answered.each_ref().map(|count| count.load(Ordering::Relaxed));
        let made = self.shared.made.load(Ordering::Relaxed);
        println!(
            "schema: {made} calls; with the new field {} answered by the old version, {} by the new; of the new method {}",
            counts[0],
            counts[1],
            self.shared.painted.load(Ordering::Relaxed)
        );
        Ok(self.shared.failures.lock().expect("no caller panicked").clone())
    }
}

impl Shared {
    /// Makes one call, and notes what came of it.
    async fn call(&self, json: bool, with_new: bool) {
        let may_be_unknown = json && with_new && !self.is_open.load(Ordering::Acquire);
        let called = if json { self.by_json(with_new).await } else { self.by_grpc_web(with_new).await };
        match called {
            Ok(version) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                if with_new {
                    self.answered[usize::from(version == Version::New)].fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(_) if may_be_unknown => {}
            Err(error) => {
                let form = if json { "json" } else { "grpc-web" };
                let field = if with_new { "new" } else { "old" };
                self.failures.lock().expect("no caller panicked").push(format!("{form}, {field} field: {error:#}"));
            }
        }
    }

    /// Calls the method that only the new version has, and notes what came of it.
    async fn paint(&self, json: bool) {
        let painted =
            if json { self.json_at("/v1/notes:paint", true).await } else { self.web_at(notes::PAINT, true).await };
        match painted {
            Ok(Version::New) => _ = self.painted.fetch_add(1, Ordering::Relaxed),
            wrong => {
                let form = if json { "json" } else { "grpc-web" };
                self.failures.lock().expect("no caller panicked").push(format!("{form}, new method: {wrong:?}"));
            }
        }
    }

    /// Fails until both versions have answered calls with the new field, and the new method was called.
    fn both_answer(&self) -> anyhow::Result<()> {
        let counts = self.answered.each_ref().map(|count| count.load(Ordering::Relaxed));
        let painted = self.painted.load(Ordering::Relaxed);
        ensure!(counts.iter().all(|count| *count > 0) && painted >= 50, "{counts:?}, {painted} painted");
        Ok(())
    }

    /// Writes a note by JSON; tells which version answered.
    async fn by_json(&self, with_new: bool) -> anyhow::Result<Version> {
        self.json_at("/v1/notes", with_new).await
    }

    async fn json_at(&self, path: &str, with_new: bool) -> anyhow::Result<Version> {
        let mut note = json!({"id": "n", "text": "old words"});
        if with_new {
            note["color"] = json!("red");
        }
        let response = self.http.post(format!("{}{path}", self.gateway)).json(&note).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status == 200, "HTTP {status}: {text}");
        let answer: Value = serde_json::from_str(&text)?;
        let text_of = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let served_by = answer["servedBy"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or_default();
        check(&Note { id: text_of("id"), text: text_of("text"), served_by, color: text_of("color") }, with_new)
    }

    /// Writes a note by gRPC-Web, as a client that was generated of either schema; tells which version answered.
    async fn by_grpc_web(&self, with_new: bool) -> anyhow::Result<Version> {
        self.web_at(notes::WRITE, with_new).await
    }

    async fn web_at(&self, path: &'static str, with_new: bool) -> anyhow::Result<Version> {
        let color = if with_new { "red" } else { "" };
        let note = Note { id: "n".into(), text: "old words".into(), served_by: 0, color: color.into() };
        let answer = grpc_web::unary::<Note>(&self.http, &self.gateway, path, &note, Encoding::Binary).await?;
        ensure!(answer.status == 0, "{} {}", answer.status, answer.text);
        check(&answer.message.context("no message")?, with_new)
    }
}

/// Checks what came back of a note: an instance of the new version gives both fields back, one of the old version the
/// one that it knows.
fn check(note: &Note, with_new: bool) -> anyhow::Result<Version> {
    let version = if note.served_by == Version::New.number() { Version::New } else { Version::Old };
    let color = if with_new && version == Version::New { "red" } else { "" };
    let wanted = Note { id: "n".into(), text: "old words".into(), served_by: version.number(), color: color.into() };
    ensure!(*note == wanted, "{note:?} in place of {wanted:?}");
    Ok(version)
}
