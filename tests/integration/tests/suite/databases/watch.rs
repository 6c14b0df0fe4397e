//! Watches over many changes: nothing is missed, nothing repeated, and nobody who does not read costs much.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, ensure};
use futures::future::{try_join, try_join_all};
use prost_types::FieldMask;
use selvedge_harness::{LIMIT, eventually};
use selvedge_proto::catalog::v1::{
    Product, UpdateProductRequest, WatchProductsRequest, WatchProductsResponse,
    catalog_service_client::CatalogServiceClient, watch_products_response::Kind,
};
use tonic::{Code, Streaming};

use crate::databases::shop::{Ground, Shop, creation};

const CHANGES: usize = 10_000;
const WRITERS: usize = 2;
const CUTS: usize = 50;
const PRODUCTS: usize = 20;

/// Changes products through one instance, one product after the other: `<writer> <number>` is what they are called then.
async fn write(mut client: CatalogServiceClient<selvedge::Channel>, writer: usize) -> anyhow::Result<()> {
    for number in 0..CHANGES / WRITERS {
        let name = format!("products/loom-{}", number % PRODUCTS);
        let product = Product { name, display_name: format!("{writer} {number}"), ..Product::default() };
        let update_mask = Some(FieldMask { paths: vec!["display_name".into()] });
        client.update_product(UpdateProductRequest { product: Some(product), update_mask }).await?;
    }
    Ok(())
}

async fn watch(
    client: &mut CatalogServiceClient<selvedge::Channel>,
    token: &str,
) -> anyhow::Result<Streaming<WatchProductsResponse>> {
    let request = WatchProductsRequest { resume_token: token.into(), include_present: false };
    Ok(client.watch_products(request).await?.into_inner())
}

async fn next(stream: &mut Streaming<WatchProductsResponse>) -> anyhow::Result<WatchProductsResponse> {
    let message = tokio::time::timeout(LIMIT, stream.message()).await.context("nothing is told")??;
    message.context("the stream has no end of its own")
}

/// Reads all changes, and begins anew from the last token after each part of them, at the other instance.
async fn read(shop: &Shop, mut token: String) -> anyhow::Result<Vec<Product>> {
    let mut clients = [shop.client_at(0), shop.client_at(1)];
    let mut seen = Vec::new();
    for cut in 0..=CUTS {
        let mut stream = watch(&mut clients[cut % 2], &token).await?;
        let part = CHANGES * (cut + 1) / (CUTS + 1);
        while seen.len() < part {
            let message = next(&mut stream).await?;
            ensure!(message.kind() == Kind::Updated, "{message:?}");
            token = message.resume_token;
            seen.push(message.product.context("a change has its product")?);
        }
    }
    Ok(seen)
}

async fn changes(ground: &Ground) -> anyhow::Result<()> {
    let (engine, shop) = (ground.engine, Shop::open(ground, 1).await?);
    let ids = (0..PRODUCTS).map(|i| creation(&format!("loom-{i}"), 1));
    try_join_all(ids.map(|creation| async { shop.client().create_product(creation).await })).await?;
    let bookmark = next(&mut watch(&mut shop.client_at(0), "").await?).await?;
    let writers = try_join(write(shop.client_at(0), 0), write(shop.client_at(1), 1));
    let (_, seen) = try_join(writers, read(&shop, bookmark.resume_token)).await?;

    let mut last: HashMap<(String, usize), usize> = HashMap::new();
    let mut times = HashMap::new();
    for product in &seen {
        let (writer, number) = product.display_name.split_once(' ').context("a name of ours")?;
        let (writer, number) = (writer.parse::<usize>()?, number.parse::<usize>()?);
        // Each writer changes a product every so many numbers: the next one is told next, once.
        let expected = match last.get(&(product.name.clone(), writer)) {
            Some(last) => last + PRODUCTS,
            None => product.name.rsplit('-').next().context("an id of ours")?.parse()?,
        };
        ensure!(number == expected, "{engine}: {number} of {writer} came where {expected} is next");
        last.insert((product.name.clone(), writer), number);
        let time = product.update_time.map(|time| (time.seconds, time.nanos));
        ensure!(times.insert(product.name.clone(), time) < Some(time), "{engine}: {product:?} is out of order");
    }
    println!("{engine}: {} changes watched, cut and resumed {CUTS} times", seen.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_often_sees_each_change_once_on_sqlite() -> anyhow::Result<()> {
    changes(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_often_sees_each_change_once_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    changes(&ground).await
}

const IDLERS: usize = 32;
/// Far less than what is told to all of them.
const MOST_BYTES: u64 = 160 << 20;

/// The resident memory of a process.
fn resident(process: u32) -> anyhow::Result<u64> {
    let pages = fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = pages.split(' ').nth(1).context("statm has a second field")?.parse()?;
    Ok(pages * 4096)
}

/// Watchers that read one message and no more.
async fn idlers(ground: &Ground) -> anyhow::Result<()> {
    let engine = ground.engine;
    let shop = Shop::open_with(ground, 1, &[("SELVEDGE_SERVER__SEND_STALL", "1s")]).await?;
    for i in 0..200 {
        let mut large = creation(&format!("large-{i}"), 1);
        large.product = large.product.map(|product| Product { description: "語".repeat(10_000), ..product });
        shop.client().create_product(large).await?;
    }
    let before = resident(shop.catalog[0].program.id().context("it runs")?)?;
    let mut streams = Vec::new();
    for _ in 0..IDLERS {
        // A connection of its own: flow control of one does not hold up the others.
        let mut client = shop.client_of(0).await?;
        let request = WatchProductsRequest { resume_token: String::new(), include_present: true };
        let mut stream = client.watch_products(request).await?.into_inner();
        next(&mut stream).await?;
        streams.push((client, stream));
    }
    let metrics = format!("{}/metrics", shop.catalog[0].admin);
    eventually(LIMIT, async || {
        let text = reqwest::get(&metrics).await?.text().await?;
        let count = text.lines().filter(|line| {
            line.starts_with("grpc_server_call_duration_seconds_count") && line.contains("WatchProducts")
        });
        let count: usize = count.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
        ensure!(count == IDLERS, "{count} of {IDLERS} who do not read are ended");
        Ok(())
    })
    .await?;
    let after = resident(shop.catalog[0].program.id().context("it runs")?)?;
    ensure!(after < before + MOST_BYTES, "{engine}: {IDLERS} who do not read take {} MiB", (after - before) >> 20);
    for (_, mut stream) in streams {
        let end = loop {
            match tokio::time::timeout(LIMIT, stream.message()).await? {
                Ok(message) => ensure!(message.is_some(), "it has no end of its own"),
                Err(status) => break status.code(),
            }
        };
        ensure!(end == Code::ResourceExhausted, "{engine}: a reader that does not read ended with {end:?}");
    }
    println!("{engine}: {IDLERS} readers that do not read ended with {} MiB more", after.saturating_sub(before) >> 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_are_ended_and_cost_little_on_sqlite() -> anyhow::Result<()> {
    idlers(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_are_ended_and_cost_little_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    idlers(&ground).await
}
