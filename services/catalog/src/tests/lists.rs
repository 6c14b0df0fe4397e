//! Lists with filters and orders.

use selvedge_proto::catalog::v1::{DeleteProductRequest, UpdateProductRequest};

use super::*;
use crate::store::SCHEMA;

async fn filled() -> Client {
    let mut client = Client::new().await;
    let money = |units| Some(Money { currency_code: "EUR".into(), units, nanos: 0 });
    for (id, display_name, units, tags, available_quantity) in [
        ("oak-loom", "Loom", 900, vec!["wood", "large"], 1),
        ("ash-loom", "Loom 100%", 700, vec!["wood"], 0),
        ("wool", "Wool", 9, vec![], 300),
        ("reed", "reed", 20, vec!["steel"], 5),
    ] {
        let (display_name, tags) = (display_name.into(), tags.into_iter().map(str::to_owned).collect());
        let product = Product { display_name, price: money(units), tags, available_quantity, ..loom() };
        client.create(id, product).await.unwrap();
    }
    client
}

impl Client {
    pub(super) async fn listed(&mut self, filter: &str, order_by: &str) -> Result<Vec<String>, Status> {
        let (filter, order_by) = (filter.into(), order_by.into());
        let request = ListProductsRequest { filter, order_by, ..Default::default() };
        let products = self.client.list_products(request).await?.into_inner().products;
        Ok(products.into_iter().map(|product| product.name.replace("products/", "")).collect())
    }
}

#[tokio::test]
async fn a_list_can_be_filtered_by_each_of_its_fields() {
    let mut client = filled().await;
    for (filter, listed) in [
        ("", vec!["oak-loom", "ash-loom", "wool", "reed"]),
        ("name = \"products/wool\"", vec!["wool"]),
        ("display_name = \"Loom\"", vec!["oak-loom"]),
        ("display_name = \"Loom*\"", vec!["oak-loom", "ash-loom"]),
        ("display_name = \"%\"", vec![]),
        ("owner = \"users/ada1\"", vec!["oak-loom", "ash-loom", "wool", "reed"]),
        ("owner != \"users/ada1\"", vec![]),
        ("price.currency_code = \"EUR\" AND price.units < 100", vec!["wool", "reed"]),
        ("available_quantity = 0 OR available_quantity > 100", vec!["ash-loom", "wool"]),
        ("tags:wood", vec!["oak-loom", "ash-loom"]),
        ("tags:wood NOT tags:large", vec!["ash-loom"]),
        ("create_time > 2020-01-01T00:00:00Z -tags:wood", vec!["wool", "reed"]),
        ("update_time < 2020-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(client.listed(filter, "").await.unwrap(), listed, "{filter}");
    }
}

#[tokio::test]
async fn a_list_can_be_ordered() {
    let mut client = filled().await;
    for (order_by, listed) in [
        ("name", ["ash-loom", "oak-loom", "reed", "wool"]),
        ("price.units", ["wool", "reed", "ash-loom", "oak-loom"]),
        ("display_name desc", ["reed", "wool", "ash-loom", "oak-loom"]),
        ("price.currency_code, price.units", ["wool", "reed", "ash-loom", "oak-loom"]),
        ("price.currency_code desc, price.units desc", ["oak-loom", "ash-loom", "reed", "wool"]),
        ("owner desc", ["reed", "wool", "ash-loom", "oak-loom"]),
    ] {
        assert_eq!(client.listed("", order_by).await.unwrap(), listed, "{order_by}");
    }
}

#[tokio::test]
async fn tags_are_found_as_they_are_after_each_change() {
    let mut client = filled().await;
    let product = Product { name: "products/reed".into(), tags: vec!["wood".into()], ..loom() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["tags".into()] });
    client.client.update_product(UpdateProductRequest { product: Some(product), update_mask }).await.unwrap();
    assert_eq!(client.listed("tags:wood", "").await.unwrap(), ["oak-loom", "ash-loom", "reed"]);
    assert!(client.listed("tags:steel", "").await.unwrap().is_empty());
    let gone = DeleteProductRequest { name: "products/oak-loom".into(), ..Default::default() };
    client.client.delete_product(gone).await.unwrap();
    assert_eq!(client.listed("tags:wood", "").await.unwrap(), ["ash-loom", "reed"]);
    // Its place in the order of creation is another's never, and its tags are nobody's.
    assert!(client.listed("tags:large", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_listed_is_a_violation() {
    let mut client = Client::new().await;
    for (filter, order_by, field) in [
        ("description = \"x\"", "", "filter"),
        ("tags = wood", "", "filter"),
        ("available_quantity = \"'; drop table products; --\"", "", "filter"),
        ("", "tags", "order_by"),
        ("", "available_quantity, display_name", "order_by"),
        ("", "price.currency_code, price.units desc", "order_by"),
        ("", "display_name; drop table products", "order_by"),
    ] {
        assert_eq!(violated(&client.listed(filter, order_by).await.unwrap_err()), [field]);
    }
}

#[tokio::test]
async fn seeds_are_a_series_that_is_always_the_same() {
    let (database, other) = (testing::fresh().await, testing::fresh().await);
    let open = async |url: &str| Store::new(database::open(url, SCHEMA).await.unwrap());
    let (one, other) = (open(&database).await, open(&other).await);
    assert_eq!((one.seed(0..30).await.unwrap(), one.seed(0..1_200).await.unwrap()), (30, 1_170));
    assert_eq!(other.seed(0..1_200).await.unwrap(), 1_200);
    for store in [&one, &other] {
        store.analyze().await.unwrap();
    }
    for id in ["product-0000000", "product-0000042", "product-0001199"] {
        let [one, other] = [one.get(id).await.unwrap(), other.get(id).await.unwrap()];
        // All but the place, which goes by when it was added.
        assert_eq!(one, crate::product::Product { sequence: one.sequence, ..other });
    }
}
