//! Servers that leave in good order: nobody loses a call by it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::support::{Stub, World, echo, options, world};
use crate::policy::method::Idempotency;

const CALLS: usize = 10_000;
const GO_AWAYS: usize = 50;
/// Calls at once.
const CALLERS: usize = 20;

/// Makes calls until enough are made and the last GOAWAY was sent, every other of a method that may be repeated; returns
/// why some failed.
async fn caller(world: Arc<World>, made: Arc<AtomicUsize>, over: Arc<AtomicBool>) -> Vec<String> {
    let mut failures = Vec::new();
    while made.load(Ordering::SeqCst) < CALLS || !over.load(Ordering::SeqCst) {
        let number = made.fetch_add(1, Ordering::SeqCst);
        let idempotency = if number.is_multiple_of(2) { Some(Idempotency::Idempotent) } else { None };
        if let Err(status) = world.unary("hello".into(), options(idempotency)).await {
            failures.push(format!("call {number}: {status:?}"));
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_calls_over_fifty_goaways_none_fails() {
    let acted = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&acted);
    let stubs = [(); 3].map(|()| {
        let counted = Arc::clone(&counted);
        Stub::start(move |request, respond| {
            counted.fetch_add(1, Ordering::SeqCst);
            echo(request, respond)
        })
    });
    let stubs = futures::future::join_all(stubs).await;
    let addresses: Vec<_> = stubs.iter().map(|stub| stub.address).collect();
    let (world, made) = (Arc::new(world(Some(&addresses), |_| {})), Arc::new(AtomicUsize::new(0)));
    let over = Arc::<AtomicBool>::default();
    let calling = || tokio::spawn(caller(Arc::clone(&world), Arc::clone(&made), Arc::clone(&over)));
    let callers: Vec<_> = (0..CALLERS).map(|_| calling()).collect();
    // One by one, evenly over the calls, and each on a connection that had none yet.
    for number in 0..GO_AWAYS {
        let (stub, due) = (&stubs[number % stubs.len()], (number + 1) * CALLS / (GO_AWAYS + 1));
        let anew = || stub.connections.load(Ordering::SeqCst) > number / stubs.len();
        let ready = || made.load(Ordering::SeqCst) >= due && anew();
        while !ready() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stub.go_away();
    }
    over.store(true, Ordering::SeqCst);
    let mut failures = Vec::new();
    for caller in callers {
        failures.extend(caller.await.unwrap());
    }
    assert!(failures.is_empty(), "{} failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    let connections: usize = stubs.iter().map(|stub| stub.connections.load(Ordering::SeqCst)).sum();
    assert!(connections >= GO_AWAYS, "each GOAWAY was on another connection: {connections}");
    assert_eq!(acted.load(Ordering::SeqCst), made.load(Ordering::SeqCst) as u64, "no server acted on a call twice");
}
