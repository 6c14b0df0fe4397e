//! The registry as its clients meet it: each fault on demand, and the limits of what it takes.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use selvedge_registry::{Config, Registry};
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
const INSTANCES: &str = "/v1/health/service/a";

struct Served {
    address: String,
    client: Client,
    task: JoinHandle<()>,
    stopped: Arc<Notify>,
}

impl Served {
    /// Starts a registry with one instance of service `a`.
    async fn start() -> Result<Self> {
        let served = Self::start_with(Config { faults: true, ..Config::default() }).await?;
        served.register("a1").await?;
        Ok(served)
    }

    async fn start_with(config: Config) -> Result<Self> {
        let listen = "127.0.0.1:0".parse()?;
        let registry = Registry::bind(Config { listen, ..config }).await?;
        let address = registry.local_addr().to_string();
        let stopped = Arc::new(Notify::new());
        let stop = Arc::clone(&stopped);
        let stop = async move { stop.notified().await };
        let task = tokio::spawn(async move { registry.run(stop).await.unwrap_or_default() });
        let client = Client::builder().timeout(LIMIT).build()?;
        Ok(Self { address, client, task, stopped })
    }

    /// Ends it as a signal would; its folder is then free.
    async fn stop(mut self) -> Result<()> {
        self.stopped.notify_one();
        Ok(timeout(LIMIT, &mut self.task).await??)
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<Response> {
        Ok(self.client.request(method, format!("http://{}{path}", self.address)).body(body).send().await?)
    }

    async fn get(&self, path: &str) -> Result<Response> {
        self.send(Method::GET, path, String::new()).await
    }

    async fn put(&self, path: &str) -> Result<()> {
        self.done(Method::PUT, path, String::new()).await
    }

    async fn end(&self, path: &str) -> Result<()> {
        self.done(Method::DELETE, path, String::new()).await
    }

    async fn register(&self, id: &str) -> Result<()> {
        let body = json!({ "ID": id, "Name": "a" }).to_string();
        self.done(Method::PUT, "/v1/agent/service/register", body).await
    }

    async fn done(&self, method: Method, path: &str, body: String) -> Result<()> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "{path}: {status} {}", answer.text().await?);
        Ok(())
    }

    /// Begins a blocking read at the present index.
    async fn waiting(&self, wait: &str) -> Result<(u64, JoinHandle<reqwest::Result<Response>>)> {
        let before = index(&self.get(INSTANCES).await?)?;
        let url = format!("http://{}{INSTANCES}?index={before}&wait={wait}", self.address);
        let client = self.client.clone();
        Ok((before, tokio::spawn(async move { client.get(url).send().await })))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn index(answer: &Response) -> Result<u64> {
    Ok(answer.headers()["x-consul-index"].to_str()?.parse()?)
}

async fn count(answer: Response) -> Result<usize> {
    Ok(answer.json::<Vec<Value>>().await?.len())
}

#[tokio::test]
async fn without_a_leader_only_the_agent_and_stale_reads_answer() -> Result<()> {
    let served = Served::start().await?;
    served.put("/__dev/no-leader").await?;
    let refused = served.get(INSTANCES).await?;
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refused.text().await?, "No cluster leader");
    let stale = served.get("/v1/health/service/a?stale").await?;
    assert_eq!(stale.headers()["x-consul-knownleader"], "false");
    assert_eq!(count(stale).await?, 1);
    assert_eq!(served.get("/v1/status/leader").await?.text().await?, "\"\"");
    for (path, body) in [("/v1/catalog/register", r#"{"Node":"e","Address":"x"}"#), ("/v1/kv/k", "v")] {
        let written = served.send(Method::PUT, path, body.to_owned()).await?;
        assert_eq!(written.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    served.register("a2").await?;
    served.end("/__dev/no-leader").await?;
    assert_eq!(count(served.get(INSTANCES).await?).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_status_strikes_where_and_as_often_as_it_is_to() -> Result<()> {
    let served = Served::start().await?;
    served.put("/__dev/status?code=429&path=/v1/health&times=2").await?;
    assert_eq!(served.get("/v1/catalog/services").await?.status(), StatusCode::OK);
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::TOO_MANY_REQUESTS, StatusCode::OK] {
        assert_eq!(served.get(INSTANCES).await?.status(), status);
    }
    served.put("/__dev/status?times=1").await?;
    let failed = served.get(INSTANCES).await?;
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(failed.text().await?.contains("EOF"), "as Consul says it of a server that went");
    let unknown = served.send(Method::PUT, "/__dev/bogus", String::new()).await?;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.text().await?.contains("no-leader"));
    let refused = served.send(Method::PUT, "/__dev/status?code=200", String::new()).await?;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn answers_come_late_empty_or_cut() -> Result<()> {
    let served = Served::start().await?;
    served.put("/__dev/delay?by=1h").await?;
    let late = served.client.get(format!("http://{}{INSTANCES}", served.address)).timeout(Duration::from_millis(300));
    assert!(late.send().await.unwrap_err().is_timeout());
    served.end("/__dev/").await?;

    let full = index(&served.get(INSTANCES).await?)?;
    served.put("/__dev/empty").await?;
    let empty = served.get(INSTANCES).await?;
    assert_eq!(index(&empty)?, full);
    assert_eq!(count(empty).await?, 0);
    assert_eq!(served.get("/v1/agent/services").await?.text().await?, "{}");
    served.end("/__dev/empty").await?;

    served.put("/__dev/cut?times=1").await?;
    let cut = served.get(INSTANCES).await?;
    assert_eq!(cut.status(), StatusCode::OK);
    assert!(cut.text().await.is_err(), "the whole body came");
    assert_eq!(count(served.get(INSTANCES).await?).await?, 1);
    Ok(())
}

#[tokio::test]
async fn frozen_reads_sleep_through_a_change_to_their_limit() -> Result<()> {
    let served = Served::start().await?;
    served.put("/__dev/freeze").await?;
    let (before, waiting) = served.waiting("60s").await?;
    served.register("a2").await?;
    assert!(index(&served.get(INSTANCES).await?)? > before, "a read that does not wait is as ever");
    let listed = served.get("/__dev/").await?.json::<Value>().await?;
    assert_eq!(listed, json!([{ "fault": "freeze" }]));
    assert!(!waiting.is_finished());
    served.end("/__dev/freeze").await?;
    let answer = timeout(LIMIT, waiting).await???;
    assert_eq!(count(answer).await?, 2, "it hears of all when the fault ends");
    Ok(())
}

#[tokio::test]
async fn a_frozen_read_ends_at_its_limit() -> Result<()> {
    let served = Served::start().await?;
    served.put("/__dev/freeze").await?;
    let (_, waiting) = served.waiting("1s").await?;
    served.register("a2").await?;
    assert_eq!(timeout(LIMIT, waiting).await???.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn indexes_fall_and_end_every_wait() -> Result<()> {
    let served = Served::start().await?;
    let (before, waiting) = served.waiting("60s").await?;
    let lower = async {
        // The read may still be on its way: one that begins afterwards waits for the old index.
        while !waiting.is_finished() {
            served.put("/__dev/lower-index?by=500").await?;
        }
        index(&waiting.await??)
    };
    let lower = timeout(LIMIT, lower).await??;
    assert!(lower <= before - 500, "{lower} after {before}");
    let there = index(&served.get(INSTANCES).await?)?;
    served.register("a2").await?;
    let after = index(&served.get(INSTANCES).await?)?;
    assert!(there < after && after < before, "{there}, then {after}, after {before}");
    Ok(())
}

#[tokio::test]
async fn a_wake_brings_a_new_index_and_nothing_new() -> Result<()> {
    let served = Served::start().await?;
    for _ in 0..3 {
        let (before, waiting) = served.waiting("60s").await?;
        served.put("/__dev/wake").await?;
        let answer = timeout(LIMIT, waiting).await???;
        assert!(index(&answer)? > before);
        assert_eq!(count(answer).await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_critical_service_is_removed_when_the_operator_lets_it() -> Result<()> {
    let served = Served::start_with(Config { reap_floor: Duration::from_millis(10), ..Config::default() }).await?;
    let check = json!({ "TTL": "600s", "Status": "critical", "DeregisterCriticalServiceAfter": "20ms" });
    let body = json!({ "Name": "gone", "Check": check }).to_string();
    served.done(Method::PUT, "/v1/agent/service/register", body).await?;
    let removed = async {
        while served.get("/v1/agent/service/gone").await?.status() == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, removed).await?
}

#[tokio::test]
async fn what_is_written_into_the_catalog_survives_and_is_not_the_agents() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = || Config { folder: Some(folder.path().to_owned()), ..Config::default() };
    let read = "/v1/health/service/db?passing";
    let before = {
        let served = Served::start_with(config()).await?;
        let check = json!({ "CheckID": "c", "ServiceID": "db", "Status": "passing", "Definition": { "TCP": "x:1" } });
        let service = json!({ "Service": "db", "Port": 5432 });
        let body = json!({ "Node": "ext", "Address": "10.0.0.9", "Service": service, "Checks": [check] });
        served.done(Method::PUT, "/v1/catalog/register", body.to_string()).await?;
        assert_eq!(served.get("/v1/agent/service/db").await?.status(), StatusCode::NOT_FOUND);
        let own = json!({ "Node": "selvedge", "Address": "x" }).to_string();
        let refused = served.send(Method::PUT, "/v1/catalog/register", own).await?.text().await?;
        assert!(
            refused.contains("\"selvedge\" is this agent's own") && refused.contains("/v1/agent/service"),
            "{refused}"
        );
        let before = served.get(read).await?.json::<Value>().await?;
        served.stop().await?;
        before
    };
    assert_eq!(before[0]["Node"]["Node"], "ext");
    let served = Served::start_with(config()).await?;
    assert_eq!(served.get(read).await?.json::<Value>().await?, before);
    Ok(())
}

#[tokio::test]
async fn no_token_can_be_made_beside_the_one() -> Result<()> {
    let served = Served::start_with(Config { token: Some("s3cret".to_owned()), ..Config::default() }).await?;
    let status = async |path: &str| -> Result<(StatusCode, String)> {
        let answer = served.send(Method::PUT, path, String::new()).await?;
        Ok((answer.status(), answer.text().await?))
    };
    let (code, text) = status("/v1/acl/token?token=s3cret").await?;
    assert!(code == StatusCode::INTERNAL_SERVER_ERROR && text.contains("use a Consul"), "{code} {text}");
    assert_eq!(status("/v1/acl/token?token=wrong").await?.0, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn values_are_bounded() -> Result<()> {
    let served = Served::start().await?;
    let put = |size| served.send(Method::PUT, "/v1/kv/big", "x".repeat(size));
    assert_eq!(put(512 * 1024).await?.status(), StatusCode::OK);
    let refused = put(512 * 1024 + 1).await?;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text().await?.contains("524288 bytes"));
    Ok(())
}
