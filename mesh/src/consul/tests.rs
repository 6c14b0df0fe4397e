mod access;
mod several;

use std::{fs, time::Duration};

use serde_json::json;

use super::{fake::Fake, logs::Logs, *};
use crate::consul::agent::Check;

fn consul(fake: &Fake) -> Consul {
    Consul::new(&fake.config()).unwrap()
}

fn settings(address: &str) -> RegistryConfig {
    RegistryConfig { address: address.into(), ..RegistryConfig::default() }
}

#[tokio::test]
async fn a_registration_is_written_as_consul_reads_it() {
    let fake = Fake::start();
    let lease = Check {
        check_id: "a:ttl".into(),
        name: "lease".into(),
        ttl: Some(Duration::from_secs(15)),
        status: "passing",
        deregister_critical_service_after: Some(Duration::from_secs(60)),
        ..Check::default()
    };
    let probe = Check {
        check_id: "a:grpc".into(),
        name: "probe".into(),
        grpc: Some("127.0.0.1:80".into()),
        interval: Some(Duration::from_secs(5)),
        timeout: Some(Duration::from_millis(1_500)),
        failures_before_critical: Some(2),
        ..Check::default()
    };
    let registration = Registration {
        id: "a".into(),
        name: "users".into(),
        tags: vec!["grpc".into()],
        address: "127.0.0.1".into(),
        port: 80,
        meta: BTreeMap::from([("selvedge".into(), "0.1.0".into())]),
        checks: vec![lease, probe],
    };
    consul(&fake).register(&registration, true).await.unwrap();
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "PUT /v1/agent/service/register?replace-existing-checks=true");
    let expected = json!({
        "ID": "a", "Name": "users", "Tags": ["grpc"], "Address": "127.0.0.1", "Port": 80,
        "Meta": {"selvedge": "0.1.0"},
        "Checks": [
            {"CheckID": "a:ttl", "Name": "lease", "TTL": "15000ms", "Status": "passing",
             "DeregisterCriticalServiceAfter": "60000ms"},
            {"CheckID": "a:grpc", "Name": "probe", "GRPC": "127.0.0.1:80", "Interval": "5000ms",
             "Timeout": "1500ms", "FailuresBeforeCritical": 2},
        ],
    });
    assert_eq!(asked.body, Some(expected));
    consul(&fake).register(&registration, false).await.unwrap();
    assert_eq!(fake.asked()[1].line, "PUT /v1/agent/service/register");
}

#[tokio::test]
async fn a_check_that_the_agent_does_not_know_is_lost() {
    let fake = Fake::start();
    let consul = consul(&fake);
    assert_eq!(consul.pass("a:ttl").await.unwrap(), Beat::Ok);
    for status in [404, 500] {
        fake.script(status, None, "Unknown check ID");
        assert_eq!(consul.pass("a:ttl").await.unwrap(), Beat::Lost, "{status}");
    }
    fake.script(403, None, "Permission denied");
    assert!(consul.pass("a:ttl").await.is_err());
    assert_eq!(fake.asked()[0].line, "PUT /v1/agent/check/pass/a:ttl");
}

#[tokio::test]
async fn ids_and_reasons_are_encoded() {
    let fake = Fake::start();
    let consul = consul(&fake);
    consul.maintenance("a/b c", true, "drain & go").await.unwrap();
    consul.deregister("a/b c").await.unwrap();
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines[0], "PUT /v1/agent/service/maintenance/a%2Fb%20c?enable=true&reason=drain+%26+go");
    assert_eq!(lines[1], "PUT /v1/agent/service/deregister/a%2Fb%20c");
}

#[tokio::test]
async fn to_deregister_what_is_unknown_is_no_error() {
    let fake = Fake::start();
    fake.script(404, None, "Unknown service ID \"a\"");
    consul(&fake).deregister("a").await.unwrap();
    fake.script(500, None, "No cluster leader");
    let error = consul(&fake).deregister("a").await.unwrap_err();
    assert!(error.to_string().ends_with("answered 500 to PUT /v1/agent/service/deregister/a: No cluster leader"));
}

#[tokio::test]
async fn the_agents_address_is_its_members() {
    let fake = Fake::start();
    fake.set("/v1/agent/self", 1, json!({"Config": {}, "Member": {"Name": "n", "Addr": "10.0.0.7"}}));
    assert_eq!(consul(&fake).agent_address().await.unwrap(), "10.0.0.7");
    fake.set("/v1/agent/self", 1, json!({"Config": {}}));
    let error = consul(&fake).agent_address().await.unwrap_err();
    assert!(error.to_string().contains("GET /v1/agent/self"), "{error}");
    fake.script(403, None, "Permission denied");
    let error = consul(&fake).agent_address().await.unwrap_err();
    assert!(error.to_string().ends_with("grant agent:read, or set server.advertise"), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_setting() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let junk = folder.path().join("junk");
    fs::write(&junk, "no certificate").unwrap();
    let base = || settings("https://127.0.0.1:8501");
    for (config, setting) in [
        (RegistryConfig { token_file: Some(missing.clone()), ..base() }, "registry.token_file"),
        (RegistryConfig { ca_cert: Some(missing.clone()), ..base() }, "registry.ca_cert"),
        (RegistryConfig { ca_cert: Some(junk.clone()), ..base() }, "registry.ca_cert"),
        (
            RegistryConfig { client_cert: Some(junk.clone()), client_key: Some(missing), ..base() },
            "registry.client_key",
        ),
        (RegistryConfig { client_cert: Some(junk.clone()), client_key: Some(junk), ..base() }, "registry.client_cert"),
    ] {
        let error = Consul::new(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(setting), "{error}");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named_and_logged_once_until_it_is_back() {
    let logs = Logs::capture();
    let fake = Fake::start();
    let consul = consul(&fake);
    let url = fake.url.clone();
    let address = fake.stop().await;
    for _ in 0..3 {
        let error = consul.pass("a").await.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("registry.address"), "{error}");
    }
    let warnings = logs.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&url), "{warnings:?}");
    let _fake = Fake::start_at(&address);
    for _ in 0..2 {
        consul.pass("a").await.unwrap();
    }
    assert_eq!(logs.lines("INFO").len(), 1, "{:?}", logs.lines("INFO"));
    assert_eq!(logs.lines("WARN").len(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let fake = Fake::start();
    let mut request = Request::get(&["agent", "self"]).with("index", "0").with("wait", "60000");
    request.timeout = Duration::from_millis(50);
    fake.set("/v1/agent/self", 7, json!({}));
    // Index 7 is known: the fake waits.
    request.query[0].1 = "7".into();
    let failure = consul(&fake).http.send(&request).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Unreachable);
    assert!(failure.error.to_string().contains("did not answer GET /v1/agent/self"), "{}", failure.error);
}

#[tokio::test]
async fn a_connection_that_ends_within_a_wait_is_cut() {
    let fake = Fake::start();
    fake.set("/v1/x", 7, json!({}));
    let consul = consul(&fake);
    let waiting = tokio::spawn(async move {
        let request = Request::get(&["x"]).blocking(7, Duration::from_secs(60));
        consul.http.send(&request).await.unwrap_err()
    });
    fake.asked_at_least(1).await;
    fake.stop().await;
    assert_eq!(waiting.await.unwrap().cause, Cause::Cut);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = Fake::start();
    fake.script(302, None, "");
    assert!(consul(&fake).pass("a").await.unwrap_err().to_string().contains("answered 302"));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_watch_asks_stale_with_index_and_wait() {
    let fake = Fake::start();
    fake.set("/v1/health/service/a%20b", 7, json!([]));
    let mut watch = consul(&fake).watch_instances("a b", Duration::from_secs(10), Usage::default());
    assert!(watch.next().await.unwrap().is_empty());
    let waiting = tokio::spawn(async move { watch.next().await.unwrap().len() });
    let asked = fake.asked_at_least(2).await;
    assert_eq!(asked[0].line, "GET /v1/health/service/a%20b?stale=");
    let wait = asked[1].line.strip_prefix("GET /v1/health/service/a%20b?stale=&index=7&wait=").unwrap();
    let wait: u64 = wait.strip_suffix("ms").unwrap().parse().unwrap();
    assert!((9_000..=10_000).contains(&wait), "{wait}");
    fake.set("/v1/health/service/a%20b", 8, json!([{}]));
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn a_datacenter_is_asked_for_by_name() {
    let fake = Fake::start();
    let settings = RegistryConfig { datacenter: Some("dc2".into()), ..fake.config() };
    let consul = Consul::new(&settings).unwrap();
    consul.watch_services(Duration::from_secs(10)).next().await.unwrap_err();
    assert_eq!(fake.asked()[0].line, "GET /v1/catalog/services?dc=dc2&stale=");
}
