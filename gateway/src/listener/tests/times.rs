//! How long a silent client is waited for, by a paused clock.

use bytes::Bytes;
use http_body::Frame;
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep},
};

use super::*;

const GET: &[u8] = b"GET /v1/items/1 HTTP/1.1\r\nHost: a\r\n\r\n";
/// The preface, and settings without any.
const SETTLED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A client of a gateway that keeps the default times.
struct Client {
    stream: DuplexStream,
    /// Dropping it would drain the connection.
    _graceful: GracefulShutdown,
}

fn open(stub: &Stub) -> Client {
    let (stream, server) = tokio::io::duplex(64 * 1024);
    let pipeline = Arc::new(pipeline(stub));
    let graceful = GracefulShutdown::new();
    tokio::spawn(connection(server, Arc::new(builder(&pipeline.limits)), pipeline, graceful.watcher()));
    Client { stream, _graceful: graceful }
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request and reads an answer, which its last byte ends.
    async fn get(&mut self) {
        self.send(GET).await;
        self.read_to(b"}").await;
    }

    async fn read_to(&mut self, end: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.push(self.stream.read_u8().await.expect("the connection stays open"));
        }
        read
    }

    /// Waits for the end of the connection, and returns how many seconds that took.
    async fn seconds_to_close(&mut self) -> u64 {
        let begin = Instant::now();
        _ = self.stream.read_to_end(&mut Vec::new()).await;
        begin.elapsed().as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_is_waited_for_10_s_and_the_head_10_s_from_there() {
    assert_eq!(open(&shop()).seconds_to_close().await, 10);
    for begun in [&b"G"[..], b"P", b"PRI * HTTP/2.0\r\n", &SETTLED[..24], &SETTLED[..30]] {
        let mut client = open(&shop());
        sleep(Duration::from_secs(8)).await;
        client.send(begun).await;
        assert_eq!(client.seconds_to_close().await, 10, "{}", begun.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_trickle_win_no_time() {
    // A line of HTTP/1.1 without an end; a block of headers of HTTP/2 that has 100 bytes.
    for begun in [GET[..5].to_vec(), [SETTLED, b"\0\0\x64\x01\x04\0\0\0\x01"].concat()] {
        let mut client = open(&shop());
        client.send(&begun).await;
        let begin = Instant::now();
        while client.stream.write_all(b"P").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        assert!((10..=11).contains(&begin.elapsed().as_secs()), "{}", begun.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_on_past_10_s_and_is_closed_after_the_idle_time() {
    let mut client = open(&shop());
    client.get().await;
    for _ in 0..3 {
        sleep(Duration::from_secs(119)).await;
        client.get().await;
    }
    assert_eq!(client.seconds_to_close().await, 120);
}

#[tokio::test(start_paused = true)]
async fn the_next_head_has_10_s_from_its_first_byte() {
    let mut client = open(&shop());
    client.get().await;
    sleep(Duration::from_secs(60)).await;
    client.send(&GET[..20]).await;
    sleep(Duration::from_secs(9)).await;
    client.send(&GET[20..]).await;
    client.read_to(b"}").await;
    sleep(Duration::from_secs(60)).await;
    client.send(&GET[..20]).await;
    assert_eq!(client.seconds_to_close().await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_is_late_is_not_silent() {
    let mut client = open(&shop());
    client.send(b"POST /v1/items HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n").await;
    sleep(Duration::from_secs(20)).await;
    client.send(b"{").await;
    sleep(Duration::from_secs(9)).await;
    client.send(b"}").await;
    assert!(client.read_to(b"}").await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.seconds_to_close().await, 120);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_long_is_not_idle() {
    let stub = Stub::new(|_| {
        let late = futures::stream::once(async {
            sleep(Duration::from_secs(600)).await;
            Ok::<_, tonic::Status>(Frame::data(Bytes::from_static(b"\0\0\0\0\0")))
        });
        http::Response::new(Body::new(http_body_util::StreamBody::new(late)))
    });
    let mut client = open(&stub);
    let head = b"POST /shop.v1.ShopService/WatchItems HTTP/1.1\r\nContent-Type: application/grpc-web\r\nContent-Length: 0\r\n\r\n";
    client.send(head).await;
    let begin = Instant::now();
    assert!(client.read_to(b"\r\n0\r\n\r\n").await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(begin.elapsed().as_secs(), 600);
    assert_eq!(client.seconds_to_close().await, 120);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_lives_while_it_answers_pings() {
    let client = open(&shop());
    let (mut sender, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client.stream)).await.unwrap();
    tokio::spawn(driver);
    for _ in 0..2 {
        let request = Request::get("http://a/healthz").body(Body::empty()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        sleep(Duration::from_secs(3600)).await;
    }
    assert!(!sender.is_closed());
    let mut deaf = open(&shop());
    deaf.send(SETTLED).await;
    assert_eq!(deaf.seconds_to_close().await, (PING + PONG).as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_after_its_refusal_is_read_for_a_while_and_no_longer() {
    let head = b"POST /v1/items HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n";
    let mut trickling = open(&shop());
    trickling.send(head).await;
    let begin = Instant::now();
    trickling.stream.read_to_end(&mut Vec::new()).await.unwrap();
    while trickling.stream.write_all(b"x").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!((30..=31).contains(&begin.elapsed().as_secs()), "{}", begin.elapsed().as_secs());
    let mut fast = open(&shop());
    fast.send(head).await;
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while fast.stream.write_all(&piece).await.is_ok() {
        sent += 1;
    }
    assert!((64..=66).contains(&sent), "{sent} MiB");
}
