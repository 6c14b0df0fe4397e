//! The service as its clients see it: the generated client, over the routes, without a network and without users.

mod change;
mod lists;
mod migrations;
mod stock;
mod watch;

use selvedge_kit::{database, testing};
use selvedge_proto::{
    catalog::v1::{
        CreateProductRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Product,
        catalog_service_client::CatalogServiceClient,
    },
    google::r#type::Money,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::owners::LookupError;

const LONGEST: usize = 32 << 20;

/// `users/ada1` exists, `users/lost` cannot be learned, and nobody else exists.
#[derive(Clone)]
struct Known {
    failure: LookupError,
}

impl Owners for Known {
    async fn exists(&self, name: &str) -> Result<bool, LookupError> {
        match name {
            "users/lost" => Err(self.failure.clone()),
            _ => Ok(name == "users/ada1"),
        }
    }
}

#[derive(Clone)]
struct Client {
    client: CatalogServiceClient<Routes>,
    leaving: CancellationToken,
}

impl Client {
    async fn new() -> Self {
        Self::on(&testing::fresh().await).await
    }

    async fn on(url: &str) -> Self {
        Self::failing(url, LookupError::Unavailable("no instance of \"users\"".into())).await
    }

    async fn failing(url: &str, failure: LookupError) -> Self {
        let database = database::open(url, store::SCHEMA).await.unwrap();
        let leaving = CancellationToken::new();
        let signals = Signals { follower: Follower::start(database.clone()), leaving: leaving.clone() };
        let routes = routes(Catalog::new(Store::new(database), Known { failure }, signals), LONGEST).prepare();
        Self { client: CatalogServiceClient::new(routes).max_encoding_message_size(LONGEST), leaving }
    }

    async fn create(&mut self, id: &str, product: Product) -> Result<Product, Status> {
        let request = CreateProductRequest { product: Some(product), product_id: id.into(), ..Default::default() };
        self.client.create_product(request).await.map(tonic::Response::into_inner)
    }

    async fn get(&mut self, name: &str) -> Result<Product, Status> {
        self.client.get_product(GetProductRequest { name: name.into() }).await.map(tonic::Response::into_inner)
    }

    async fn list(&mut self, page_size: i32, page_token: &str) -> Result<ListProductsResponse, Status> {
        let request = ListProductsRequest { page_size, page_token: page_token.into(), ..Default::default() };
        self.client.list_products(request).await.map(tonic::Response::into_inner)
    }
}

fn loom() -> Product {
    Product {
        display_name: "Loom".into(),
        description: "Weaves.\nBy hand.".into(),
        price: Some(Money { currency_code: "EUR".into(), units: 1_200, nanos: 500_000_000 }),
        owner: "users/ada1".into(),
        tags: vec!["wood".into(), "\"large\"".into()],
        available_quantity: 3,
        ..Product::default()
    }
}

/// The fields of `BadRequest`.
fn violated(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(status), "INVALID_FIELDS");
    let request = status.get_details_bad_request().unwrap();
    request.field_violations.into_iter().map(|violation| violation.field).collect()
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "catalog.selvedge");
    info.reason
}

#[tokio::test]
async fn a_product_is_created_and_read() {
    let mut client = Client::new().await;
    let created = client.create("loom", loom()).await.unwrap();
    assert_eq!(created.name, "products/loom");
    assert!(!created.etag.is_empty() && created.create_time.is_some());
    assert_eq!(created.create_time, created.update_time);
    let Product { create_time, update_time, etag, .. } = created.clone();
    let expected = Product { name: "products/loom".into(), create_time, update_time, etag, ..loom() };
    assert_eq!(created, expected);
    assert_eq!(client.get("products/loom").await.unwrap(), created);
}

#[tokio::test]
async fn a_product_without_an_id_is_given_one() {
    let mut client = Client::new().await;
    let created = client.create("", loom()).await.unwrap();
    assert_eq!(client.get(&created.name).await.unwrap(), created);
}

#[tokio::test]
async fn an_owner_who_does_not_exist_is_a_violation() {
    let mut client = Client::new().await;
    let status = client.create("loom", Product { owner: "users/nobody".into(), ..loom() }).await.unwrap_err();
    assert_eq!(violated(&status), ["product.owner"]);
    assert!(status.message().contains("users/nobody"));
    for owner in ["", "ada1", "products/ada1", "users/", "users/a/b"] {
        let status = client.create("loom", Product { owner: owner.into(), ..loom() }).await.unwrap_err();
        assert_eq!(violated(&status), ["product.owner"], "{owner:?}");
    }
    assert_eq!(client.get("products/loom").await.unwrap_err().code(), Code::NotFound, "nothing was created");
}

#[tokio::test]
async fn what_keeps_users_from_answering_is_passed_on() {
    for (failure, code, told) in [
        (LookupError::Unavailable("no instance".into()), Code::Unavailable, "USERS_UNAVAILABLE"),
        (LookupError::Deadline, Code::DeadlineExceeded, "DEADLINE"),
        (LookupError::Cancelled, Code::Cancelled, "CANCELLED"),
        (LookupError::Broken("Internal: secret".into()), Code::Internal, "INTERNAL"),
    ] {
        let mut client = Client::failing(&testing::fresh().await, failure).await;
        let status = client.create("loom", Product { owner: "users/lost".into(), ..loom() }).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, told));
        assert!(!status.message().contains("secret"), "{status:?}");
        assert_eq!(client.get("products/loom").await.unwrap_err().code(), Code::NotFound, "nothing was created");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_before_anybody_is_asked() {
    let mut client = Client::new().await;
    let wrong = Product {
        price: Some(Money { currency_code: "euro".into(), units: -1, nanos: 0 }),
        owner: "users/lost".into(),
        available_quantity: -1,
        ..Product::default()
    };
    let status = client.create("L", wrong).await.unwrap_err();
    assert_eq!(
        violated(&status),
        [
            "product_id",
            "product.display_name",
            "product.price.currency_code",
            "product.price.units",
            "product.available_quantity",
        ]
    );
    let status = client.client.create_product(CreateProductRequest::default()).await.unwrap_err();
    assert_eq!(violated(&status), ["product", "product.display_name", "product.price", "product.owner"]);
}

#[tokio::test]
async fn an_id_is_given_once() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    let status = client.create("loom", loom()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "PRODUCT_EXISTS"));
    let info = status.get_details_resource_info().unwrap();
    assert_eq!(
        (info.resource_type.as_str(), info.resource_name.as_str()),
        ("catalog.selvedge/Product", "products/loom")
    );
}

#[tokio::test]
async fn an_unknown_product_is_not_found() {
    let mut client = Client::new().await;
    let status = client.get("products/none").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "PRODUCT_NOT_FOUND"));
    assert_eq!(status.get_details_resource_info().unwrap().resource_name, "products/none");
    assert_eq!(violated(&client.get("users/ada1").await.unwrap_err()), ["name"]);
}

#[tokio::test]
async fn a_walk_shows_every_product_once_in_the_order_of_creation() {
    let mut client = Client::new().await;
    let names: Vec<_> = (0..5).map(|i| format!("product-{}", 9 - i)).collect();
    for name in &names {
        client.create(name, loom()).await.unwrap();
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    for rows in [2, 2, 1] {
        let page = client.list(2, &token).await.unwrap();
        assert_eq!(page.products.len(), rows);
        seen.extend(page.products.into_iter().map(|product| product.name.replace("products/", "")));
        token = page.next_page_token;
    }
    assert_eq!((seen, token.as_str()), (names, ""));
}

#[tokio::test]
async fn bad_sizes_and_tokens_are_violations() {
    let mut client = Client::new().await;
    assert_eq!(violated(&client.list(-1, "made up").await.unwrap_err()), ["page_size", "page_token"]);
}

#[tokio::test]
async fn a_page_of_large_products_fits_into_a_message() {
    let mut client = Client::new().await;
    let large = Product { description: "語".repeat(10_000), ..loom() };
    for i in 0..150 {
        client.create(&format!("product-{i}"), large.clone()).await.unwrap();
    }
    let (mut seen, mut token) = (0, String::new());
    loop {
        // The generated client takes messages of at most 4 MiB.
        let page = client.list(1_000, &token).await.unwrap();
        seen += page.products.len();
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 150);
}

#[tokio::test]
async fn hostile_requests_are_invalid_and_answered_briefly() {
    let mut client = Client::new().await;
    let huge = "x".repeat(4 << 20);
    for text in [huge.as_str(), "a\0b", "\u{202e}\x1b[31m", "'; drop table products; --"] {
        let money = Money { currency_code: text.into(), units: i64::MIN, nanos: i32::MIN };
        let (owner, description) = (text.into(), format!("{text}\0"));
        let tags = vec![text.into(); 2];
        let product = Product { owner, description, price: Some(money), tags, ..loom() };
        let statuses = [
            client.create(text, product).await.unwrap_err(),
            client.get(text).await.unwrap_err(),
            client.list(0, text).await.unwrap_err(),
        ];
        for status in statuses {
            assert!(!violated(&status).is_empty());
            assert!(status.message().len() < 2_000 && status.details().len() < 4_000, "{}", status.message());
        }
    }
    let status = client.create("loom", Product { tags: vec![String::new(); 1_000_000], ..loom() }).await.unwrap_err();
    assert_eq!(violated(&status), ["product.tags"]);
}

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let created = Client::on(&url).await.create("loom", loom()).await.unwrap();
    assert_eq!(Client::on(&url).await.get("products/loom").await.unwrap(), created);
}
