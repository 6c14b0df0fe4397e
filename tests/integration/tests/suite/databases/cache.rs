//! Reads by name with a cache: never older than the write, and never worse for a cache that is away.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use prost_types::FieldMask;
use selvedge_harness::{LIMIT, Redis, Slow, eventually};
use selvedge_proto::{
    catalog::v1::{GetProductRequest, Product, UpdateProductRequest, catalog_service_client::CatalogServiceClient},
    users::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use tokio::time::Instant;

use crate::{
    databases::shop::{Ground, NAME, Shop},
    instance::Instance,
};

/// The time to live of copies where they grow old.
const TTL: Duration = Duration::from_secs(2);
/// Readers at once.
const READERS: usize = 6;

/// The numbers that were written, and when each was answered.
#[derive(Debug, Default)]
struct Written {
    answered: Mutex<Vec<(Instant, u64)>>,
    over: AtomicBool,
    read: AtomicU64,
}

impl Written {
    /// The newest number that was answered so long ago.
    fn known(&self, ago: Duration) -> u64 {
        let now = Instant::now();
        let answered = self.answered.lock().expect("no reader panics with it");
        let known = answered.iter().rev().find(|(at, _)| now.duration_since(*at) >= ago);
        known.map_or(0, |(_, number)| *number)
    }

    fn newest(&self) -> u64 {
        self.known(Duration::ZERO)
    }
}

/// Writes numbers through one instance and the other, until it is over.
async fn write(mut clients: [CatalogServiceClient<selvedge::Channel>; 2], written: &Written) -> anyhow::Result<()> {
    for number in 1.. {
        if written.over.load(Ordering::Relaxed) {
            break;
        }
        let display_name = number.to_string();
        let product = Product { name: NAME.into(), display_name, ..Product::default() };
        let update_mask = Some(FieldMask { paths: vec!["display_name".into()] });
        let update = UpdateProductRequest { product: Some(product), update_mask };
        clients[usize::try_from(number % 2)?].update_product(update).await.context("a write failed")?;
        written.answered.lock().expect("no reader panics with it").push((Instant::now(), number));
    }
    Ok(())
}

/// Reads through one instance after the other: what was answered so long before must be seen.
async fn read(
    mut clients: [CatalogServiceClient<selvedge::Channel>; 2],
    written: &Written,
    oldest: Duration,
) -> anyhow::Result<()> {
    for turn in 0.. {
        if written.over.load(Ordering::Relaxed) {
            break;
        }
        let known = written.known(oldest);
        let request = GetProductRequest { name: NAME.into() };
        let product = clients[turn % 2].get_product(request).await.context("a read failed")?.into_inner();
        let number: u64 = product.display_name.parse().unwrap_or_default();
        ensure!(number >= known, "{number} was read after {known} was answered, {oldest:?} before");
        written.read.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads and writes at both instances while something else happens, and returns how much of each there was.
async fn traffic(
    shop: &Shop,
    oldest: Duration,
    meanwhile: impl AsyncFnOnce(&Written) -> anyhow::Result<()>,
) -> anyhow::Result<(u64, u64)> {
    let both = || [shop.client_at(0), shop.client_at(1)];
    let written = Written::default();
    let readers = try_join_all((0..READERS).map(|_| read(both(), &written, oldest)));
    let work = async { tokio::try_join!(readers, write(both(), &written)) };
    let meanwhile = async {
        let done = meanwhile(&written).await;
        written.over.store(true, Ordering::Relaxed);
        done
    };
    let (worked, done) = tokio::join!(work, meanwhile);
    worked?;
    done?;
    Ok((written.newest(), written.read.into_inner()))
}

/// Waits until so much more was written.
async fn more(written: &Written, count: u64) -> anyhow::Result<()> {
    let enough = written.newest() + count;
    eventually(LIMIT, async || {
        ensure!(written.newest() >= enough, "{} of {enough} are written", written.newest());
        Ok(())
    })
    .await
}

/// How many reads of an instance ended so: `hit`, `miss`, `error` or `away`.
async fn counted(instance: &Instance, result: &str) -> anyhow::Result<u64> {
    let text = reqwest::get(format!("{}/metrics", instance.admin)).await?.text().await?;
    let label = format!("selvedge_result=\"{result}\"");
    let counts = text.lines().filter(|line| line.starts_with("selvedge_cache_reads_total") && line.contains(&label));
    Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

async fn counted_at(instances: &[Instance], result: &str) -> anyhow::Result<u64> {
    let mut sum = 0;
    for instance in instances {
        sum += counted(instance, result).await?;
    }
    Ok(sum)
}

const WRITES: u64 = 300;

/// Patient enough for a busy machine: no answer of Redis is given up.
const PATIENT: &[(&str, &str)] = &[("SELVEDGE_CACHE_TIMEOUT", "30s")];

async fn reads_after_writes(ground: &Ground) -> anyhow::Result<()> {
    let (engine, shop) = (ground.engine, Shop::open_with(ground, 1, PATIENT).await?);
    let (writes, reads) = traffic(&shop, Duration::ZERO, async |written| more(written, WRITES).await).await?;
    ensure!(writes >= WRITES && reads > 0);
    if ground.redis.is_some() {
        ensure!(counted_at(&shop.catalog, "hit").await? > 0, "the cache knew nothing");
        ensure!(counted_at(&shop.catalog, "error").await? == 0, "the cache was given up");
    }
    println!("{engine}: {WRITES} writes and more, each read at once through another instance ({reads} reads)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_never_older_than_the_write_on_sqlite() -> anyhow::Result<()> {
    reads_after_writes(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_never_older_than_the_write_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    reads_after_writes(&ground).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_lost_meanwhile_no_read_is_older_than_the_time_to_live() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::servers().await? else { return Ok(()) };
    let shop = Shop::open_with(&ground, 1, &[("SELVEDGE_CACHE_TTL", "2s")]).await?;
    let redis = ground.redis.as_mut().context("these are servers")?;
    let (writes, reads) = traffic(&shop, TTL, async |written| {
        for _ in 0..3 {
            more(written, 50).await?;
            redis.kill().await?;
            more(written, 50).await?;
            redis.start_again().await?;
            more(written, 50).await?;
            redis.program().freeze()?;
            more(written, 50).await?;
            redis.program().thaw()?;
        }
        more(written, 50).await
    })
    .await?;
    println!("redis killed and frozen 3 times: {writes} writes, {reads} reads, none failed, none older than {TTL:?}");
    Ok(())
}

/// Calls GetUser through the mesh, so many at once, and returns how long each took.
async fn timed(shop: &Shop, calls: usize) -> anyhow::Result<Vec<Duration>> {
    const AT_ONCE: usize = 16;
    let callers = (0..AT_ONCE).map(|_| async {
        let mut users = UserServiceClient::new(shop.mesh.channel("users"));
        let mut took = Vec::new();
        for _ in 0..calls / AT_ONCE {
            let begun = Instant::now();
            users.get_user(GetUserRequest { name: "users/ada-1815".into() }).await.context("a read failed")?;
            took.push(begun.elapsed());
        }
        anyhow::Ok(took)
    });
    let mut all: Vec<_> = try_join_all(callers).await?.into_iter().flatten().collect();
    all.sort();
    Ok(all)
}

/// Reads while Redis is as it is, and returns how many of a thousand waited for it in vain; none may fail.
async fn waited(shop: &Shop, how: &str) -> anyhow::Result<u64> {
    const CALLS: usize = 4_000;
    let before = counted_at(&shop.users, "error").await?;
    let took = timed(shop, CALLS).await?;
    let waited = counted_at(&shop.users, "error").await? - before;
    let share = |part: usize| took[took.len() * part / 100].as_secs_f64() * 1_000.0;
    println!("redis {how}: p50 {:.2} ms, p99 {:.2} ms, {waited} of {} waited for it", share(50), share(99), took.len());
    Ok(waited * 1_000 / u64::try_from(took.len())?)
}

/// Checks that less than one of a hundred reads wait for a Redis that is away: each twice 40 ms at most.
async fn undisturbed(shop: &Shop, how: &str) -> anyhow::Result<()> {
    let waited = waited(shop, how).await?;
    ensure!(waited < 10, "redis {how}: {waited} of a thousand reads waited for it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_frozen_or_slow_fails_nothing_and_is_hardly_waited_for() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::servers().await? else { return Ok(()) };
    let shop = Shop::open(&ground, 1).await?;
    let redis = ground.redis.as_mut().context("these are servers")?;
    let used = async |before: u64| {
        eventually(LIMIT, async || {
            timed(&shop, 16).await?;
            ensure!(counted_at(&shop.users, "hit").await? > before, "the cache is not used");
            Ok(())
        })
        .await
    };
    used(0).await?;
    // A busy machine may give up a Redis that is there, too.
    waited(&shop, "there").await?;
    redis.program().freeze()?;
    undisturbed(&shop, "frozen").await?;
    redis.program().thaw()?;
    let hits = counted_at(&shop.users, "hit").await?;
    used(hits).await?;
    redis.kill().await?;
    undisturbed(&shop, "killed").await?;
    redis.start_again().await?;
    let hits = counted_at(&shop.users, "hit").await?;
    used(hits).await?;
    let lines = shop.users[0].program.lines();
    let said = |what: &str| lines.iter().filter(|line| line.text.contains(what)).count();
    let (away, back) = (said("the cache does not answer"), said("the cache answers"));
    // At the start it may not be connected yet.
    ensure!(away >= 2 && back == away, "{away} lines that it is away, {back} that it is back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_fails_nothing_and_is_hardly_waited_for() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::servers().await? else { return Ok(()) };
    let server = ground.cache().replace("redis://", "");
    let slow = Slow::to(server, Duration::from_millis(300)).await?;
    ground.cache_at = Some(format!("redis://{}", slow.address));
    let shop = Shop::open(&ground, 1).await?;
    undisturbed(&shop, "slow").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_redis_is_used_and_not_shown() -> anyhow::Result<()> {
    let Some(redis) = Redis::start_closed("pa55word").await? else { return Ok(()) };
    let mut ground = Ground::sqlite()?;
    ground.cache_at = Some(redis.url());
    let shop = Shop::open_with(&ground, 1, &[("SELVEDGE_LOG", "trace")]).await?;
    eventually(LIMIT, async || {
        timed(&shop, 16).await?;
        ensure!(counted_at(&shop.users, "hit").await? > 0, "the cache is not used");
        Ok(())
    })
    .await?;
    for instance in shop.users.iter().chain(&shop.catalog) {
        let shown = instance.program.lines().into_iter().find(|line| line.text.contains("pa55word"));
        ensure!(shown.is_none(), "{shown:?}");
    }
    Ok(())
}
