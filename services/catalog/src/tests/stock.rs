//! Pieces that are put aside and given back, and requests that are sent again.

use futures::future::join_all;
use selvedge_proto::catalog::v1::{ReleaseStockRequest, ReserveStockRequest};
use uuid::Uuid;

use super::*;

fn request_id() -> String {
    Uuid::new_v4().to_string()
}

impl Client {
    async fn reserve(&mut self, name: &str, quantity: i64, request_id: &str) -> Result<Product, Status> {
        let request = ReserveStockRequest { name: name.into(), quantity, request_id: request_id.into() };
        self.client.reserve_stock(request).await.map(tonic::Response::into_inner)
    }

    async fn release(&mut self, name: &str, quantity: i64, request_id: &str) -> Result<Product, Status> {
        let request = ReleaseStockRequest { name: name.into(), quantity, request_id: request_id.into() };
        self.client.release_stock(request).await.map(tonic::Response::into_inner)
    }
}

fn pieces(product: &Product) -> (i64, i64) {
    (product.available_quantity, product.reserved_quantity)
}

#[tokio::test]
async fn pieces_are_put_aside_and_given_back() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    assert_eq!(pieces(&client.reserve("products/loom", 2, &request_id()).await.unwrap()), (1, 2));
    assert_eq!(pieces(&client.release("products/loom", 1, &request_id()).await.unwrap()), (2, 1));
    assert_eq!(pieces(&client.get("products/loom").await.unwrap()), (2, 1));
}

#[tokio::test]
async fn no_more_is_moved_than_there_is() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    client.reserve("products/loom", 1, &request_id()).await.unwrap();
    let (many, few) = (request_id(), request_id());
    let refused = [
        client.reserve("products/loom", 3, &many).await.unwrap_err(),
        client.release("products/loom", 2, &few).await.unwrap_err(),
        client.reserve("products/loom", i64::MAX, &request_id()).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "TOO_FEW_PIECES"));
        assert_eq!(status.get_details_resource_info().unwrap().resource_name, "products/loom");
    }
    assert_eq!(pieces(&client.get("products/loom").await.unwrap()), (2, 1));
    // What was refused was not done: once there is enough, the same request succeeds.
    client.release("products/loom", 1, &request_id()).await.unwrap();
    assert_eq!(pieces(&client.reserve("products/loom", 3, &many).await.unwrap()), (0, 3));
}

#[tokio::test]
async fn a_repetition_moves_nothing_and_has_the_first_answer() {
    let mut client = Client::new().await;
    client.create("loom", loom()).await.unwrap();
    let (taken, given) = (request_id(), request_id());
    let first = client.reserve("products/loom", 2, &taken).await.unwrap();
    client.reserve("products/loom", 1, &request_id()).await.unwrap();
    assert_eq!(client.reserve("products/loom", 2, &taken).await.unwrap(), first);
    let back = client.release("products/loom", 2, &given).await.unwrap();
    assert_eq!(client.release("products/loom", 2, &given).await.unwrap(), back);
    assert_eq!(pieces(&client.get("products/loom").await.unwrap()), (2, 1));
    // Another request of the same method, and the same of another.
    assert_eq!(violated(&client.reserve("products/loom", 1, &taken).await.unwrap_err()), ["request_id"]);
    assert_eq!(pieces(&client.release("products/loom", 1, &taken).await.unwrap()), (3, 0));
}

#[tokio::test]
async fn a_product_is_created_once_for_a_request_id() {
    let mut client = Client::new().await;
    let request = CreateProductRequest { product: Some(loom()), product_id: String::new(), request_id: request_id() };
    let first = client.client.create_product(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.client.create_product(request.clone()).await.unwrap().into_inner(), first);
    assert_eq!(client.list(0, "").await.unwrap().products.len(), 1);
    let other = CreateProductRequest { product_id: "loom".into(), ..request };
    assert_eq!(violated(&client.client.create_product(other).await.unwrap_err()), ["request_id"]);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_reservation_is_told_at_once() {
    let mut client = Client::new().await;
    let status = client.reserve("loom", 0, "1").await.unwrap_err();
    assert_eq!(violated(&status), ["name", "quantity", "request_id"]);
    let status = client.release("products/loom", -1, "").await.unwrap_err();
    assert_eq!(violated(&status), ["quantity", "request_id"]);
    let status = client.reserve("products/none", 1, &request_id()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_who_want_one_of_a_hundred_pieces_a_hundred_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let mut clients = [Client::on(&url).await, Client::on(&url).await];
    clients[0].create("loom", Product { available_quantity: 100, ..loom() }).await.unwrap();
    let ids: Vec<_> = (0..200).map(|_| request_id()).collect();
    for round in 0..2 {
        let calls = ids.iter().enumerate().map(|(i, id)| {
            let mut client = clients[(i + round) % 2].clone();
            async move { client.reserve("products/loom", 1, id).await }
        });
        let answers = join_all(calls).await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).map(Status::code);
        assert_eq!(refused.collect::<Vec<_>>(), [Code::FailedPrecondition; 100], "round {round}");
        assert_eq!(pieces(&clients[1].get("products/loom").await.unwrap()), (0, 100), "round {round}");
    }
}
