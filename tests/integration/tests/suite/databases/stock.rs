//! Pieces are reserved once: whoever asks, however often, and whatever dies meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use futures::future::{join_all, try_join_all};
use selvedge_harness::{LIMIT, eventually};
use selvedge_proto::catalog::v1::{WatchProductsRequest, catalog_service_client::CatalogServiceClient};
use tokio::sync::Semaphore;
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    databases::shop::{Ground, Shop, counted, reserve},
    instance::Instance,
};

/// Reads on from a token until so many pieces are left, or to the end of the stream: what was left each time.
async fn watched(instance: &Instance, token: &mut String, until: Option<i64>) -> anyhow::Result<(Vec<i64>, Code)> {
    let channel: Channel = instance.connect().await?;
    let request = WatchProductsRequest { resume_token: token.clone(), include_present: false };
    let mut stream = CatalogServiceClient::new(channel).watch_products(request).await?.into_inner();
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(LIMIT, stream.message()).await? {
            Ok(message) => {
                let message = message.context("the stream has no end of its own")?;
                *token = message.resume_token;
                seen.extend(message.product.map(|product| product.available_quantity));
            }
            Err(status) => {
                let info = status.get_details_error_info().context("no details")?;
                ensure!(info.metadata["resume_token"] == *token, "{status}");
                return Ok((seen, status.code()));
            }
        }
        if until.is_some() && seen.last().copied() == until {
            return Ok((seen, Code::Ok));
        }
    }
}

/// 200 want one of 100 pieces, and each asks twice; a watcher sees each reservation once, also when its instance leaves.
async fn reservations(ground: &Ground) -> anyhow::Result<()> {
    let (engine, shop) = (ground.engine, Shop::open(ground, 100).await?);
    let mut token = String::new();
    let ids: Vec<_> = (0..200).map(|_| Uuid::new_v4().to_string()).collect();
    let (leaving, staying) = (&shop.catalog[0], &shop.catalog[1]);
    let watch = watched(leaving, &mut token, None);
    let work = async {
        // Until the watch is there: what comes before it, it is not told.
        eventually(LIMIT, async || {
            let metrics = reqwest::get(format!("{}/metrics", leaving.admin)).await?.text().await?;
            ensure!(metrics.lines().any(|line| line.contains("started") && line.contains("WatchProducts")), "no watch");
            Ok(())
        })
        .await?;
        for round in 0..2 {
            let answers = join_all(ids.iter().map(|id| shop.reserve(id))).await;
            let taken = answers.iter().filter(|answer| answer.is_ok()).count();
            let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
            for status in refused {
                ensure!(status.code() == Code::FailedPrecondition, "{engine}, round {round}: {status}");
            }
            ensure!(taken == 100, "{engine}, round {round}: {taken} were reserved");
            if round == 0 {
                leaving.program.terminate()?;
            }
        }
        anyhow::Ok(())
    };
    let (watch, work) = tokio::join!(watch, work);
    work?;
    let (mut seen, code) = watch?;
    ensure!(code == Code::Unavailable, "{engine}: the watch ended with {code:?}");
    if seen.last() != Some(&0) {
        seen.extend(watched(staying, &mut token, Some(0)).await?.0);
    }
    let all: Vec<_> = (0..100).rev().collect();
    ensure!(seen == all, "{engine}: {seen:?}");
    let left = shop.product().await?;
    ensure!((left.available_quantity, left.reserved_quantity) == (0, 100), "{engine}: {left:?}");
    println!("{engine}: 100 of 200 reserved twice, {} changes watched", seen.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pieces_are_reserved_a_hundred_times_on_sqlite() -> anyhow::Result<()> {
    reservations(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pieces_are_reserved_a_hundred_times_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    reservations(&ground).await
}

/// Instances that are killed in the middle of calls.
const KILLS: usize = 6;
/// Reservations between two of them.
const STEP: usize = 50;
/// Calls at once.
const CALLERS: usize = 16;

/// Reserves with one id until that succeeds, as a caller does who wants the piece.
async fn insist(shop: &CatalogServiceClient<selvedge::Channel>, id: &str) -> anyhow::Result<()> {
    eventually(LIMIT, async || match reserve(shop.clone(), id).await {
        Ok(_) => Ok(Ok(())),
        Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => Err(status.into()),
        Err(status) => Ok(Err(status)),
    })
    .await?
    .map_err(Into::into)
}

/// Instances are killed while calls run at them; the mesh repeats the calls, and so do the callers.
async fn killings(ground: &Ground) -> anyhow::Result<()> {
    let engine = ground.engine;
    let mut shop = Shop::open(ground, 1_000_000).await?;
    let (allowed, begun, made) = (Semaphore::new(STEP), AtomicUsize::new(0), AtomicUsize::new(0));
    let client = shop.client();
    let callers = try_join_all((0..CALLERS).map(|_| async {
        while begun.fetch_add(1, Ordering::Relaxed) < STEP * (KILLS + 1) {
            allowed.acquire().await?.forget();
            insist(&client, &Uuid::new_v4().to_string()).await?;
            made.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    }));
    let killer = async {
        for kill in 0..KILLS {
            // In the middle of what the callers do.
            eventually(LIMIT, async || {
                ensure!(made.load(Ordering::Relaxed) >= kill * STEP + STEP / 4, "nothing is reserved");
                Ok(())
            })
            .await?;
            allowed.add_permits(STEP);
            shop.replace(kill % 2).await?;
        }
        anyhow::Ok(())
    };
    let (called, killed) = tokio::join!(callers, killer);
    killed?;
    called?;
    let wanted = i64::try_from(made.into_inner())?;
    ensure!(wanted == i64::try_from(STEP * (KILLS + 1))?);
    // Read by name: never older than what was answered, though who did it may have died before it told the cache.
    let product = shop.product().await?;
    ensure!(product.reserved_quantity == wanted, "{engine}: {} of {wanted} are told", product.reserved_quantity);
    for (what, sql) in [
        ("pieces", "select reserved_quantity as n from products"),
        ("requests", "select count(*) as n from requests where method = 'ReserveStock'"),
        ("changes", "select count(*) as n from changes where kind = 'updated'"),
    ] {
        let count = counted(ground, sql).await?;
        ensure!(count == wanted, "{engine}: {count} {what} in the database for {wanted} reservations");
    }
    println!("{engine}: {KILLS} instances killed, each reservation made once, {wanted} in all");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reservation_is_made_twice_when_instances_are_killed_on_sqlite() -> anyhow::Result<()> {
    killings(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reservation_is_made_twice_when_instances_are_killed_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    killings(&ground).await
}
