//! Updates, deletions and batches.

use prost_types::FieldMask;
use selvedge_proto::catalog::v1::{BatchGetProductsRequest, DeleteProductRequest, UpdateProductRequest};

use super::*;

impl Client {
    async fn update(&mut self, product: Product, paths: &[&str]) -> Result<Product, Status> {
        let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        let request = UpdateProductRequest { product: Some(product), update_mask };
        self.client.update_product(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&mut self, name: &str, etag: &str) -> Result<(), Status> {
        let request = DeleteProductRequest { name: name.into(), etag: etag.into() };
        self.client.delete_product(request).await.map(tonic::Response::into_inner)
    }

    async fn batch(&mut self, names: &[&str]) -> Result<Vec<String>, Status> {
        let names = names.iter().map(ToString::to_string).collect();
        let response = self.client.batch_get_products(BatchGetProductsRequest { names }).await?;
        Ok(response.into_inner().products.into_iter().map(|product| product.name).collect())
    }
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_nothing_else() {
    let mut client = Client::new().await;
    let old = client.create("loom", loom()).await.unwrap();
    let wanted = Product { name: old.name.clone(), display_name: "Big loom".into(), ..Product::default() };
    let new = client.update(wanted, &["display_name"]).await.unwrap();
    assert_ne!(new.etag, old.etag);
    let expected = Product {
        display_name: "Big loom".into(),
        etag: new.etag.clone(),
        update_time: new.update_time,
        ..old.clone()
    };
    assert_eq!(new, expected);
    assert_eq!(client.get("products/loom").await.unwrap(), new);
    let all = Product { name: old.name.clone(), available_quantity: 0, tags: vec![], ..loom() };
    let all = client.update(all, &["*"]).await.unwrap();
    assert_eq!((all.display_name.as_str(), all.available_quantity, all.tags.len()), ("Loom", 0, 0));
}

#[tokio::test]
async fn an_update_with_a_stale_etag_is_aborted() {
    let mut client = Client::new().await;
    let old = client.create("loom", loom()).await.unwrap();
    let change = Product { name: old.name.clone(), available_quantity: 9, etag: old.etag.clone(), ..loom() };
    client.update(change.clone(), &["available_quantity"]).await.unwrap();
    let status = client.update(change, &["available_quantity"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_STALE"));
    let status = client.delete("products/loom", &old.etag).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
}

#[tokio::test]
async fn an_update_of_nothing_leaves_the_product_as_it_is() {
    let mut client = Client::new().await;
    let old = client.create("loom", loom()).await.unwrap();
    let same = client.update(Product { name: old.name.clone(), ..Product::default() }, &[]).await.unwrap();
    assert_eq!(same, old);
}

#[tokio::test]
async fn all_that_is_wrong_with_an_update_is_told_at_once() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    let wrong = Product { name: "loom".into(), display_name: "\0".into(), owner: "ada".into(), ..loom() };
    let status = client.update(wrong.clone(), &["display_name", "owner"]).await.unwrap_err();
    assert_eq!(violated(&status), ["product.name", "product.display_name", "product.owner"]);
    for mask in [&["shoe_size"][..], &["*", "tags"], &["price.units"]] {
        let product = Product { name: "products/loom".into(), ..loom() };
        assert_eq!(violated(&client.update(product, mask).await.unwrap_err()), ["update_mask"], "{mask:?}");
    }
    let stranger = Product { name: "products/loom".into(), owner: "users/nobody".into(), ..loom() };
    assert_eq!(violated(&client.update(stranger, &["owner"]).await.unwrap_err()), ["product.owner"]);
    let status = client.update(Product { name: "products/none".into(), ..loom() }, &["tags"]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_deleted_product_is_gone_and_its_id_is_free() {
    let mut client = Client::new().await;
    let old = client.create("loom", loom()).await.unwrap();
    client.delete("products/loom", &old.etag).await.unwrap();
    assert_eq!(client.get("products/loom").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.delete("products/loom", "").await.unwrap_err().code(), Code::NotFound);
    assert_ne!(client.create("loom", loom()).await.unwrap().etag, old.etag);
}

#[tokio::test]
async fn a_batch_is_answered_in_the_order_of_its_names_or_not_at_all() {
    let mut client = Client::new().await;
    for id in ["loom", "yarn", "wool"] {
        client.create(id, loom()).await.unwrap();
    }
    let names = ["products/wool", "products/loom", "products/wool"];
    assert_eq!(client.batch(&names).await.unwrap(), names);
    let status = client.batch(&["products/none", "products/loom", "products/gone"]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let told = status.message();
    assert!(told.contains("products/none") && told.contains("products/gone") && !told.contains("loom"), "{told}");
    assert_eq!(violated(&client.batch(&["products/loom", "loom"]).await.unwrap_err()), ["names[1]"]);
    for count in [0, 101, 100_000] {
        assert_eq!(violated(&client.batch(&vec!["products/loom"; count]).await.unwrap_err()), ["names"]);
    }
}
