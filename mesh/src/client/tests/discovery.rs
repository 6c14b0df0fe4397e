//! Which endpoints there are, waiting for the first, and what is said when there is none.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use tokio::{net::TcpListener, time::timeout};
use tonic::{Code, Status};

use super::support::{Stub, World, bidi, echo, eventually, finish, grpc_head, options, send, world};
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

/// Lets a time pass at once, once the runtime has nothing else to do.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_service_that_nobody_calls_is_given_up_and_the_next_call_begins_anew() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[stub.address]), |_| {});
    assert_eq!(world.call().await.unwrap(), "hello");
    pass(Duration::from_secs(590)).await;
    assert_eq!(world.call().await.unwrap(), "hello");
    pass(Duration::from_secs(590)).await;
    assert!(world.is_followed(), "it was called ten minutes ago, nearly");
    pass(Duration::from_secs(20)).await;
    eventually("nobody follows it", || !world.is_followed()).await;
    eventually("no connection is left", || stub.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(world.call().await.unwrap(), "hello");
    assert!(world.is_followed());
}

#[tokio::test]
async fn a_call_that_runs_keeps_its_service_awake() {
    let stub = Stub::start(|mut request, mut respond| async move {
        let mut stream = respond.send_response(grpc_head(), false).unwrap();
        while let Some(Ok(data)) = request.body_mut().data().await {
            send(&mut stream, data).await;
        }
        finish(&mut stream, 0);
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let (sender, mut answer) = bidi(&world).await;
    for _ in 0..3 {
        pass(Duration::from_secs(599)).await;
    }
    assert!(world.is_followed());
    sender.unbounded_send("late".into()).unwrap();
    assert_eq!(answer.message().await.unwrap().unwrap(), "late");
}
