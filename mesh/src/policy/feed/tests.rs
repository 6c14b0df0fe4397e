use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::{
    consul::{fake::Fake, logs::Logs},
    policy::cluster::ClusterPolicy,
    telemetry::Telemetry,
};

const PREFIX: &str = "/v1/kv/selvedge/policy/";

fn policies(fake: &Fake) -> (Policies, Telemetry) {
    let (consul, telemetry) = (Consul::new(&fake.config()).unwrap(), Telemetry::new().unwrap());
    let source = Source {
        consul,
        prefix: "selvedge/policy/".into(),
        wait: Duration::from_secs(10),
        metrics: telemetry.metrics().clone(),
    };
    (Policies::new(ClusterPolicies::new(), Some(source)), telemetry)
}

fn pairs(documents: &[(&str, &str)]) -> Value {
    let pair =
        |(name, text): &(&str, &str)| json!({"Key": format!("selvedge/policy/{name}"), "Value": STANDARD.encode(text)});
    documents.iter().map(pair).collect()
}

async fn until(live: &Live, what: &str, condition: impl Fn(&ClusterPolicy) -> bool) {
    let mut changed = live.changed();
    let wait = async {
        while !condition(&live.load()) {
            changed.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("in vain for 20 s: {what}"));
}

#[tokio::test]
async fn what_is_written_reaches_the_service_and_is_taken_back() {
    let fake = Fake::start();
    let (policies, _telemetry) = policies(&fake);
    let users = policies.of(&"users".into());
    policies.begin();
    fake.set(PREFIX, 1, pairs(&[("users", "cluster: {panic_percent: 7}"), ("orders", "cluster: {panic_percent: 8}")]));
    until(&users, "written", |policy| policy.panic_percent == 7).await;
    assert_eq!(policies.of(&"orders".into()).load().panic_percent, 8, "who comes later finds it");
    fake.set(PREFIX, 2, pairs(&[("users", r#"{"cluster": {"panic_percent": 9}}"#)]));
    until(&users, "changed", |policy| policy.panic_percent == 9).await;
    fake.set(PREFIX, 3, Value::Null);
    until(&users, "removed", |policy| policy.panic_percent == 50).await;
    assert!(users.said().document.is_none());
}

#[tokio::test]
async fn a_bad_document_changes_nothing_and_is_told_once() {
    let (fake, logs) = (Fake::start(), Logs::capture());
    let (policies, telemetry) = policies(&fake);
    let users = policies.of(&"users".into());
    fake.set(PREFIX, 1, pairs(&[("users", "cluster: {panic_percent: 7}")]));
    policies.begin();
    until(&users, "written", |policy| policy.panic_percent == 7).await;
    let bad = ("users", "methods: {GetUser: {max_attempts: 9}}");
    fake.set(PREFIX, 2, pairs(&[bad]));
    let told = || logs.lines("WARN");
    eventually(|| !told().is_empty()).await;
    // Another document changes: the bad one is not told of again.
    fake.set(PREFIX, 3, pairs(&[bad, ("orders", "cluster: {panic_percent: 8}")]));
    let orders = policies.of(&"orders".into());
    until(&orders, "the other", |policy| policy.panic_percent == 8).await;
    assert_eq!(told().len(), 1, "{:?}", told());
    for part in ["selvedge/policy/users", "methods.GetUser.max_attempts", "must be 1 to 5"] {
        assert!(told()[0].contains(part), "{part}: {:?}", told());
    }
    assert_eq!(users.load().panic_percent, 7);
    let refused = users.said().refused.clone().unwrap();
    assert_eq!(refused.problem.path, "methods.GetUser.max_attempts");
    let text = telemetry.prometheus_text().unwrap();
    let counted = text.lines().find(|line| line.starts_with("selvedge_policy_refused_total{")).unwrap();
    assert!(counted.ends_with(" 1"), "{counted}");
    fake.set(PREFIX, 4, pairs(&[("users", "cluster: {panic_percent: 6}")]));
    until(&users, "mended", |policy| policy.panic_percent == 6).await;
    assert!(users.said().refused.is_none());
}

async fn eventually(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.expect("in vain for 20 s");
}

#[tokio::test]
async fn a_prefix_without_keys_is_no_error() {
    let (fake, logs) = (Fake::start(), Logs::capture());
    for _ in 0..2 {
        fake.script(404, Some(3), "");
    }
    fake.set(PREFIX, 4, pairs(&[("users", "cluster: {panic_percent: 7}")]));
    let (policies, _telemetry) = policies(&fake);
    let users = policies.of(&"users".into());
    policies.begin();
    until(&users, "written", |policy| policy.panic_percent == 7).await;
    assert!(logs.lines("WARN").is_empty() && logs.lines("ERROR").is_empty(), "{:?}", logs.lines("WARN"));
    assert!(fake.asked()[0].line.starts_with("GET /v1/kv/selvedge/policy/?"), "{:?}", fake.asked());
}

#[test]
fn a_prefix_that_wakes_for_nothing_is_asked_less_and_less_often() {
    let mut pauses = pauses();
    let soon = Duration::from_millis(3);
    let waited: Vec<_> = (0..10).map(|_| pause(&mut pauses, soon, 1.0).as_millis()).collect();
    assert_eq!(waited, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
    assert_eq!(pause(&mut pauses, Duration::from_secs(55), 1.0), Duration::ZERO, "nobody woke it");
    assert_eq!(pause(&mut pauses, soon, 1.0).as_millis(), 100);
}
