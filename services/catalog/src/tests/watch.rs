//! Watches: what they tell, where they go on, and how they end.

use std::time::Duration;

use prost_types::FieldMask;
use selvedge_proto::catalog::v1::{
    DeleteProductRequest, UpdateProductRequest, WatchProductsRequest, WatchProductsResponse,
};
use tonic::Streaming;

use super::*;

type Stream = Streaming<WatchProductsResponse>;

const LONG: Duration = Duration::from_secs(20);

impl Client {
    async fn watch(&mut self, resume_token: &str, include_present: bool) -> Result<Stream, Status> {
        let request = WatchProductsRequest { resume_token: resume_token.into(), include_present };
        self.client.watch_products(request).await.map(tonic::Response::into_inner)
    }

    async fn rename(&mut self, name: &str, display_name: &str) {
        let product = Product { name: name.into(), display_name: display_name.into(), ..Product::default() };
        let update_mask = Some(FieldMask { paths: vec!["display_name".into()] });
        let request = UpdateProductRequest { product: Some(product), update_mask };
        self.client.update_product(request).await.unwrap();
    }
}

/// The next messages as `KIND id display_name`, and the token of the last.
async fn told(stream: &mut Stream, count: usize) -> (Vec<String>, String) {
    let (mut lines, mut token) = (Vec::new(), String::new());
    for _ in 0..count {
        let message = tokio::time::timeout(LONG, stream.message()).await.expect("nothing is told").unwrap().unwrap();
        let product = message.product.clone().unwrap_or_default();
        let kind = message.kind().as_str_name().trim_start_matches("KIND_").to_lowercase();
        lines.push(format!("{kind} {} {}", product.name.trim_start_matches("products/"), product.display_name));
        token = message.resume_token;
    }
    (lines, token)
}

async fn end(stream: &mut Stream) -> (Status, String) {
    let status = tokio::time::timeout(LONG, stream.message()).await.expect("it does not end").unwrap_err();
    let token = status.get_details_error_info().unwrap().metadata.remove("resume_token").unwrap_or_default();
    (status, token)
}

#[tokio::test]
async fn every_change_is_told_after_the_present_state() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    client.create("yarn", loom()).await.unwrap();
    let mut stream = client.watch("", true).await.unwrap();
    assert_eq!(told(&mut stream, 3).await.0, ["present loom Loom", "present yarn Loom", "bookmark  "]);
    client.create("wool", loom()).await.unwrap();
    client.rename("products/loom", "Big").await;
    client
        .client
        .delete_product(DeleteProductRequest { name: "products/yarn".into(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(told(&mut stream, 3).await.0, ["created wool Loom", "updated loom Big", "deleted yarn Loom"]);
}

#[tokio::test]
async fn a_watch_begins_with_a_token() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    let (lines, token) = told(&mut client.watch("", false).await.unwrap(), 1).await;
    assert_eq!(lines, ["bookmark  "]);
    client.create("yarn", loom()).await.unwrap();
    assert_eq!(told(&mut client.watch(&token, false).await.unwrap(), 1).await.0, ["created yarn Loom"]);
}

#[tokio::test]
async fn resuming_anywhere_misses_nothing_and_repeats_nothing() {
    let mut client = Client::new().await;
    for i in 0..120 {
        client.create(&format!("product-{i}"), loom()).await.unwrap();
    }
    // Cut after every seventh message; while the present state is told, a part of it changes.
    let (mut lines, mut token) = (Vec::new(), String::new());
    while lines.len() < 125 {
        let count = 7.min(125 - lines.len());
        let mut stream = client.watch(&token, true).await.unwrap();
        let (more, last) = told(&mut stream, count).await;
        if lines.is_empty() {
            for i in [3, 110] {
                client.rename(&format!("products/product-{i}"), "New").await;
            }
            for i in 120..123 {
                client.create(&format!("product-{i}"), loom()).await.unwrap();
            }
        }
        lines.extend(more);
        token = last;
    }
    let present = (0..120).filter(|i| *i != 110).map(|i| format!("present product-{i} Loom"));
    let changes = ["updated product-3 New", "updated product-110 New"].map(str::to_owned).into_iter();
    let created = (120..123).map(|i| format!("created product-{i} Loom"));
    let expected: Vec<_> = present.chain(["bookmark  ".to_owned()]).chain(changes).chain(created).collect();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_change_through_one_instance_is_told_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let (mut one, mut other) = (Client::on(&url).await, Client::on(&url).await);
    let mut stream = one.watch("", false).await.unwrap();
    told(&mut stream, 1).await;
    other.create("loom", loom()).await.unwrap();
    other.rename("products/loom", "Big").await;
    assert_eq!(told(&mut stream, 2).await.0, ["created loom Loom", "updated loom Big"]);
}

#[tokio::test]
async fn an_instance_that_leaves_ends_its_watches_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let (mut leaving, mut other) = (Client::on(&url).await, Client::on(&url).await);
    let mut stream = leaving.watch("", false).await.unwrap();
    leaving.create("loom", loom()).await.unwrap();
    assert_eq!(told(&mut stream, 2).await.0, ["bookmark  ", "created loom Loom"]);
    leaving.leaving.cancel();
    let (status, token) = end(&mut stream).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "DRAINING"));
    other.create("yarn", loom()).await.unwrap();
    assert_eq!(told(&mut other.watch(&token, false).await.unwrap(), 1).await.0, ["created yarn Loom"]);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_ended_where_it_was() {
    let mut client = Client::new().await;
    // More than is sent ahead of a reader.
    for i in 0..40 {
        let large = Product { description: "語".repeat(10_000), ..loom() };
        client.create(&format!("product-{i}"), large).await.unwrap();
    }
    let mut stream = client.watch("", true).await.unwrap();
    let (_, mut token) = told(&mut stream, 1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    let mut count = 1;
    let status = loop {
        match stream.message().await {
            Ok(message) => token = message.unwrap().resume_token,
            Err(status) => break status,
        }
        count += 1;
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "SLOW_READER"));
    assert!(count < 40, "all was told");
    assert_eq!(status.get_details_error_info().unwrap().metadata["resume_token"], token);
}

#[tokio::test]
async fn a_reader_may_wait_long_for_a_change() {
    let mut client = Client::new().await;
    let mut stream = client.watch("", false).await.unwrap();
    told(&mut stream, 1).await;
    let mut waiting = tokio::spawn(async move { told(&mut stream, 1).await.0 });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "nothing happened yet");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    client.create("loom", loom()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), ["created loom Loom"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_gone_on_with_is_refused() {
    let mut client = Client::new().await;
    let mut ahead = Client::new().await;
    ahead.create("loom", loom()).await.unwrap();
    let (_, token) = told(&mut ahead.watch("", false).await.unwrap(), 1).await;
    // Of a database that is ahead of this one.
    let (status, none) = end(&mut client.watch(&token, false).await.unwrap()).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "RESUME_TOKEN_EXPIRED"));
    assert_eq!(none, "");
    let list = client.list(0, "").await.unwrap().next_page_token;
    let huge = "A".repeat(4 << 20);
    for bad in ["1", "made up", &token[1..], &format!("{list}A"), &huge] {
        assert_eq!(violated(&client.watch(bad, false).await.unwrap_err()), ["resume_token"]);
    }
}
