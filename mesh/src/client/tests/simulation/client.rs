//! The client host: calls all the time, while discovery stops and lies; looks at the end that nothing is left.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use rand::Rng as _;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::{Code, Request};

use super::{
    super::support::{PATH, Raws, World, options, world_with},
    CALLS, FLOOR, PERCENT, SERVERS, STORM,
    log::{Event, Log},
    name,
    server::{CALL, PORT},
};
use crate::{
    policy::{
        cluster::{BudgetPolicy, ClusterPolicy, LimitPolicy},
        method::Idempotency,
    },
    random,
};

/// What the clock of a host may be behind: it moves in ticks.
const TICKS: Duration = Duration::from_millis(40);
/// Calls that run at once at most; more are refused. A place that was not given back is missed in the end.
const PLACES: usize = 64;

pub(super) async fn run(log: Log) -> turmoil::Result {
    let before = Handle::current().metrics().num_alive_tasks();
    let addresses: Vec<_> = (0..SERVERS).map(|at| SocketAddr::new(turmoil::lookup(name(at)), PORT)).collect();
    let policy = ClusterPolicy {
        limit: Some(LimitPolicy { concurrency: PLACES, queue: 0 }),
        retry_budget: BudgetPolicy { percent: PERCENT, per_second: FLOOR },
        ..ClusterPolicy::default()
    };
    let settings = |config: &mut crate::ClientConfig| {
        (config.keepalive_interval, config.keepalive_timeout) = (Duration::from_secs(2), Duration::from_secs(1));
        config.connect_timeout = Duration::from_secs(1);
    };
    let world = Arc::new(world_with(Some(&addresses), settings, policy));
    let begun = Instant::now();
    let lies = tokio::spawn(lie(Arc::clone(&world), addresses.clone(), begun + STORM));
    let mut calls = JoinSet::new();
    let mut number = 0;
    while begun.elapsed() < CALLS {
        number += 1;
        calls.spawn(call(Arc::clone(&world), log.clone(), number));
        sleep(Duration::from_millis(random::rng().random_range(20..200))).await;
    }
    while calls.join_next().await.is_some() {}
    lies.await?;
    // Whatever is out comes back in, and what failed is forgotten.
    sleep(Duration::from_secs(60)).await;
    all_places_are_free(&world, &log).await;
    drop(world);
    sleep(Duration::from_secs(20)).await;
    let left = Handle::current().metrics().num_alive_tasks();
    if left > before {
        log.wrong(format!("{} tasks are left", left - before));
    }
    Ok(())
}

/// Says of the instances what is not so, and now and then what is.
async fn lie(world: Arc<World>, addresses: Vec<SocketAddr>, until: Instant) {
    while Instant::now() < until {
        sleep(Duration::from_millis(random::rng().random_range(500..6_000))).await;
        match random::rng().random_range(0..5) {
            0 => world.set(&addresses[..random::rng().random_range(0..=SERVERS)]),
            1 => {
                let nobody = SocketAddr::new(addresses[0].ip(), PORT + 1);
                world.set(&[&addresses[..1], &[nobody]].concat());
            }
            // What was said stays, however wrong.
            2 => {}
            _ => world.set(&addresses),
        }
    }
    world.set(&addresses);
}

async fn call(world: Arc<World>, log: Log, number: u64) {
    let (deadline, idempotent) =
        (Duration::from_millis(random::rng().random_range(100..3_000)), random::rng().random_bool(0.5));
    log.note(Event::Begun { call: number, idempotent });
    let begun = Instant::now();
    let code = attempt(&world, number, deadline, idempotent).await;
    if begun.elapsed() > deadline + TICKS {
        log.wrong(format!("call {number} took {:?}, and its deadline was {deadline:?}", begun.elapsed()));
    }
    log.note(Event::Ended { call: number, code });
}

async fn attempt(world: &World, number: u64, deadline: Duration, idempotent: bool) -> Code {
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    let mut request = Request::new(Bytes::from_static(b"how are you"));
    request.set_timeout(deadline);
    request.metadata_mut().insert(CALL, number.into());
    request.extensions_mut().insert(options(idempotent.then_some(Idempotency::Idempotent)));
    if client.ready().await.is_err() {
        return Code::Unknown;
    }
    let answered: Result<tonic::Response<Bytes>, _> = client.unary(request, PATH, Raws).await;
    answered.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// As many calls at once as there are places: one that was lost would be missed.
async fn all_places_are_free(world: &Arc<World>, log: &Log) {
    let deadline = Duration::from_secs(20);
    let calls = (0..PLACES).map(|_| attempt(world, 0, deadline, true));
    let codes = futures::future::join_all(calls).await;
    let failed: Vec<_> = codes.iter().filter(|code| !matches!(code, Code::Ok | Code::Unavailable)).collect();
    if !failed.is_empty() {
        log.wrong(format!("after all was well again, of {PLACES} calls at once these failed: {failed:?}"));
    }
}
