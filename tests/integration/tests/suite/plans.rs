//! How the engines read: by the index that is meant, and never all rows, when there are many.

use anyhow::ensure;
use selvedge_harness::Postgres;
use selvedge_kit::{
    database::{self, Database, Statement},
    list::{Asked, List},
    testing,
};
use tempfile::TempDir;

/// Users and products: enough that to read all of them is the worst way.
const ROWS: u64 = 20_000;

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

/// Rows in the order of creation, until there are enough.
const WALK: [&str; 2] = ["products", "products_pkey"];
const TAGS: [&str; 2] = ["SEARCH product_tags", "product_tags_pkey"];

const OF_PRODUCTS: [Case; 20] = [
    case("", "", WALK),
    case("name = \"products/product-0000042\"", "", ["autoindex_products_1 (id=?)", "products_id_key"]),
    case("name = \"products/product-00000*\"", "name", ["autoindex_products_1 (id>? AND id<?)", "products_id_key"]),
    case("", "name desc", ["autoindex_products_1", "products_id_key"]),
    by("display_name = \"Oak Loom 42\"", "", "products_display_name"),
    by("display_name = \"Oak*\"", "display_name", "products_display_name"),
    by("", "display_name desc", "products_display_name"),
    by("owner = \"users/user-0000004\"", "", "products_owner"),
    by("owner = \"users/user-0000004\" AND available_quantity > 0", "", "products_owner"),
    by("owner = \"users/user-0000004\" OR owner = \"users/user-0000007\"", "", "products_owner"),
    by("price.currency_code = EUR AND price.units < 10", "", "products_units"),
    by("", "price.currency_code", "products_currency"),
    by("available_quantity = 0", "", "products_available"),
    by("create_time < 2025-01-01T00:10:00Z", "", "products_create_time"),
    by("", "update_time desc", "products_update_time"),
    // What is true of most rows is found on the way.
    case("available_quantity > 0", "", WALK),
    case("NOT owner = \"users/user-0000004\"", "", WALK),
    case("tags:wood", "", TAGS),
    case("tags:wood AND NOT tags:large", "", TAGS),
    by("tags:wood", "display_name", "products_display_name"),
];

const OF_USERS: [Case; 6] = [
    case("", "", ["users", "users_pkey"]),
    case("name = \"users/user-0000042\"", "", ["autoindex_users_1 (id=?)", "users_id_key"]),
    case("email = \"USER-0000042@example.com\"", "", ["autoindex_users_2 (email_key=?)", "users_email_key_key"]),
    case("", "email", ["autoindex_users_2", "users_email_key_key"]),
    by("", "display_name", "users_display_name"),
    by("create_time > 2020-01-01T00:00:00Z", "create_time desc", "users_create_time"),
];

/// What is read by name or number, as the stores write it.
const READS: [(&str, &str, [&str; 2]); 4] = [
    ("users", "select * from users where id = $1", ["autoindex_users_1 (id=?)", "users_id_key"]),
    ("catalog", "select * from products where id = $1", ["autoindex_products_1 (id=?)", "products_id_key"]),
    ("catalog", "select * from products where id in ($1, $1)", ["autoindex_products_1 (id=?)", "products_id_key"]),
    ("catalog", "update products set revision = revision where id = $1 returning *", ["(id=?)", "products_id_key"]),
];

/// Where a plan stands in [`Case::says`].
#[derive(Clone, Copy, Debug)]
enum Engine {
    Sqlite = 0,
    Postgres = 1,
}

/// Checks that a plan says what it should, and that no table is read whole.
fn check(engine: Engine, what: &str, plan: &[String], says: [&str; 2]) -> anyhow::Result<()> {
    let says = says[engine as usize];
    let whole = plan.join("\n");
    ensure!(whole.contains(says), "{engine:?}, {what}: no {says} in\n{whole}");
    let scanned = match engine {
        // Without an index and without a sort, it walks in the order of creation, and ends when it has enough.
        Engine::Sqlite => {
            let scans = plan.iter().any(|line| line.starts_with("SCAN ") && !line.contains("USING INDEX"));
            scans && whole.contains("TEMP B-TREE")
        }
        Engine::Postgres => whole.contains("Seq Scan"),
    };
    ensure!(!scanned, "{engine:?}, {what}: all rows are read:\n{whole}");
    Ok(())
}

/// Checks the plans of the first and of the second page of each case; returns how many those were.
async fn lists(engine: Engine, database: &Database, list: List, cases: &[Case]) -> anyhow::Result<usize> {
    let mut count = 0;
    for &Case { filter, order_by, says } in cases {
        let asked = Asked { filter, order_by, ..Asked::default() };
        let first = list.read(asked)?;
        let token = first.page(database, |_| Ok(()), |()| 1).await?.next_token;
        let next = list.read(Asked { page_token: &token, ..asked })?;
        for query in [first, next] {
            let plan = testing::plan(database, query.statement()).await;
            check(engine, &format!("{} with {filter:?} by {order_by:?}", list.collection), &plan, says)?;
            count += 1;
        }
    }
    Ok(count)
}

async fn reads(engine: Engine, database: &Database, service: &str) -> anyhow::Result<usize> {
    let reads = READS.into_iter().filter(|(of, ..)| *of == service);
    let mut count = 0;
    for (_, sql, says) in reads {
        let plan = testing::plan(database, Statement::new(sql).bind("user-0000042")).await;
        check(engine, sql, &plan, says)?;
        count += 1;
    }
    Ok(count)
}

async fn plans(engine: Engine, users: &str, catalog: &str) -> anyhow::Result<()> {
    let users = database::open(users, selvedge_users::store::SCHEMA).await?;
    let store = selvedge_users::store::Store::new(users.clone());
    store.seed(0..ROWS).await?;
    store.analyze().await?;
    let of_users = lists(engine, &users, selvedge_users::store::LIST, &OF_USERS).await?;
    let of_users = of_users + reads(engine, &users, "users").await?;

    let catalog = database::open(catalog, selvedge_catalog::store::SCHEMA).await?;
    let store = selvedge_catalog::store::Store::new(catalog.clone());
    store.seed(0..ROWS).await?;
    store.analyze().await?;
    let of_products = lists(engine, &catalog, selvedge_catalog::store::LIST, &OF_PRODUCTS).await?;
    let of_products = of_products + reads(engine, &catalog, "catalog").await?;
    println!("{engine:?}: {} plans of {ROWS} rows, each by the index that is meant", of_users + of_products);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_by_their_indexes_on_sqlite() -> anyhow::Result<()> {
    let data = TempDir::new()?;
    let url = |name: &str| database::url(&data.path().join(format!("{name}.db")));
    plans(Engine::Sqlite, &url("users"), &url("catalog")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_by_their_indexes_on_postgresql() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::start().await? else { return Ok(()) };
    plans(Engine::Postgres, &postgres.url(), &postgres.url()).await
}
