//! Which endpoints there are, waiting for the first, and what is said when there is none.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use tokio::{net::TcpListener, time::timeout};
use tonic::{Code, Status};

use super::support::{Stub, World, echo, options, world};
use crate::client::call::CallOptions;

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_service_without_instances_is_unavailable_and_named() {
    let world = world(Some(&[]), |config| config.endpoint_wait = Duration::from_millis(20));
    let status = world.call().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "no instance of \"users\" is registered at consul at http://127.0.0.1:8500");
}

#[tokio::test]
async fn instances_that_cannot_be_connected_are_named_with_the_reason() {
    let address = nobody().await;
    let world = world(Some(&[address]), |config| config.endpoint_wait = Duration::from_millis(100));
    let status = world.call().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    for part in [&address.to_string(), "refused", "\"users\"", "consul at"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
}

#[tokio::test]
async fn a_registry_that_has_not_answered_is_waited_for_until_the_deadline() {
    let world = world(None, |config| {
        config.endpoint_wait = Duration::from_millis(1);
        config.default_deadline = Duration::from_millis(100);
    });
    let status = world.call().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("consul at http://127.0.0.1:8500"), "{}", status.message());
}

#[tokio::test]
async fn a_call_that_waits_for_ready_outlasts_the_wait_for_endpoints() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[]), |config| config.endpoint_wait = Duration::from_millis(1));
    let patient = CallOptions { wait_for_ready: true, ..options(None) };
    let come = async {
        // By now the wait for endpoints is over.
        assert_eq!(world.call().await.unwrap_err().code(), Code::Unavailable);
        world.set(&[stub.address]);
    };
    let (answer, ()) = tokio::join!(world.unary("hello".into(), patient), come);
    assert_eq!(answer.unwrap(), "hello");
}

#[tokio::test]
async fn a_dead_endpoint_is_never_picked_while_another_lives() {
    let stub = Stub::start(echo).await;
    let dead = [nobody().await, nobody().await];
    let world = world(Some(&[dead[0], stub.address, dead[1]]), |_| {});
    for _ in 0..100 {
        assert_eq!(world.call().await.unwrap(), "hello");
    }
    let text = world.telemetry.prometheus_text().unwrap();
    let attempts = text.lines().find(|line| line.starts_with("grpc_client_attempt_started")).unwrap();
    assert!(attempts.ends_with(" 100"), "{attempts}");
}

/// Calls until it is as it should be.
async fn called_until(world: &World, condition: impl Fn(&Result<Bytes, Status>) -> bool) {
    let calls = async { while !condition(&world.call().await) {} };
    timeout(Duration::from_secs(20), calls).await.expect("in time");
}

#[tokio::test]
async fn a_last_resort_is_called_while_its_connection_works_and_no_other_does() {
    let (stub, other) = (Stub::start(echo).await, Stub::start(echo).await);
    let world = world(Some(&[stub.address]), |config| config.endpoint_wait = Duration::from_millis(100));
    assert_eq!(world.call().await.unwrap(), "hello");
    world.set_with(&[], &[stub.address]);
    assert_eq!(world.call().await.unwrap(), "hello");
    world.set_with(&[other.address], &[stub.address]);
    called_until(&world, |_| other.served() > 0).await;
    let before = stub.served();
    for _ in 0..20 {
        world.call().await.unwrap();
    }
    assert_eq!(stub.served(), before, "another is ready");
}

#[tokio::test]
async fn a_last_resort_whose_connection_ends_is_gone_for_good() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[stub.address]), |config| config.endpoint_wait = Duration::from_millis(50));
    assert_eq!(world.call().await.unwrap(), "hello");
    world.set_with(&[], &[stub.address]);
    stub.go_away();
    let gone = |status: &Status| status.message().starts_with("no instance of");
    called_until(&world, |answer| answer.as_ref().is_err_and(gone)).await;
}

#[tokio::test]
async fn a_last_resort_that_was_never_connected_is_none() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[]), |config| config.endpoint_wait = Duration::from_millis(50));
    assert_eq!(world.call().await.unwrap_err().code(), Code::Unavailable);
    world.set_with(&[], &[stub.address]);
    assert_eq!(world.call().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(stub.served(), 0);
}
