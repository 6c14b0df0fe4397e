//! What draws calls to some instances rather than to others: weights, hashes, zones; and copies of calls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic::{Code, Status};

use super::support::{PATH, Raws, Stub, World, echo, eventually, refuse, world_of};
use crate::{
    client::call::Tagged,
    config::Config,
    discovery::Instance,
    policy::{
        cluster::{Balance, ClusterPolicy},
        mirror::MirrorPolicy,
    },
};

/// Returns the instance of a stub, as a test changes it.
fn instance(stub: &Stub, change: impl FnOnce(&mut Instance)) -> Instance {
    let port = stub.address.port();
    let mut instance = Instance::at(format!("users-{port}"), stub.address.ip().to_string(), port);
    change(&mut instance);
    instance
}

async fn stubs<const N: usize>() -> [Stub; N] {
    let all = futures::future::join_all((0..N).map(|_| Stub::start(echo))).await;
    all.try_into().unwrap_or_else(|_| panic!("as many as were started"))
}

/// Makes calls until each stub was called.
async fn warm(world: &World, stubs: &[Stub]) {
    let called = tokio::time::timeout(Duration::from_secs(10), async {
        while stubs.iter().any(|stub| stub.served() == 0) {
            world.call().await.unwrap();
        }
    });
    called.await.expect("each is called");
}

/// Makes calls, and returns how many each stub got.
async fn shares(world: &World, stubs: &[Stub], calls: usize) -> Vec<usize> {
    let before: Vec<_> = stubs.iter().map(Stub::served).collect();
    for _ in 0..calls {
        world.call().await.unwrap();
    }
    stubs.iter().zip(before).map(|(stub, before)| stub.served() - before).collect()
}

#[tokio::test]
async fn in_turn_instances_get_calls_by_their_weights() {
    let stubs = stubs::<3>().await;
    let policy = ClusterPolicy { balance: Balance::RoundRobin, ..ClusterPolicy::default() };
    let world = world_of(&Config::new("test"), policy);
    let weights = [1, 3, 6];
    let weighted = |weights: [u32; 3]| {
        let instances = stubs.iter().zip(weights);
        instances.map(|(stub, weight)| instance(stub, |one| one.weight = weight)).collect::<Vec<_>>()
    };
    world.tell(weighted(weights));
    warm(&world, &stubs).await;
    for (weight, share) in weights.into_iter().zip(shares(&world, &stubs, 1_000).await) {
        assert!(share.abs_diff(weight as usize * 100) <= 5, "{share} for weight {weight}");
    }
    let connections = || stubs.iter().map(|stub| stub.connections.load(Ordering::SeqCst)).collect::<Vec<_>>();
    world.tell(weighted([6, 3, 1]));
    let turned =
        tokio::time::timeout(Duration::from_secs(10), async { while shares(&world, &stubs, 100).await[0] < 50 {} });
    turned.await.expect("other weights hold at once");
    assert_eq!(connections(), [1, 1, 1], "nobody is connected again for it");
}

/// Calls with a header, and returns which stub answered.
async fn called(world: &World, stubs: &[Stub], user: &str) -> usize {
    let before: Vec<_> = stubs.iter().map(Stub::served).collect();
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new("hello".into());
    request.metadata_mut().insert("x-user", user.parse().unwrap());
    client.unary(request, PATH, Raws).await.unwrap();
    let after = stubs.iter().zip(before).position(|(stub, before)| stub.served() > before);
    after.expect("one of them was called")
}

#[tokio::test]
async fn calls_of_one_key_go_to_one_instance_and_move_only_with_it() {
    for balance in [Balance::RingHash, Balance::Maglev] {
        let stubs = stubs::<4>().await;
        let mut policy = ClusterPolicy { balance, ..ClusterPolicy::default() };
        policy.hash.headers = vec!["x-user".into()];
        let world = world_of(&Config::new("test"), policy);
        let keyed = |number: usize| {
            let key = [("hash-key".to_owned(), format!("users-{number}"))];
            instance(&stubs[number], |one| one.meta = key.into())
        };
        world.tell((0..4).map(keyed).collect());
        // Without the header a call goes anywhere.
        warm(&world, &stubs).await;
        let users: Vec<_> = (0..60).map(|user| format!("user-{user}")).collect();
        let mut homes = BTreeMap::new();
        for user in users.iter().chain(&users) {
            let at = called(&world, &stubs, user).await;
            assert_eq!(*homes.entry(user).or_insert(at), at, "{user} stays");
        }
        assert_eq!(homes.values().collect::<std::collections::BTreeSet<_>>().len(), 4, "each has some");
        world.tell((1..4).map(keyed).collect());
        let gone =
            tokio::time::timeout(Duration::from_secs(10), async { while shares(&world, &stubs, 20).await[0] > 0 {} });
        gone.await.expect("the first has left");
        let mut moved = 0;
        for (user, home) in &homes {
            let at = called(&world, &stubs, user).await;
            assert_ne!(at, 0);
            moved += usize::from(*home != 0 && at != *home);
        }
        assert!(moved == 0 || balance == Balance::Maglev && moved <= 4, "{moved} others moved");
    }
}

/// A server that refuses every call while the switch is on.
async fn moody(failing: &Arc<AtomicBool>) -> Stub {
    let failing = Arc::clone(failing);
    let run = move |request, respond| {
        let failing = failing.load(Ordering::SeqCst);
        async move {
            match failing {
                true => refuse(respond, Code::Unavailable as i32).await,
                false => echo(request, respond).await,
            }
        }
    };
    Stub::start(run).await
}

#[tokio::test]
async fn calls_stay_in_the_own_zone_and_leave_it_when_it_is_not_well() {
    let failing = Arc::new(AtomicBool::new(false));
    let stubs = [moody(&failing).await, moody(&failing).await, Stub::start(echo).await, Stub::start(echo).await];
    let mut config = Config::new("test");
    config.registry.zone = Some("a".into());
    let mut policy = ClusterPolicy { balance: Balance::LeastRequest, ..ClusterPolicy::default() };
    policy.breaker.min_open = Duration::from_secs(60);
    let world = world_of(&config, policy);
    let zones = ["a", "a", "b", "b"];
    let zoned = stubs.iter().zip(zones).map(|(stub, zone)| instance(stub, |one| one.zone = Some(zone.into())));
    world.tell(zoned.collect());
    let open = |stub: &Stub| stub.open.load(Ordering::SeqCst) == 1;
    // The first calls may have no other choice.
    world.call().await.unwrap();
    eventually("all are connected", || stubs.iter().all(open)).await;
    let settled = tokio::time::timeout(Duration::from_secs(10), async {
        while shares(&world, &stubs, 20).await[2..] != [0, 0] {}
    });
    settled.await.expect("calls stay in the own zone");
    let own = shares(&world, &stubs, 100).await;
    assert_eq!((own[0] + own[1], own[2] + own[3]), (100, 0));
    failing.store(true, Ordering::SeqCst);
    let left = tokio::time::timeout(Duration::from_secs(10), async {
        let mut good = 0;
        while good < 100 {
            good = if world.call().await.is_ok() { good + 1 } else { 0 };
        }
    });
    left.await.expect("calls leave a zone that fails");
}

#[tokio::test]
async fn a_copy_is_marked_on_the_wire() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |request, respond| {
        let marked = request.headers().contains_key("x-selvedge-mirror");
        noted.lock().unwrap().push(marked);
        echo(request, respond)
    })
    .await;
    let mirror = MirrorPolicy { service: "users-next".into(), ..MirrorPolicy::default() };
    let policy = ClusterPolicy { mirror: Some(mirror), ..ClusterPolicy::default() };
    let world = world_of(&Config::new("test"), policy);
    world.tell(vec![instance(&stub, |_| {})]);
    assert_eq!(world.call().await.unwrap(), "hello");
    eventually("the copy", || seen.lock().unwrap().len() == 2).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [false, true]);
}

/// Calls as [`World::call`] does, and only where an instance has one of these tags.
async fn call_tagged(world: &World, tags: &[&str]) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new("hello".into());
    request.extensions_mut().insert(Tagged::any(tags.iter().map(|tag| (*tag).to_owned())));
    client.unary(request, PATH, Raws).await.map(drop)
}

#[tokio::test]
async fn a_call_for_a_tag_goes_only_where_it_is() {
    for balance in [Balance::PeakEwma, Balance::RoundRobin, Balance::RingHash, Balance::Maglev] {
        let stubs = stubs::<4>().await;
        let policy = ClusterPolicy { balance, ..ClusterPolicy::default() };
        let world = world_of(&Config::new("test"), policy);
        let tagged = |at: usize, tag: &str| instance(&stubs[at], |one| one.tags = vec!["grpc".into(), tag.into()]);
        let old = |at: usize| tagged(at, "old");
        world.tell(vec![old(0), old(1), old(2), old(3)]);
        warm(&world, &stubs).await;
        // It waits for `client.endpoint_wait`, by whatever its service is balanced.
        if balance == Balance::PeakEwma {
            let error = call_tagged(&world, &["new", "newer"]).await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable);
            assert!(error.message().contains("has the tag new or newer"), "{error}");
        }
        world.call().await.expect("others go on");

        world.tell(vec![old(0), old(1), old(2), tagged(3, "new")]);
        let before = stubs.iter().map(Stub::served).collect::<Vec<_>>();
        while call_tagged(&world, &["new"]).await.is_err() {}
        for _ in 0..20 {
            call_tagged(&world, &["new", "newer"]).await.unwrap();
        }
        let got = stubs.iter().zip(before).map(|(stub, before)| stub.served() - before).collect::<Vec<_>>();
        assert_eq!(got, [0, 0, 0, 21], "{balance:?}");
    }
}
