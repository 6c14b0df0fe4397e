//! `--seed N`: fills the shop before it opens.

use std::{ops::Range, path::Path, time::Duration};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use selvedge_kit::database::{self, Limits};
use tokio::time::Instant;

use crate::options::Options;

/// Rows of one transaction: a page of an index is written once for all rows of it.
const BATCH: u64 = 50_000;
/// Products to one user.
const PRODUCTS_OF_A_USER: u64 = 10;

/// Adds this many products, and a tenth as many users, to what is there; what was seeded before stays as it is.
///
/// Returns what was added, as a line to print.
pub(crate) async fn run(options: &Options, data_dir: &Path, products: u64) -> anyhow::Result<String> {
    let began = Instant::now();
    let open = async |schema: database::Schema| {
        let url = options.database_of(schema.name, data_dir);
        database::open_within(&url, schema, Limits::of_bulk()).await.context("--seed")
    };
    let users = products.div_ceil(PRODUCTS_OF_A_USER);
    let database = open(selvedge_users::store::SCHEMA).await?;
    let store = selvedge_users::store::Store::new(database.clone());
    let users = batches("users", users, async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    database.close().await;

    let database = open(selvedge_catalog::store::SCHEMA).await?;
    let store = selvedge_catalog::store::Store::new(database.clone());
    let products = batches("products", products, async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    database.close().await;
    Ok(format!("seeded {products} products and {users} users in {} s\n", began.elapsed().as_secs()))
}

/// Adds rows batch by batch, with a bar on a terminal; returns how many were added.
async fn batches(
    what: &'static str,
    rows: u64,
    add: impl AsyncFn(Range<u64>) -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let style = ProgressStyle::with_template("{prefix:>8} {wide_bar} {human_pos}/{human_len} {eta}")?;
    let bar = ProgressBar::new(rows).with_prefix(what).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut added = 0;
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        let batch = first..rows.min(first + BATCH);
        bar.set_position(batch.end);
        added += add(batch).await.with_context(|| format!("--seed: the {what} cannot be added"))?;
    }
    bar.finish();
    Ok(added)
}
