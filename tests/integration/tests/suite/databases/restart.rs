//! A PostgreSQL that goes away and comes back: what callers hear, and what the registry does.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use selvedge_harness::{Embedded, LIMIT, Postgres, Program, eventually};
use selvedge_proto::catalog::v1::{GetProductRequest, ReserveStockRequest};
use serde_json::Value;
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use uuid::Uuid;

use crate::{
    databases::shop::{Ground, NAME, Shop, counted},
    instance::Instance,
};

/// The deadline of every call.
const DEADLINE: Duration = Duration::from_secs(10);
/// Callers at once.
const CALLERS: usize = 16;

#[derive(Debug, Default)]
struct Load {
    over: AtomicBool,
    reserved: AtomicUsize,
    refused: AtomicUsize,
    /// Refusals whose reservation may have been made all the same.
    unsure: AtomicUsize,
}

impl Load {
    /// Calls, a read and a write in turn, until it is over. What fails is UNAVAILABLE, and in time.
    async fn call(&self, shop: &Shop) -> anyhow::Result<()> {
        while !self.over.load(Ordering::Relaxed) {
            let read = async {
                let mut request = Request::new(GetProductRequest { name: NAME.into() });
                request.set_timeout(DEADLINE);
                shop.client().get_product(request).await.map(drop)
            };
            self.heard(&in_time(read).await?)?;
            let write = async {
                let request_id = Uuid::new_v4().to_string();
                let mut request = Request::new(ReserveStockRequest { name: NAME.into(), quantity: 1, request_id });
                request.set_timeout(DEADLINE);
                shop.client().reserve_stock(request).await.map(drop)
            };
            let written = in_time(write).await?;
            self.heard(&written)?;
            let count = if written.is_ok() { &self.reserved } else { &self.unsure };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn heard(&self, answer: &Result<(), Status>) -> anyhow::Result<()> {
        if let Err(status) = answer {
            ensure!(status.code() == Code::Unavailable, "{status}");
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A call that hangs past its deadline is an error of the test.
async fn in_time<T>(call: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(DEADLINE * 2, call).await.context("a call hangs past its deadline")
}

/// What an instance says of itself, as a whole and of its service.
async fn health(instance: &Instance) -> anyhow::Result<[ServingStatus; 2]> {
    let mut client = HealthClient::new(instance.connect().await?);
    let mut of = async |service: &str| {
        let asked = HealthCheckRequest { service: service.into() };
        anyhow::Ok(client.check(asked).await?.into_inner().status())
    };
    Ok([of("").await?, of("selvedge.catalog.v1.CatalogService").await?])
}

/// How many instances of the catalog the registry has, and how many of them pass.
async fn registered(shop: &Shop) -> anyhow::Result<(usize, usize)> {
    let count = async |query: &str| {
        let url = format!("{}/v1/health/service/catalog{query}", shop.registry.url());
        let found: Vec<Value> = reqwest::get(url).await?.error_for_status()?.json().await?;
        anyhow::Ok(found.len())
    };
    Ok((count("").await?, count("?passing").await?))
}

async fn becomes(shop: &Shop, status: ServingStatus, passing: usize) -> anyhow::Result<()> {
    eventually(LIMIT, async || {
        for instance in &shop.catalog {
            ensure!(health(instance).await? == [status; 2], "an instance is not {status:?}");
        }
        let registered = registered(shop).await?;
        ensure!(registered == (2, passing), "(known, passing) is {registered:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_under_load_is_unavailable_meanwhile_and_then_heals() -> anyhow::Result<()> {
    let Some(mut ground) = Ground::servers().await? else { return Ok(()) };
    let shop = Shop::open(&ground, 1_000_000).await?;
    let load = Load::default();
    let postgres = ground.postgres.as_mut().context("these are servers")?;
    becomes(&shop, ServingStatus::Serving, 2).await?;
    let work = try_join_all((0..CALLERS).map(|_| load.call(&shop)));
    let more = async |count: &AtomicUsize| {
        let enough = count.load(Ordering::Relaxed) + 2 * CALLERS;
        eventually(LIMIT, async || {
            ensure!(count.load(Ordering::Relaxed) >= enough, "{count:?} of {enough}");
            Ok(())
        })
        .await
    };
    let restarts = async {
        let restarts = async {
            more(&load.reserved).await?;
            for _ in 0..2 {
                postgres.stop().await?;
                more(&load.refused).await?;
                // Health and the registry tell of it, and nobody is deregistered.
                becomes(&shop, ServingStatus::NotServing, 0).await?;
                postgres.restart().await?;
                more(&load.reserved).await?;
                becomes(&shop, ServingStatus::Serving, 2).await?;
            }
            anyhow::Ok(())
        };
        let done = restarts.await;
        load.over.store(true, Ordering::Relaxed);
        done
    };
    let (worked, restarted) = tokio::join!(work, restarts);
    restarted?;
    worked?;
    for instance in &shop.catalog {
        let lines = instance.program.lines();
        let said = |what: &str| lines.iter().filter(|line| line.text.contains(what)).count();
        let said = [said("the database does not answer: not serving"), said("the database answers: serving")];
        ensure!(said == [2, 2], "health flapped: {said:?}");
    }
    let (reserved, unsure) = (load.reserved.into_inner(), load.unsure.into_inner());
    let made = usize::try_from(counted(&ground, "select reserved_quantity as n from products").await?)?;
    ensure!((reserved..=reserved + unsure).contains(&made), "{made} were made of {reserved}, {unsure} unsure");
    println!("postgresql restarted twice: {reserved} reservations answered, {unsure} refused as UNAVAILABLE");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_its_server_and_says_so_once() -> anyhow::Result<()> {
    let Some(mut postgres) = Postgres::start().await? else { return Ok(()) };
    postgres.stop().await?;
    let registry = Embedded::start().await?;
    let args = ["--registry", &registry.url(), "--database", &postgres.url()];
    let users = Program::spawn("selvedge-users", &args, &[])?;
    users.wait_for_line(|line| line.contains("it is waited for"), LIMIT).await?;
    // It can be ended meanwhile.
    let mut waiting = Program::spawn("selvedge-users", &args, &[])?;
    waiting.wait_for_line(|line| line.contains("it is waited for"), LIMIT).await?;
    waiting.terminate()?;
    ensure!(waiting.wait(LIMIT).await?.code() == Some(0), "{}", waiting.stderr());
    postgres.restart().await?;
    let users = Instance::ready(users).await?;
    let lines = users.program.lines();
    let told = lines.iter().filter(|line| line.text.contains("it is waited for")).count();
    ensure!(told <= 2 && lines.iter().any(|line| line.text.contains("the database is ready")), "{lines:?}");
    Ok(())
}
