use std::{fs, path::Path, time::Duration};

use serde_json::json;
use tonic::Code;

use super::*;
use crate::policy::{
    cluster::Balance,
    codes::Codes,
    method::{Idempotency, Sourced},
};

const GET_USER: &str = "/selvedge.users.v1.UserService/GetUser";

const YAML: &str = "
service: {deadline: 2s, max_attempts: 2}
methods:
  GetUser:
    retry_codes: [UNAVAILABLE, ABORTED]
    idempotency: no_side_effects
  selvedge.users.v1.UserService/GetUser: {max_attempts: 4}
cluster:
  balance: least_request
  limit: {concurrency: 100}
";

fn read(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = json!({
        "service": {"deadline": "2s", "max_attempts": 2},
        "methods": {
            "GetUser": {"retry_codes": ["UNAVAILABLE", "ABORTED"], "idempotency": "no_side_effects"},
            "selvedge.users.v1.UserService/GetUser": {"max_attempts": 4},
        },
        "cluster": {"balance": "least_request", "limit": {"concurrency": 100}},
    });
    assert_eq!(read(YAML), read(&json.to_string()));
}

#[test]
fn a_method_goes_before_its_service_and_its_full_name_before_its_own() {
    let policy = read(YAML).over(Policy::new(None), GET_USER);
    let codes: Codes = [Code::Unavailable, Code::Aborted].into_iter().collect();
    assert_eq!(policy.deadline, Sourced { value: Some(Duration::from_secs(2)), origin: Origin::Kv });
    assert_eq!(policy.max_attempts.value, 4);
    assert_eq!(policy.retry_codes.value, codes);
    assert_eq!(policy.idempotency.value, Idempotency::NoSideEffects);
    assert_eq!(policy.max_backoff.origin, Origin::Default);
    let other = read(YAML).over(Policy::new(None), "/selvedge.users.v1.UserService/ListUsers");
    assert_eq!((other.max_attempts.value, other.idempotency.value), (2, Idempotency::Unknown));
}

#[test]
fn what_is_said_of_the_instances_leaves_the_rest_as_it_is() {
    let base = ClusterPolicy { panic_percent: 10, ..ClusterPolicy::default() };
    let policy = read(YAML).cluster(&base).unwrap();
    assert_eq!((policy.balance, policy.panic_percent), (Balance::LeastRequest, 10));
    assert_eq!(policy.limit.map(|limit| (limit.concurrency, limit.queue)), Some((100, 1_000)));
    for text in ["", "{}", "# nothing\n", "cluster: null\n"] {
        assert_eq!(read(text).cluster(&base).unwrap(), base, "{text:?}");
    }
}

#[test]
fn what_cannot_be_kept_is_named_by_its_place() {
    for (text, path, reason) in [
        ("methods: {GetUser: {max_attempts: 9}}", "methods.GetUser.max_attempts", "must be 1 to 5"),
        ("methods: {GetUser: {max_atempts: 2}}", "methods.GetUser.max_atempts", "unknown field `max_atempts`"),
        ("service: {deadline: soon}", "service.deadline", "expected a number with ms, s, m or h"),
        ("service: {deadline: 0s}", "service.deadline", "must be more than 0s"),
        ("service: {retry_codes: [UNAVAILBLE]}", "service.retry_codes[0]", "is no code"),
        ("service: {retry_codes: [OK]}", "service.retry_codes[0]", "is no code"),
        ("service: {hedge: {max_attempts: 6}}", "service.hedge.max_attempts", "must be 1 to 5"),
        ("service: {hedge: {quantile: 0.1}}", "service.hedge.quantile", "must be 0.5 to 0.999"),
        ("service: {stream_idle_timeout: 0s}", "service.stream_idle_timeout", "must be more than 0s"),
        ("service: {backoff_multiplier: 0.5}", "service.backoff_multiplier", "must be at least 1"),
        ("cluster: {balance: fastest}", "cluster.balance", "unknown variant `fastest`"),
        ("cluster: {breaker: {jitter: 2}}", "cluster.breaker.jitter", "must be 0 to 1"),
        ("cluster: {limit: {concurrency: 0}}", "cluster.limit.concurrency", "must be at least 1"),
        ("cluster: {fault: {abort_percent: 101}}", "cluster.fault.abort_percent", "must be 0 to 100"),
        ("cluster: {outlier: {interval: 0s}}", "cluster.outlier.interval", "must be more than 0s"),
        ("cluster: {zone: {spill: 0.5}}", "cluster.zone.spill", "must be 1 to 1000000"),
        ("cluster: {zone: {healthy_percent: 0}}", "cluster.zone.healthy_percent", "must be 1 to 100"),
        ("cluster: {subset_size: 0}", "cluster.subset_size", "must be 1 to"),
        ("cluster: {hash: {headers: [a b]}}", "cluster.hash.headers", "is no name of a header"),
        ("cluster: {hash: {ring_places: 1}}", "cluster.hash.ring_places", "must be 1024 to 65536"),
        ("cluster: {hash: {maglev_places: 1}}", "cluster.hash.maglev_places", "must be 251 to 1048573"),
        ("cluster: {mirror: {percent: 5}}", "cluster.mirror.service", "must name who gets copies"),
        ("cluster: {mirror: {service: b, percent: 101}}", "cluster.mirror.percent", "must be 0 to 100"),
        ("cluser: {}", "cluser", "unknown field `cluser`"),
        ("just words", "", "expected struct Document"),
        ("{\"service\": ", "", "it is no JSON"),
        ("service: [", "", "it is no YAML"),
    ] {
        let problem = Document::read(text.as_bytes()).unwrap_err();
        assert_eq!(problem.path, path, "{text}: {problem}");
        assert!(problem.reason.contains(reason), "{text}: {problem}");
    }
    assert!(Document::parse(b"\xff").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn an_alias_that_grows_without_end_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, other) in ('a'..='y').zip('b'..='z') {
        text.push_str(&format!("{other}: &{other} [{}]\n", vec![format!("*{one}"); 9].join(", ")));
    }
    assert!(Document::read(text.as_bytes()).unwrap_err().reason.contains("YAML"));
}

/// With `SELVEDGE_WRITE_SCHEMA=1` the file is written anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.schema.json");
    let schema = format!("{:#}\n", document_schema());
    if std::env::var_os("SELVEDGE_WRITE_SCHEMA").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == schema,
        "mesh/docs/policy.schema.json is not what the types say: write it anew with SELVEDGE_WRITE_SCHEMA=1 cargo test \
         -p selvedge published_schema"
    );
}
