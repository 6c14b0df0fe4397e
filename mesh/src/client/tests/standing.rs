//! Endpoints that fail are left out, and come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic::Code;

use super::support::{Stub, World, echo, refuse, world_with};
use crate::policy::cluster::{Balance, ClusterPolicy, FailurePercentage, OutlierPolicy};

/// A server that refuses every call while the switch is on.
async fn moody(failing: &Arc<AtomicBool>) -> Stub {
    let failing = Arc::clone(failing);
    Stub::start(move |request, respond| {
        let failing = failing.load(Ordering::SeqCst);
        async move {
            match failing {
                true => refuse(respond, Code::Unavailable as i32).await,
                false => echo(request, respond).await,
            }
        }
    })
    .await
}

/// Makes calls, and returns how many failed.
async fn failures(world: &World, calls: usize) -> usize {
    let mut failed = 0;
    for _ in 0..calls {
        failed += usize::from(world.call().await.is_err());
    }
    failed
}

/// Makes calls, some at once, until a condition holds; fails after ten seconds.
async fn call_until(world: &World, what: &str, condition: impl Fn() -> bool) {
    let held = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            futures::future::join_all((0..4).map(|_| world.call())).await;
        }
    });
    assert!(held.await.is_ok(), "in vain for 10 s: {what}");
}

#[tokio::test]
async fn one_that_fails_fast_gets_no_calls_until_a_probe_succeeds() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, other) = (moody(&failing).await, Stub::start(echo).await, Stub::start(echo).await);
    let mut policy = ClusterPolicy::default();
    // It is not probed while the test looks on.
    policy.breaker.min_open = Duration::from_secs(30);
    let addresses = [bad.address, good.address, other.address];
    let world = world_with(Some(&addresses), |_| {}, policy);
    call_until(&world, "seven failures", || bad.served() >= 7).await;
    // Calls that were under way when the breaker opened may have come on top.
    let served = bad.served();
    assert_eq!(failures(&world, 100).await, 0);
    assert_eq!(bad.served(), served, "its breaker is open");
}

#[tokio::test]
async fn one_that_recovered_is_probed_and_gets_calls_again() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, other) = (moody(&failing).await, Stub::start(echo).await, Stub::start(echo).await);
    let mut policy = ClusterPolicy::default();
    policy.breaker.min_open = Duration::from_millis(20);
    policy.breaker.max_open = Duration::from_millis(20);
    let addresses = [bad.address, good.address, other.address];
    let world = world_with(Some(&addresses), |_| {}, policy);
    call_until(&world, "probes", || bad.served() >= 16).await;
    failing.store(false, Ordering::SeqCst);
    let before = bad.served();
    call_until(&world, "calls to what recovered", || bad.served() >= before + 20).await;
}

#[tokio::test]
async fn when_all_fail_all_are_still_asked_and_recovery_is_seen_at_once() {
    let failing = Arc::new(AtomicBool::new(true));
    let (one, two) = (moody(&failing).await, moody(&failing).await);
    let mut policy = ClusterPolicy::default();
    policy.breaker.min_open = Duration::from_secs(600);
    policy.breaker.max_open = Duration::from_secs(600);
    let world = world_with(Some(&[one.address, two.address]), |_| {}, policy);
    assert_eq!(failures(&world, 100).await, 100);
    assert_eq!(one.served() + two.served(), 100, "each call got its answer from a server");
    failing.store(false, Ordering::SeqCst);
    assert_eq!(failures(&world, 20).await, 0);
}

#[tokio::test]
async fn one_that_does_worse_than_the_others_is_ejected_and_counted() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, other) = (moody(&failing).await, Stub::start(echo).await, Stub::start(echo).await);
    let mut policy = ClusterPolicy::default();
    policy.breaker.consecutive_failures = 0;
    policy.outlier.interval = Duration::from_millis(50);
    let rule = FailurePercentage { minimum_hosts: 2, request_volume: 2, ..FailurePercentage::default() };
    policy.outlier = OutlierPolicy { failure_percentage: Some(rule), success_rate: None, ..policy.outlier };
    let world = world_with(Some(&[bad.address, good.address, other.address]), |_| {}, policy);
    let ejected = || {
        let text = world.telemetry.prometheus_text().unwrap();
        text.lines().any(|line| {
            line.starts_with("grpc_lb_outlier_detection_ejections_enforced") && line.contains("failure_percentage")
        })
    };
    call_until(&world, "an ejection", ejected).await;
    assert_eq!(failures(&world, 100).await, 0);
}

#[tokio::test]
async fn in_turn_each_gets_the_same_number_of_calls() {
    let stubs = [Stub::start(echo).await, Stub::start(echo).await, Stub::start(echo).await];
    let policy = ClusterPolicy { balance: Balance::RoundRobin, ..ClusterPolicy::default() };
    let world = world_with(Some(&stubs.each_ref().map(|stub| stub.address)), |_| {}, policy);
    call_until(&world, "calls to all", || stubs.iter().all(|stub| stub.served() > 0)).await;
    let before = stubs.each_ref().map(Stub::served);
    assert_eq!(failures(&world, 30).await, 0);
    let gained: Vec<_> = stubs.iter().zip(before).map(|(stub, before)| stub.served() - before).collect();
    assert_eq!(gained, [10, 10, 10]);
}

#[tokio::test]
async fn by_least_request_one_that_holds_calls_gets_no_more_of_them_while_another_is_idle() {
    let stuck = Stub::start(|_, respond| async move {
        let _held = respond;
        std::future::pending().await
    })
    .await;
    let idle = Stub::start(echo).await;
    let policy = ClusterPolicy { balance: Balance::LeastRequest, ..ClusterPolicy::default() };
    let world = world_with(Some(&[stuck.address]), |_| {}, policy);
    let held = {
        let mut client = tonic::client::Grpc::new(world.channel.clone());
        client.ready().await.unwrap();
        tokio::spawn(async move {
            let request = tonic::Request::new("hello".into());
            client.unary(request, super::support::PATH, super::support::Raws).await.map(drop)
        })
    };
    let limit = tokio::time::timeout(Duration::from_secs(10), async {
        while stuck.served() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    limit.await.expect("a call that is held");
    world.set(&[stuck.address, idle.address]);
    // The first of these wait until the other is connected, at the one that is stuck: they are given up.
    let answered = tokio::time::timeout(Duration::from_secs(10), async {
        while tokio::time::timeout(Duration::from_millis(50), world.call()).await.is_err() {}
    });
    answered.await.expect("the idle one is connected");
    let before = stuck.served();
    assert_eq!(failures(&world, 100).await, 0);
    assert_eq!(stuck.served(), before);
    held.abort();
}
