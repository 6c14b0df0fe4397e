//! Connections: more of them, lost ones, silent ones, and ones that leave.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::Notify;
use tonic::Code;

use tokio_util::sync::CancellationToken;

use super::{
    raw::{HEADERS, Raw, frame},
    support::{Stub, World, echo, eventually, finish, framed, grpc_head, send, world},
};
use crate::client::{
    changes::Changes,
    connect::Settings,
    pool::{Keeper, Pool, Target},
};

/// A server whose answers wait for `gate`.
async fn gated(builder: h2::server::Builder, gate: &Arc<Notify>) -> Stub {
    let gate = Arc::clone(gate);
    Stub::with(builder, "127.0.0.1:0", move |_, mut respond| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            let mut stream = respond.send_response(grpc_head(), false).unwrap();
            send(&mut stream, framed(b"late")).await;
            finish(&mut stream, 0);
        }
    })
    .await
}

fn begin(world: &World) -> tokio::task::JoinHandle<Result<bytes::Bytes, tonic::Status>> {
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    tokio::spawn(async move {
        client.ready().await.unwrap();
        let request = tonic::Request::new("hello".into());
        client.unary(request, super::support::PATH, super::support::Raws).await.map(tonic::Response::into_inner)
    })
}

#[tokio::test]
async fn a_peer_that_allows_one_stream_gets_more_connections_up_to_the_limit() {
    let (gate, mut builder) = (Arc::new(Notify::new()), h2::server::Builder::new());
    builder.max_concurrent_streams(1);
    let stub = gated(builder, &gate).await;
    let world = world(Some(&[stub.address]), |config| config.max_connections = 2);
    let calls: Vec<_> = (0..3).map(|_| begin(&world)).collect();
    eventually("a second connection", || stub.served() == 2).await;
    assert_eq!(stub.connections.load(Ordering::SeqCst), 2);
    for _ in 0..3 {
        gate.notify_one();
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "late");
    }
    assert_eq!(stub.connections.load(Ordering::SeqCst), 2);
}

/// A pool of connections to a stub, and the task that keeps them.
fn pool(stub: &Stub, threads: usize) -> (Arc<Pool>, tokio::task::JoinHandle<()>, CancellationToken) {
    let settings = Settings {
        connect_timeout: Duration::from_secs(5),
        max_header_bytes: 16_384,
        keepalive_interval: Duration::from_secs(60),
        keepalive_timeout: Duration::from_secs(60),
        spare_idle: Duration::from_millis(50),
        max_age: Duration::ZERO,
    };
    let (name, host, port) = ("stub".into(), stub.address.ip().to_string(), stub.address.port());
    let pool = Arc::new(Pool::new(Target { name, host, port, settings, max_connections: 2, threads }));
    let leaves = CancellationToken::new();
    let keeper = Keeper::new(Arc::clone(&pool), Changes::default());
    (Arc::clone(&pool), tokio::spawn(keeper.run(leaves.clone(), || ())), leaves)
}

#[tokio::test]
async fn each_thread_has_its_connection_when_many_calls_share_one() {
    for (threads, connections) in [(1, 1), (2, 2)] {
        let stub = Stub::start(echo).await;
        let (pool, _keeper, _leaves) = pool(&stub, threads);
        eventually("the first connection", || pool.is_ready()).await;
        let few: Vec<_> = (0..16).map(|_| pool.take().unwrap()).collect();
        assert!(few.iter().all(|slot| Arc::ptr_eq(&slot.wire, &few[0].wire)));
        let _more = pool.take().unwrap();
        if connections == 1 {
            let many: Vec<_> = (0..50).map(|_| pool.take().unwrap()).collect();
            tokio::task::yield_now().await;
            assert!(many.iter().all(|slot| Arc::ptr_eq(&slot.wire, &few[0].wire)), "one thread needs no second");
            continue;
        }
        eventually("the second connection", || pool.connections() == connections).await;
        let own = pool.take().unwrap();
        assert!((0..50).all(|_| Arc::ptr_eq(&pool.take().unwrap().wire, &own.wire)), "a thread keeps to its own");
        let of_another = || Arc::clone(&pool.take().unwrap().wire);
        // Every other thread of the process has it.
        let mut wires = (0..100).map(|_| std::thread::scope(|scope| scope.spawn(of_another).join().unwrap()));
        assert!(wires.any(|wire| !Arc::ptr_eq(&wire, &own.wire)), "another thread has another");
    }
}

#[tokio::test]
async fn connections_beyond_the_first_are_closed_when_idle() {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    let stub = Stub::with(builder, "127.0.0.1:0", echo).await;
    let (pool, keeper, leaves) = pool(&stub, 1);
    eventually("the first connection", || pool.is_ready()).await;

    let (first, spare) = (pool.take().unwrap(), pool.wait().await.unwrap());
    let open = || stub.open.load(Ordering::SeqCst);
    eventually("a second connection", || open() == 2).await;
    drop(first);
    assert!(spare.wire.was_used() && spare.wire.was_used(), "it is used as long as it carries a stream");
    drop(spare);
    eventually("the second is closed", || open() == 1).await;
    assert!(pool.take().is_some(), "the first is kept, though idle as well");
    assert_eq!(stub.connections.load(Ordering::SeqCst), 2);

    let first = pool.take().unwrap();
    assert!(pool.wait().await.is_ok(), "another is made when it is needed");
    drop(first);
    leaves.cancel();
    keeper.await.unwrap();
}

#[tokio::test]
async fn after_goaway_old_calls_end_and_new_ones_have_a_new_connection() {
    let gate = Arc::new(Notify::new());
    let stub = gated(h2::server::Builder::new(), &gate).await;
    let world = world(Some(&[stub.address]), |_| {});
    let old = begin(&world);
    eventually("the first call", || stub.served() == 1).await;
    stub.go_away();
    eventually("a new connection", || stub.connections.load(Ordering::SeqCst) == 2).await;
    let new = begin(&world);
    eventually("the second call", || stub.served() == 2).await;
    gate.notify_one();
    gate.notify_one();
    assert_eq!(old.await.unwrap().unwrap(), "late");
    assert_eq!(new.await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_replaced_before_it_is_given_up() {
    let gate = Arc::new(Notify::new());
    let stub = gated(h2::server::Builder::new(), &gate).await;
    let world = world(Some(&[stub.address]), |config| config.max_connection_age = Duration::from_millis(60));
    let old = begin(&world);
    eventually("the first call", || stub.served() == 1).await;
    eventually("a second connection", || stub.connections.load(Ordering::SeqCst) >= 3).await;
    let new = begin(&world);
    eventually("the second call", || stub.served() == 2).await;
    gate.notify_one();
    gate.notify_one();
    for call in [old, new] {
        assert_eq!(call.await.unwrap().unwrap(), "late", "no call fails for it");
    }
    let open = || stub.open.load(Ordering::SeqCst);
    eventually("those without calls are closed", || open() <= 2).await;
}

#[tokio::test]
async fn an_endpoint_that_leaves_lets_its_calls_end() {
    let gate = Arc::new(Notify::new());
    let stub = gated(h2::server::Builder::new(), &gate).await;
    let other = Stub::start(echo).await;
    let world = world(Some(&[stub.address]), |_| {});
    let old = begin(&world);
    eventually("the first call", || stub.served() == 1).await;
    world.set(&[other.address]);
    eventually("the other", || other.connections.load(Ordering::SeqCst) == 1).await;
    for _ in 0..20 {
        assert_eq!(world.call().await.unwrap(), "hello");
    }
    gate.notify_one();
    assert_eq!(old.await.unwrap().unwrap(), "late");
    assert_eq!((stub.served(), other.served()), (1, 20));
}

#[tokio::test]
async fn calls_after_the_last_handle_is_gone_may_end() {
    let gate = Arc::new(Notify::new());
    let stub = gated(h2::server::Builder::new(), &gate).await;
    let world = world(Some(&[stub.address]), |_| {});
    let call = begin(&world);
    eventually("the call", || stub.served() == 1).await;
    drop(world);
    gate.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    // It greets, takes the call, and then answers nothing, no ping either.
    let silent = Raw::start(|_, _, _, _| Vec::new()).await;
    let world = world(Some(&[silent.address]), |config| {
        config.keepalive_interval = Duration::from_millis(30);
        config.keepalive_timeout = Duration::from_millis(30);
        config.default_deadline = Duration::from_secs(60);
    });
    let status = tokio::time::timeout(Duration::from_secs(10), world.call()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains(&silent.address.to_string()), "{}", status.message());
}

#[tokio::test]
async fn a_quiet_peer_that_answers_pings_is_kept() {
    const PING: u8 = 6;
    let pings = Arc::new(Notify::new());
    let told = Arc::clone(&pings);
    let quiet = Raw::start(move |kind, flags, stream, payload| match (kind, flags) {
        (PING, 0) => {
            told.notify_one();
            frame(PING, 1, 0, payload)
        }
        // END_HEADERS and END_STREAM.
        (HEADERS, _) => frame(HEADERS, 5, stream, &trailers_only()),
        _ => Vec::new(),
    })
    .await;
    let world = world(Some(&[quiet.address]), |config| {
        config.keepalive_interval = Duration::from_millis(20);
        config.keepalive_timeout = Duration::from_secs(5);
    });
    assert_eq!(world.call().await.unwrap_err().code(), Code::Internal);
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(10), pings.notified()).await.unwrap();
    }
    assert_eq!(world.call().await.unwrap_err().code(), Code::Internal);
}

/// HPACK: `:status 200` from the static table, then literals without indexing.
fn trailers_only() -> Vec<u8> {
    let mut block = vec![0x88];
    for (name, value) in [("content-type", "application/grpc"), ("grpc-status", "13")] {
        block.push(0);
        block.push(u8::try_from(name.len()).unwrap());
        block.extend(name.bytes());
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.bytes());
    }
    block
}

#[tokio::test]
async fn a_server_that_comes_back_is_connected_again() {
    let stub = Stub::start(echo).await;
    let address = stub.address;
    let world = world(Some(&[address]), |config| config.endpoint_wait = Duration::from_secs(10));
    assert_eq!(world.call().await.unwrap(), "hello");
    stub.stop().await;
    let call = begin(&world);
    let _back = Stub::with(h2::server::Builder::new(), &address.to_string(), echo).await;
    // This one may have been on the old connection: then it was lost.
    let _ = call.await.unwrap();
    assert_eq!(world.call().await.unwrap(), "hello");
}
