//! How the engines read: by the index that is meant, and never all rows, when there are many.

use std::env;

use anyhow::{bail, ensure};
use selvedge_catalog::store::{log, read, write};
use selvedge_kit::{
    database::{self, Database, Limits, Schema, Statement},
    list::{Asked, List},
    testing,
};
use selvedge_proto::catalog::v1::ListProductsRequest;

use crate::databases::shop::{Ground, Shop};

/// Users, and products, where not all that can be done is asked for: enough that to read all of them is the worst way.
const ROWS: u64 = 20_000;
/// Products where `SELVEDGE_TEST_ALL` is `1`, as `cargo xtask test --all` sets it.
const ALL_ROWS: u64 = 1_000_000;
/// Pages of the longest walk.
const MOST_PAGES: usize = 25;

/// A list that is asked for, and what the plans of SQLite and of PostgreSQL say.
struct Case {
    filter: &'static str,
    order_by: &'static str,
    says: [&'static str; 2],
}

const fn case(filter: &'static str, order_by: &'static str, says: [&'static str; 2]) -> Case {
    Case { filter, order_by, says }
}

/// By an index of the same name in both.
const fn by(filter: &'static str, order_by: &'static str, index: &'static str) -> Case {
    Case { filter, order_by, says: [index, index] }
}

const TAGS: [&str; 2] = ["SEARCH product_tags", "product_tags_pkey"];
/// The next rows in the order of creation, of which those are shown that the filter is true of.
const CREATED: &str = "products_create_time";

const OF_PRODUCTS: [Case; 26] = [
    by("", "", CREATED),
    case("name = \"products/product-0000042\"", "", ["autoindex_products_1 (id=?)", "products_id_key"]),
    case("name = \"products/product-00000*\"", "name", ["autoindex_products_1 (id>? AND id<?)", "products_id_key"]),
    case("", "name desc", ["autoindex_products_1", "products_id_key"]),
    by("display_name = \"Oak Loom 42\"", "", "products_display_name"),
    by("display_name = \"Oak*\"", "display_name", "products_display_name"),
    by("", "display_name desc", "products_display_name"),
    by("owner = \"users/user-0000004\"", "", "products_owner"),
    by("owner = \"users/user-0000004\" AND available_quantity > 0", "", "products_owner"),
    by("owner = \"users/user-0000004\" OR owner = \"users/user-0000007\"", "", "products_owner"),
    by("owner = \"users/user-0000004\" OR price.units = 10", "display_name", "products_owner"),
    // The rarest of what must all be true.
    by("price.currency_code = EUR AND price.units = 10", "", "products_units"),
    by("price.currency_code = EUR AND price.units < 10", "", "products_units"),
    by("price.units = 10", "", "products_units"),
    by("", "price.currency_code", "products_currency"),
    by("", "price.currency_code, price.units", "products_price"),
    by("price.currency_code = EUR", "price.currency_code desc, price.units desc", "products_price"),
    by("available_quantity = 0", "", "products_available"),
    // What is said of the order's own column, its index leads to.
    by("create_time < 2025-01-01T00:10:00Z", "", CREATED),
    by("create_time > 2025-01-01T00:10:00Z", "create_time desc", CREATED),
    by("", "update_time desc", "products_update_time"),
    // What is true of many rows is found on the way.
    by("available_quantity > 0", "", CREATED),
    by("NOT owner = \"users/user-0000004\"", "", CREATED),
    case("tags:wood", "", TAGS),
    case("tags:wood AND NOT tags:large", "", TAGS),
    case("tags:wood", "display_name", TAGS),
];

const OF_USERS: [Case; 6] = [
    by("", "", "users_create_time"),
    case("name = \"users/user-0000042\"", "", ["autoindex_users_1 (id=?)", "users_id_key"]),
    case("email = \"USER-0000042@example.com\"", "", ["autoindex_users_2 (email_key=?)", "users_email_key_key"]),
    case("", "email", ["autoindex_users_2", "users_email_key_key"]),
    by("", "display_name", "users_display_name"),
    by("create_time > 2020-01-01T00:00:00Z", "create_time desc", "users_create_time"),
];

/// What the stores read and lock by name or number, and what a watch begins with.
fn of_users() -> [(Statement, [&'static str; 2]); 2] {
    let says = ["autoindex_users_1 (id=?)", "users_id_key"];
    let id = "user-0000042";
    [(selvedge_users::store::by_id(id), says), (selvedge_users::store::lock(id), says)]
}

fn of_products() -> [(Statement, [&'static str; 2]); 5] {
    let says = ["autoindex_products_1 (id=?)", "products_id_key"];
    let id = |number: usize| format!("product-{number:07}");
    let many: Vec<_> = (0..100).map(id).collect();
    [
        (read::by_id(&id(42)), says),
        (read::by_ids(&many[..1]), says),
        (read::by_ids(&many), says),
        (write::lock(&id(42)), says),
        (log::present(7, 10_000, 50), ["SEARCH products USING INTEGER PRIMARY KEY (rowid>?)", "products_pkey"]),
    ]
}

/// Where a plan stands in [`Case::says`].
#[derive(Clone, Copy, Debug)]
enum Engine {
    Sqlite = 0,
    Postgres = 1,
}

/// Checks that no table is read from its beginning.
fn check(engine: Engine, what: &str, plan: &[String]) -> anyhow::Result<()> {
    const TABLES: [&str; 3] = ["SCAN users", "SCAN products", "SCAN product_tags"];
    let scans = |line: &String| match engine {
        Engine::Sqlite => TABLES.iter().any(|table| line.starts_with(table)) && !line.contains("USING"),
        Engine::Postgres => line.contains("Seq Scan"),
    };
    ensure!(!plan.iter().any(scans), "{engine:?}, {what}: all rows are read:\n{}", plan.join("\n"));
    Ok(())
}

/// Checks that a plan says what it should.
fn says(engine: Engine, what: &str, plan: &[String], says: [&str; 2]) -> anyhow::Result<()> {
    let (says, whole) = (says[engine as usize], plan.join("\n"));
    ensure!(whole.contains(says), "{engine:?}, {what}: no {says} in\n{whole}");
    check(engine, what, plan)
}

/// Checks the plans of the first and of the second page of each case; returns how many those were.
async fn lists(engine: Engine, database: &Database, list: List, cases: &[Case]) -> anyhow::Result<usize> {
    let mut count = 0;
    for &Case { filter, order_by, says: index } in cases {
        let asked = Asked { filter, order_by, ..Asked::default() };
        let first = list.read(asked)?;
        let token = first.page(database, |_| Ok(()), |()| 1).await?.next_token;
        let next = list.read(Asked { page_token: &token, ..asked })?;
        let what = format!("{} with {filter:?} by {order_by:?}", list.collection);
        for query in [first, next] {
            let mut plans = Vec::new();
            for statement in query.statements(database).await? {
                plans.push(testing::plan(database, statement).await);
            }
            // The last one reads the page; those before find out how.
            let [before @ .., page] = plans.as_slice() else { bail!("{what}: nothing is read") };
            says(engine, &what, page, index)?;
            before.iter().try_for_each(|plan| check(engine, &what, plan))?;
            count += plans.len();
        }
    }
    Ok(count)
}

async fn reads(
    engine: Engine,
    database: &Database,
    statements: impl IntoIterator<Item = (Statement, [&'static str; 2])>,
) -> anyhow::Result<usize> {
    let mut count = 0;
    for (statement, index) in statements {
        let what = format!("{statement:?}");
        says(engine, &what, &testing::plan(database, statement).await, index)?;
        count += 1;
    }
    Ok(count)
}

async fn bulk(url: &str, schema: Schema) -> anyhow::Result<Database> {
    Ok(database::open_within(url, schema, Limits::of_bulk()).await?)
}

/// Fills the databases, and checks the plans.
async fn plans(engine: Engine, ground: &Ground, rows: u64) -> anyhow::Result<()> {
    let users = bulk(&ground.database("users"), selvedge_users::store::SCHEMA).await?;
    let store = selvedge_users::store::Store::new(users.clone());
    seed(rows, async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    let of_users = lists(engine, &users, selvedge_users::store::LIST, &OF_USERS).await?
        + reads(engine, &users, of_users()).await?;
    users.close().await;

    let catalog = bulk(&ground.database("catalog"), selvedge_catalog::store::SCHEMA).await?;
    let store = selvedge_catalog::store::Store::new(catalog.clone());
    seed(rows, async |batch| Ok(store.seed(batch).await?)).await?;
    store.analyze().await?;
    let of_products = lists(engine, &catalog, selvedge_catalog::store::LIST, &OF_PRODUCTS).await?
        + reads(engine, &catalog, of_products()).await?;
    catalog.close().await;
    println!("{}: {} plans of {rows} rows, each by the index that is meant", ground.engine, of_users + of_products);
    Ok(())
}

/// Adds as many rows as there shall be, so many in one transaction.
async fn seed(rows: u64, add: impl AsyncFn(std::ops::Range<u64>) -> anyhow::Result<u64>) -> anyhow::Result<()> {
    const BATCH: u64 = 50_000;
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        add(first..rows.min(first + BATCH)).await?;
    }
    Ok(())
}

/// Walks through a list by pages of 1,000, through the mesh, whichever instance answers: how many there are.
async fn walked(shop: &Shop, &Case { filter, order_by, .. }: &Case) -> anyhow::Result<usize> {
    let (mut client, mut count, mut page_token) = (shop.client(), 0, String::new());
    for _ in 0..MOST_PAGES {
        let (filter, order_by) = (filter.into(), order_by.into());
        let asked = ListProductsRequest { page_size: 1_000, page_token, filter, order_by };
        let page = client.list_products(asked).await?.into_inner();
        count += page.products.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(count)
}

/// Walks through the lists of two processes of each service.
async fn walks(ground: &Ground, rows: u64) -> anyhow::Result<()> {
    let shop = Shop::open(ground, 1).await?;
    let mut counts = Vec::new();
    for case in &OF_PRODUCTS {
        counts.push(walked(&shop, case).await?);
    }
    // And the one of every shop.
    let most = usize::try_from(rows)? + 1;
    ensure!(counts[0] == most.min(MOST_PAGES * 1_000), "{} of {most} products are listed", counts[0]);
    println!("{}: of {rows} products, walks through the lists show {counts:?}", ground.engine);
    Ok(())
}

fn rows() -> u64 {
    if env::var("SELVEDGE_TEST_ALL").is_ok_and(|value| value == "1") { ALL_ROWS } else { ROWS }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_by_their_indexes_on_sqlite() -> anyhow::Result<()> {
    let ground = Ground::sqlite()?;
    plans(Engine::Sqlite, &ground, rows()).await?;
    walks(&ground, rows()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_by_their_indexes_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    plans(Engine::Postgres, &ground, rows()).await?;
    walks(&ground, rows()).await
}
