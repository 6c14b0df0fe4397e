//! The service behind all gateways, and the messages that it is sent.

use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};
use tonic_web::GrpcWebLayer;

use self::pb::{
    Line, Order,
    order::State,
    order_service_server::{OrderService, OrderServiceServer},
};

/// Generated code.
pub(crate) mod pb {
    #![allow(clippy::all, clippy::pedantic, unreachable_pub, missing_debug_implementations, reason = "generated")]
    tonic::include_proto!("selvedge.bench.orders.v1");
}

/// What gateways learn of it.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orders.bin"));
/// Its name in protos.
pub(crate) const SERVICE: &str = "selvedge.bench.orders.v1.OrderService";
/// Its method over gRPC.
pub(crate) const METHOD: &str = "/selvedge.bench.orders.v1.OrderService/PlaceOrder";
/// Its route over REST.
pub(crate) const ROUTE: &str = "/v1/orders";

/// Answers with what it was asked.
#[derive(Clone, Copy, Debug)]
struct Orders;

#[tonic::async_trait]
impl OrderService for Orders {
    async fn place_order(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Serves until it is killed; prints its address. With `web` it speaks gRPC-Web over HTTP/1.1 itself.
pub(crate) async fn serve(web: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    // Told here: of a listener of ours, the server does not set it itself.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = OrderServiceServer::new(Orders);
    if web {
        let mut server = tonic::transport::Server::builder().accept_http1(true).layer(GrpcWebLayer::new());
        return Ok(server.add_service(service).serve_with_incoming(incoming).await?);
    }
    let reflection = tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let server = tonic::transport::Server::builder().add_service(service).add_service(reflection.build_v1()?);
    Ok(server.serve_with_incoming(incoming).await?)
}

/// Makes an order whose bytes are so many, give or take a few.
pub(crate) fn of_wire_bytes(size: usize) -> Order {
    sized(size, |order| order.encoded_len())
}

/// Makes an order whose JSON is of so many bytes, give or take a few.
pub(crate) fn of_json_bytes(size: usize) -> Order {
    sized(size, |order| json(order).to_string().len())
}

/// Writes an order as JSON, by hand: what is compared must not come of what is measured.
pub(crate) fn json(order: &Order) -> Value {
    let lines = order.lines.iter().map(|line| {
        json!({
            "product": line.product, "count": line.count, "priceMicros": line.price_micros.to_string(),
            "weight": line.weight, "gift": line.gift, "tags": line.tags,
        })
    });
    let mut json =
        json!({"name": order.name, "state": "PAID", "placeTime": "2026-01-01T00:00:00Z", "note": order.note});
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        json["lines"] = lines.into();
    }
    json
}

/// Fills an order with lines while they fit, and its note with the rest.
fn sized(size: usize, len: impl Fn(&Order) -> usize) -> Order {
    let mut order = Order {
        name: "orders/1".into(),
        state: State::Paid.into(),
        // 2026-01-01T00:00:00Z
        place_time: Some(prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 }),
        note: "-".into(),
        lines: Vec::new(),
    };
    let bare = len(&order);
    order.lines.extend([line(0), line(1)]);
    let each = (len(&order) - bare) / 2;
    order.lines = (0..i32::try_from(size.saturating_sub(bare) / each).unwrap_or(i32::MAX)).map(line).collect();
    while len(&order) > size && order.lines.pop().is_some() {}
    order.note = "-".repeat(size.saturating_sub(len(&order)).max(1));
    order
}

fn line(number: i32) -> Line {
    Line {
        product: format!("products/engine-{number}"),
        count: number % 9 + 1,
        price_micros: 17_000_000_000 + i64::from(number),
        weight: f64::from(number) + 0.25,
        gift: true,
        tags: vec!["analytical".into(), "brass".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_as_large_as_they_were_asked_to_be() {
        for size in [100, 10_000, 1_000_000] {
            let (wire, text) = (of_wire_bytes(size).encoded_len(), json(&of_json_bytes(size)).to_string().len());
            assert!(wire.abs_diff(size) <= 16 && text.abs_diff(size) <= 16, "{size}: {wire}, {text}");
        }
    }
}
