//! What is registered, and what is told when it cannot be.

use super::*;
use crate::{
    config::RegistryConfig,
    consul::{fake::Fake, logs::Logs},
};

/// A lease of an agent that says no to whatever it is asked, after one that was not there.
async fn refused(logs: &Logs) -> (Lease, Fake) {
    let gone = Fake::start();
    let consul = Consul::new(&gone.config()).unwrap();
    let address = gone.stop().await;
    let advertised = Advertised::new(None, SocketAddr::from(([127, 0, 0, 1], 50))).unwrap();
    let description = Description::new("echo", &[], &[]);
    let (mut lease, _) = Lease::new(consul, description, advertised, CancellationToken::new());
    for _ in 0..2 {
        let error = lease.register().await.unwrap_err();
        lease.failed(&error, "not registered");
    }
    assert_eq!(logs.lines("WARN").len(), 1, "{:?}", logs.lines("WARN"));
    assert!(logs.lines("WARN")[0].contains("gone"));
    let fake = Fake::start_at(&address);
    for _ in 0..3 {
        fake.script(403, None, "no");
    }
    (lease, fake)
}

#[tokio::test]
async fn an_agent_that_is_gone_is_told_of_once_and_a_refusal_once() {
    let logs = Logs::capture();
    let (mut lease, _fake) = refused(&logs).await;
    for _ in 0..3 {
        let error = lease.register().await.unwrap_err();
        lease.failed(&error, "not registered");
    }
    assert_eq!(logs.lines("WARN").len(), 2, "{:?}", logs.lines("WARN"));
    assert!(logs.lines("WARN")[1].contains("not registered"));
    lease.register().await.unwrap();
    assert!(!lease.failing, "the next refusal is told again");
}

#[tokio::test]
async fn heartbeats_that_are_refused_are_told_of_once() {
    let logs = Logs::capture();
    let (mut lease, _fake) = refused(&logs).await;
    let claim = Claim::new("echo-1".into(), &"me".into());
    for _ in 0..3 {
        assert_eq!(lease.beat(&claim).await, Beat::Ok);
    }
    assert_eq!(logs.lines("WARN").len(), 2, "{:?}", logs.lines("WARN"));
    assert!(logs.lines("WARN")[1].contains("heartbeat"));
    lease.beat(&claim).await;
    assert!(!lease.failing, "the next refusal is told again");
}

#[tokio::test]
async fn a_registration_that_was_lost_is_made_again_without_ending_maintenance() {
    let fake = Fake::start();
    let consul = Consul::new(&fake.config()).unwrap();
    let advertised = Advertised::new(None, SocketAddr::from(([127, 0, 0, 1], 50))).unwrap();
    let (mut lease, _) = Lease::new(consul, Description::new("echo", &[], &[]), advertised, CancellationToken::new());
    for _ in 0..2 {
        fake.script(404, None, "Unknown service ID");
        lease.register().await.unwrap();
    }
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    let plain = "PUT /v1/agent/service/register";
    let registered = "GET /v1/agent/service/echo-127.0.0.1-50";
    assert_eq!(lines, [registered, &format!("{plain}?replace-existing-checks=true"), registered, plain]);
}

fn advertised(text: Option<&str>, listening: &str) -> Result<(Option<String>, u16), String> {
    let advertised = Advertised::new(text, listening.parse().unwrap());
    advertised.map(|found| (found.host, found.port)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_instance_registers_at_the_next_agent_when_its_own_is_gone() {
    let (one, two) = (Fake::start(), Fake::start());
    let config = RegistryConfig { address: format!("{},{}", one.url, two.url), ..RegistryConfig::default() };
    let advertised = Advertised::new(None, SocketAddr::from(([127, 0, 0, 1], 50))).unwrap();
    let consul = Consul::new(&config).unwrap();
    let (lease, _) = Lease::new(consul, Description::new("echo", &[], &[]), advertised, CancellationToken::new());
    let lease = tokio::spawn(lease.with_beat(Duration::from_millis(1)).run());
    one.asked_at_least(3).await;
    two.script(404, None, "Unknown check ID");
    one.stop().await;
    let asked = two.asked_at_least(3).await;
    lease.abort();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert!(lines[0].starts_with("PUT /v1/agent/check/pass/echo-127.0.0.1-50"), "{lines:?}");
    assert_eq!(lines[1..3], ["GET /v1/agent/service/echo-127.0.0.1-50", "PUT /v1/agent/service/register"]);
}

#[test]
fn an_instance_is_reached_by_what_it_advertises_else_by_where_it_listens() {
    for (text, listening, host, port) in [
        (None, "127.0.0.1:50", Some("127.0.0.1"), 50),
        (None, "[::1]:50", Some("::1"), 50),
        (None, "0.0.0.0:50", None, 50),
        (None, "[::]:50", None, 50),
        (Some("echo.example"), "0.0.0.0:50", Some("echo.example"), 50),
        (Some("echo.example:60"), "0.0.0.0:50", Some("echo.example"), 60),
        (Some("10.0.0.7"), "127.0.0.1:50", Some("10.0.0.7"), 50),
        (Some("fd00::7"), "[::]:50", Some("fd00::7"), 50),
        (Some("[fd00::7]:60"), "[::]:50", Some("fd00::7"), 60),
        (Some("[fd00::7]"), "[::]:50", Some("fd00::7"), 50),
    ] {
        assert_eq!(advertised(text, listening), Ok((host.map(Into::into), port)), "{text:?} {listening}");
    }
}

#[test]
fn an_address_that_nobody_reaches_is_named() {
    for bad in ["", ":80", "http://echo", "echo:", "echo:0", "echo:70000", "a b", "0.0.0.0", "[::]:5", "[echo]:5"] {
        let error = advertised(Some(bad), "127.0.0.1:50").unwrap_err();
        assert!(error.starts_with(&format!("server.advertise: {bad:?} ")), "{error}");
    }
}

#[test]
fn a_schema_tag_changes_with_the_schema_only() {
    assert_eq!(schema_tag(&[]), None);
    // sha256("abc") begins with ba7816bf8f01cfea.
    assert_eq!(schema_tag(&[b"ab", b"c"]).unwrap(), "schema-ba7816bf8f01");
    assert_ne!(schema_tag(&[b"abd"]), schema_tag(&[b"abc"]));
}

#[test]
fn the_agent_probes_an_ipv6_address_in_brackets() {
    let advertised = Advertised::new(Some("fd00::7"), SocketAddr::from(([0, 0, 0, 0], 50))).unwrap();
    let registration = Description::new("echo", &[], &[]).registration(
        &advertised,
        "fd00::7",
        &Claim::new("echo-1".into(), &"me".into()),
    );
    assert_eq!(registration.checks[1].grpc.as_deref(), Some("[fd00::7]:50"));
    assert_eq!(registration.address, "fd00::7");
}
