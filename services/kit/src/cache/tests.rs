//! Copies in memory, and a Redis that does not answer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use selvedge::Telemetry;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::Instant};

use super::*;
use crate::database::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Thing {
    sequence: i64,
    revision: i64,
}

impl Versioned for Thing {
    fn version(&self) -> Version {
        Version { sequence: self.sequence, revision: self.revision }
    }
}

const KIND: Kind = Kind { collection: "things", format: 1 };

fn thing(sequence: i64, revision: i64) -> Thing {
    Thing { sequence, revision }
}

fn copies(options: Options) -> (Copies<Thing>, Telemetry) {
    let telemetry = Telemetry::new().unwrap();
    (Copies::new(Cache::open(options, "test", &telemetry).unwrap(), KIND), telemetry)
}

fn in_memory(limits: Limits) -> (Copies<Thing>, Telemetry) {
    copies(Options { location: Location::parse("memory").unwrap(), limits })
}

/// Reads where the database has this.
async fn read(copies: &Copies<Thing>, there: Option<Thing>) -> Option<Thing> {
    copies.read("a", || async { Ok(there) }).await.unwrap()
}

fn counted(telemetry: &Telemetry, result: &str) -> u64 {
    let text = telemetry.prometheus_text().unwrap();
    let label = format!("selvedge_result=\"{result}\"");
    let counts = text.lines().filter(|line| line.starts_with("selvedge_cache_reads_total") && line.contains(&label));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn a_copy_is_read_until_a_write_replaces_it() {
    let (copies, telemetry) = in_memory(Limits::default());
    assert_eq!(read(&copies, Some(thing(1, 1))).await, Some(thing(1, 1)));
    assert_eq!(read(&copies, Some(thing(1, 2))).await, Some(thing(1, 1)));
    copies.written("a", &thing(1, 3)).await;
    assert_eq!(read(&copies, None).await, Some(thing(1, 3)));
    assert_eq!((counted(&telemetry, "miss"), counted(&telemetry, "hit")), (1, 2));
}

#[tokio::test]
async fn what_was_read_before_a_write_does_not_replace_it() {
    let (copies, _) = in_memory(Limits::default());
    let (other, old) = (copies.clone(), thing(1, 1));
    let slow = copies.read("a", || async move {
        other.written("a", &thing(1, 2)).await;
        Ok(Some(old))
    });
    assert_eq!(slow.await.unwrap(), Some(thing(1, 1)));
    assert_eq!(read(&copies, None).await, Some(thing(1, 2)));
    // Nor does a write that was overtaken.
    copies.written("a", &thing(1, 1)).await;
    assert_eq!(read(&copies, None).await, Some(thing(1, 2)));
}

#[tokio::test]
async fn a_repetition_renews_the_copy_from_the_database() {
    let (copies, _) = in_memory(Limits::default());
    copies.written("a", &thing(1, 1)).await;
    copies.renew("a", || async { Ok(Some(thing(1, 2))) }).await.unwrap();
    assert_eq!(read(&copies, None).await, Some(thing(1, 2)));
    copies.renew("a", || async { Ok(None) }).await.unwrap();
    assert!(copies.renew("a", || async { Err(sqlx::Error::PoolTimedOut) }).await.is_err());
    assert_eq!(read(&copies, None).await, Some(thing(1, 2)));
}

#[tokio::test]
async fn a_deletion_is_known_until_the_name_is_given_again() {
    let (copies, _) = in_memory(Limits::default());
    copies.written("a", &thing(1, 7)).await;
    copies.deleted("a", &thing(1, 7)).await;
    assert_eq!(read(&copies, Some(thing(1, 7))).await, None);
    copies.written("a", &thing(1, 7)).await;
    assert_eq!(read(&copies, None).await, None);
    copies.written("a", &thing(2, 1)).await;
    assert_eq!(read(&copies, None).await, Some(thing(2, 1)));
}

#[tokio::test]
async fn a_missing_resource_is_remembered_briefly_and_hides_no_write() {
    let limits = Limits { missing_ttl: Duration::from_millis(50), ..Limits::default() };
    let (copies, _) = in_memory(limits);
    assert_eq!(read(&copies, None).await, None);
    copies.written("a", &thing(1, 1)).await;
    assert_eq!(read(&copies, None).await, Some(thing(1, 1)));
    let missing = async |there: Option<Thing>| copies.read("b", || async { Ok(there) }).await.unwrap();
    assert_eq!(missing(None).await, None);
    let found = async {
        while missing(Some(thing(2, 1))).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("it is remembered for ever");
}

#[tokio::test]
async fn of_many_who_want_the_same_one_asks_the_database() {
    let (copies, _) = in_memory(Limits::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let reads = (0..50).map(|_| {
        let asked = Arc::clone(&asked);
        copies.read("a", || async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(Some(thing(1, 1)))
        })
    });
    for found in join_all(reads).await {
        assert_eq!(found.unwrap(), Some(thing(1, 1)));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// Reads several where the database has all but `none`: what was found, and what the database was asked for.
async fn read_all(copies: &Copies<Thing>, ids: &[&str]) -> (Vec<Option<Thing>>, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    let load = |ids: Vec<String>| async move {
        told.lock().unwrap().extend(ids.clone());
        Ok(ids.into_iter().filter(|id| id != "none").map(|id| (id, thing(1, 1))).collect())
    };
    let found = copies.read_all(ids, load).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (found, asked)
}

#[tokio::test]
async fn of_several_the_database_is_asked_once_for_those_without_a_copy() {
    let (copies, telemetry) = in_memory(Limits::default());
    copies.written("b", &thing(1, 7)).await;
    let (found, asked) = read_all(&copies, &["c", "b", "none", "a", "c"]).await;
    assert_eq!(found, [Some(thing(1, 1)), Some(thing(1, 7)), None, Some(thing(1, 1)), Some(thing(1, 1))]);
    assert_eq!(asked, ["c", "none", "a"]);
    assert_eq!((counted(&telemetry, "miss"), counted(&telemetry, "hit")), (4, 1));
    // All of it is remembered, also that there is none.
    assert_eq!(read_all(&copies, &["none", "a", "c"]).await, (vec![None, found[3].clone(), found[0].clone()], vec![]));
    assert_eq!(read(&copies, None).await, Some(thing(1, 1)));
}

#[tokio::test]
async fn several_join_the_reads_that_are_under_way() {
    let (copies, _) = in_memory(Limits::default());
    let (answer, answered) = tokio::sync::oneshot::channel();
    let slow = copies.read("a", || async { Ok(answered.await.ok()) });
    let several = async {
        let (found, asked) = read_all(&copies, &["a", "b"]).await;
        assert_eq!((found, asked), (vec![Some(thing(1, 9)), Some(thing(1, 1))], vec!["b".to_owned()]));
    };
    let (mut slow, mut several) = (std::pin::pin!(slow), std::pin::pin!(several));
    assert!(futures::poll!(&mut slow).is_pending() && futures::poll!(&mut several).is_pending());
    answer.send(thing(1, 9)).unwrap();
    let (slow, ()) = tokio::join!(slow, several);
    assert_eq!(slow.unwrap(), Some(thing(1, 9)));
}

#[tokio::test]
async fn what_the_database_refuses_is_not_remembered() {
    let (copies, _) = in_memory(Limits::default());
    let refused = copies.read("a", || async { Err(sqlx::Error::PoolTimedOut) }).await;
    assert!(matches!(refused, Err(Failure::Unavailable(_))));
    assert_eq!(read(&copies, Some(thing(1, 1))).await, Some(thing(1, 1)));
}

#[tokio::test]
async fn what_another_release_wrote_is_not_read() {
    let telemetry = Telemetry::new().unwrap();
    let options = Options { location: Location::parse("memory").unwrap(), limits: Limits::default() };
    let of = |format| {
        let cache = Cache::open(options.clone(), "test", &telemetry).unwrap();
        Copies::<Thing>::new(cache, Kind { format, ..KIND })
    };
    let (old, new) = (of(1), of(2));
    old.written("a", &thing(1, 1)).await;
    assert_eq!(read(&new, Some(thing(1, 1))).await, Some(thing(1, 1)));
    old.written("a", &thing(1, 2)).await;
    assert_eq!(read(&new, Some(thing(1, 2))).await, Some(thing(1, 2)));
}

#[tokio::test]
async fn without_a_cache_every_read_asks_the_database() {
    let (copies, _) = copies(Options::default());
    copies.written("a", &thing(1, 1)).await;
    assert_eq!(read(&copies, None).await, None);
    assert_eq!(read(&copies, Some(thing(1, 2))).await, Some(thing(1, 2)));
    assert_eq!(read_all(&copies, &["none", "a"]).await.1, ["none", "a"]);
}

/// A server that takes connections and says nothing.
async fn mute() -> (TcpListener, Location) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    (listener, Location::parse(&url).unwrap())
}

#[tokio::test]
async fn a_redis_that_says_nothing_is_not_waited_for() {
    let (_listener, location) = mute().await;
    // Whoever waited for it would wait for long.
    let limits = Limits { timeout: Duration::from_secs(3600), ..Limits::default() };
    let (copies, telemetry) = copies(Options { location, limits });
    let begun = Instant::now();
    for revision in 0..100 {
        copies.written("a", &thing(1, revision)).await;
        assert_eq!(read(&copies, Some(thing(1, revision))).await, Some(thing(1, revision)));
    }
    assert_eq!(read_all(&copies, &["a", "none"]).await.0, [Some(thing(1, 1)), None]);
    assert!(begun.elapsed() < limits.timeout);
    assert_eq!(counted(&telemetry, "away"), 102);
}
