//! Real connections on a port of loopback, and the times of connections in memory.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::testing::{Stub, answer, framed, pipeline};

mod floods;
mod many;
mod smuggling;
mod times;

/// Long enough for a slow machine; no test waits for it to pass.
const SOON: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

async fn start(header_timeout: Duration, stub: Stub) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut pipeline = pipeline(&stub);
    pipeline.limits.header_timeout = header_timeout;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Arc::new(pipeline), shutdown.clone()));
    Running { address, shutdown, serving }
}

fn shop() -> Stub {
    Stub::new(|_| answer(vec![framed("Item", &json!({ "name": "items/1" }))]))
}

async fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the server closes.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is a close too.
    _ = timeout(SOON, stream.read_to_end(&mut text)).await.expect("the connection was not closed");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let running = start(Duration::from_millis(50), shop()).await;
    let settled = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
    let open_headers = [&settled[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
    for bytes in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
        b"GET /v1/items/1 HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        &open_headers,
    ] {
        until_closed(say(running.address, bytes).await).await;
    }
}

#[tokio::test]
async fn http1_and_http2_are_served_on_one_port() {
    let running = start(SOON, shop()).await;
    let get = b"GET /v1/items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let text = until_closed(say(running.address, get).await).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\"items/1\""), "{text}");

    let io = TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/shop.v1.ShopService/GetItem", running.address))
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let running = start(SOON, shop()).await;
    // One that is larger than the limit, and one that is larger than what is ever read of a head.
    for length in [17_000, 400_000] {
        let many = format!("GET /v1/items/1 HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(length));
        let text = until_closed(say(running.address, many.as_bytes()).await).await;
        assert!(text.starts_with("HTTP/1.1 431") && text.matches("HTTP/1.1").count() == 1, "{length}: {text}");
    }
    let some =
        format!("GET /v1/items/1 HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\nConnection: close\r\n\r\n", "x".repeat(16_000));
    let text = until_closed(say(running.address, some.as_bytes()).await).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_waits_for_requests() {
    let running = start(SOON, shop()).await;
    let mut idle = say(running.address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut first = [0; 1];
    timeout(SOON, idle.read_exact(&mut first)).await.unwrap().unwrap();
    // A request whose body is not there yet runs.
    let head = b"POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut busy = say(running.address, head).await;
    let mut go_on = [0; 25];
    timeout(SOON, busy.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    running.shutdown.cancel();
    until_closed(idle).await;
    assert!(!running.serving.is_finished());
    busy.write_all(b"{}").await.unwrap();
    let text = until_closed(busy).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    timeout(SOON, running.serving).await.expect("the drain ended").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_a_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut pipeline = pipeline(&shop());
    pipeline.limits.connections = 1;
    tokio::spawn(serve(listener, Arc::new(pipeline), CancellationToken::new()));
    let get = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = say(address, get).await;
    let mut seen = [0; 15];
    timeout(SOON, first.read_exact(&mut seen)).await.unwrap().unwrap();
    let second = say(address, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    for _ in 0..20 {
        // Each answer is a turn in which the second could have been served too.
        first.write_all(get).await.unwrap();
        timeout(SOON, first.read_exact(&mut [0; 100])).await.unwrap().unwrap();
    }
    assert!(second.try_read(&mut seen).is_err(), "the second was served while the first was there");
    drop(first);
    assert!(until_closed(second).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// A client that writes all that it has before it reads, as many do.
#[tokio::test]
async fn a_body_that_is_refused_early_does_not_cost_the_answer() {
    let running = start(SOON, shop()).await;
    let body = vec![b'x'; 8 << 20];
    for (path, kind, framing) in [
        ("/v1/items", "application/json", format!("Content-Length: {}", body.len())),
        ("/v1/items", "application/json", "Transfer-Encoding: chunked".to_owned()),
        ("/shop.v1.ShopService/GetItem", "application/grpc-web+proto", format!("Content-Length: {}", body.len())),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n");
        let mut client = say(running.address, head.as_bytes()).await;
        if framing.ends_with("chunked") {
            client.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await.unwrap();
        }
        timeout(SOON, client.write_all(&body)).await.unwrap().expect("the whole body is taken");
        client.shutdown().await.unwrap();
        let mut text = String::new();
        timeout(SOON, client.read_to_string(&mut text)).await.unwrap().expect("no reset before the end of the answer");
        let (http, grpc) = (text.starts_with("HTTP/1.1 413"), text.contains("grpc-status: 8\r\n"));
        assert!(http || grpc, "{path} {framing}: {text}");
    }
}

/// One message must not be read as two by what stands behind another proxy (RFC 9112 section 6.3).
#[tokio::test]
async fn a_body_of_two_lengths_is_not_read_as_two_requests() {
    let running = start(SOON, shop()).await;
    let head = "POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    for lengths in
        ["Content-Length: 2\r\nContent-Length: 30\r\n", "Content-Length: 2, 30\r\n", "Content-Length: +2\r\n"]
    {
        let text = until_closed(say(running.address, format!("{head}{lengths}\r\n{{}}").as_bytes()).await).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{lengths}: {text}");
    }
    for coding in ["gzip", "chunked, gzip", "xchunked", "chunked, identity", "\u{b}chunked"] {
        let sent = format!("{head}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        let text = until_closed(say(running.address, sent.as_bytes()).await).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{coding}: {text}");
    }
    let both = format!(
        "{head}Connection: close\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let text = until_closed(say(running.address, both.as_bytes()).await).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.matches("HTTP/1.1").count() == 1, "{text}");
}
