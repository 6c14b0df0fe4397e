//! Databases of earlier builds, opened by this one.

use selvedge_kit::testing::Dump;
use selvedge_proto::catalog::v1::{ReserveStockRequest, WatchProductsRequest};

use super::*;

/// What the build with the first five steps left: two products, three changes of them, and a reservation that it answered.
/// When a release is made, what it leaves takes this one's place.
const RELEASED: Dump =
    Dump { sqlite: include_str!("released/sqlite.sql"), postgres: include_str!("released/postgres.sql") };

#[test]
fn committed_migrations_stay_as_they_are() {
    testing::unchanged(store::SCHEMA, include_str!("../../migrations/checksums.txt"));
}

#[tokio::test]
async fn a_database_of_an_earlier_build_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::restored(folder.path(), RELEASED).await;
    let mut client = Client::on(&url).await;
    let engine = client.get("products/engine-1").await.unwrap();
    assert_eq!((engine.available_quantity, engine.reserved_quantity), (7, 3));
    assert_eq!((engine.description.as_str(), engine.owner.as_str()), ("Computes.\n機関", "users/ada-1815"));
    assert_eq!(engine.tags, ["brass", "\"large\""]);
    assert_eq!(engine.price, Some(Money { currency_code: "GBP".into(), units: 17_000, nanos: 500_000_000 }));

    // What was answered is answered again, and moves nothing.
    let request_id = "0f8fad5b-d9cb-469f-a165-70867728950e".into();
    let again = ReserveStockRequest { name: engine.name.clone(), quantity: 3, request_id };
    assert_eq!(client.client.reserve_stock(again).await.unwrap().into_inner(), engine);
    let listed = client.list(0, "").await.unwrap().products;
    let names: Vec<_> = listed.iter().map(|product| product.name.as_str()).collect();
    assert_eq!(names, ["products/engine-1", "products/plain-1"]);

    // Changes go on where they were: the present state first, and then what is new.
    let all = WatchProductsRequest { include_present: true, ..Default::default() };
    let mut stream = client.client.watch_products(all).await.unwrap().into_inner();
    client.create("loom", loom()).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        let message = tokio::time::timeout(std::time::Duration::from_secs(20), stream.message()).await;
        told.push(message.expect("nothing is told").unwrap().unwrap().product.map(|product| product.name));
    }
    let told: Vec<_> = told.iter().map(Option::as_deref).collect();
    assert_eq!(told, [Some("products/engine-1"), Some("products/plain-1"), None, Some("products/loom")]);

    // Opened once more, nothing is left to do.
    assert_eq!(Client::on(&url).await.get("products/engine-1").await.unwrap(), engine);
}

#[tokio::test]
async fn a_database_of_every_earlier_step_comes_up_with_its_data() {
    let product =
        "insert into products (id, display_name, description, price_currency, price_units, price_nanos, owner_id,
         tags, available_quantity, create_time, update_time, revision)
         values ('loom', 'Loom', '', 'EUR', 1, 0, 'ada1', '[\"wood\", \"\\\"large\\\"\"]', 1, 1, 1, 1)";
    for earlier in testing::earlier(store::SCHEMA) {
        let folder = tempfile::tempdir().unwrap();
        let url = testing::shared(folder.path()).await;
        testing::left(&url, earlier, product).await;
        let mut client = Client::on(&url).await;
        let step = earlier.newest();
        for (filter, order_by) in [("tags:wood tags:\"\\\"large\\\"\"", ""), ("", "price.currency_code, price.units")] {
            assert_eq!(client.listed(filter, order_by).await.unwrap(), ["loom"], "from step {step}");
        }
        let all = WatchProductsRequest { include_present: true, ..Default::default() };
        let mut stream = client.client.watch_products(all).await.unwrap().into_inner();
        let told = stream.message().await.unwrap().unwrap().product.unwrap();
        assert_eq!((told.name.as_str(), told.reserved_quantity), ("products/loom", 0), "from step {step}");
    }
}
