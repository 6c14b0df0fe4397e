//! Connections that are silent, dead, or of another protocol; and the listener.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::error::ErrorKind;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end, too: what is unread may make one of it.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    bytes
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let brief = |config: &mut Config| config.server.handshake_timeout = Duration::from_millis(50);
    let served = Served::with(echo().routes(), &[], brief).await;
    for said in [&b""[..], &PREFACE[..10]] {
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(said).await.unwrap();
        assert!(!read_to_end(&mut client).await.starts_with(b"HTTP/1.1"));
    }
    assert_eq!(served.connect().await.say(message(1)).await.code(), Code::Ok);
    served.stop().await;
}

#[tokio::test]
async fn a_client_of_http_1_is_told_and_closed() {
    let served = Served::start(echo().routes()).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    let told = String::from_utf8(read_to_end(&mut client).await).unwrap();
    assert!(told.starts_with("HTTP/1.1 505 "), "{told}");
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{told}");
    served.stop().await;
}

/// Reads one frame: its type, its flags, its payload.
async fn frame(stream: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.unwrap();
    let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; size as usize];
    soon(stream.read_exact(&mut payload)).await.unwrap();
    (head[3], head[4], payload)
}

const PING: u8 = 6;
const ACK: u8 = 1;

const GO_AWAY: u8 = 7;

#[tokio::test]
async fn a_connection_that_is_too_old_is_told_to_go_and_another_is_served() {
    let brief = |config: &mut Config| config.server.max_connection_age = Duration::from_millis(50);
    let served = Served::with(echo().routes(), &[], brief).await;
    for _ in 0..2 {
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(&[PREFACE, &SETTINGS].concat()).await.unwrap();
        while frame(&mut client).await.0 != GO_AWAY {}
    }
    served.stop().await;
}

fn brief_keepalive(config: &mut Config) {
    config.server.keepalive_interval = Duration::from_millis(20);
    config.server.keepalive_timeout = Duration::from_millis(200);
}

#[tokio::test]
async fn a_peer_lives_while_it_answers_pings_and_no_longer() {
    let served = Served::with(echo().routes(), &[], brief_keepalive).await;
    let mut peer = TcpStream::connect(served.address).await.unwrap();
    peer.write_all(&[PREFACE, &SETTINGS].concat()).await.unwrap();
    let mut answered = 0;
    while answered < 3 {
        let (kind, flags, payload) = frame(&mut peer).await;
        if kind == PING && flags == 0 {
            peer.write_all(&[&[0, 0, 8, PING, ACK, 0, 0, 0, 0], &payload[..]].concat()).await.unwrap();
            answered += 1;
        }
    }
    read_to_end(&mut peer).await;
    served.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = holder.local_addr().unwrap();
    let mut config = Config::new("echo");
    config.server.listen = address;
    let serve = Mesh::new(config).unwrap().serve(Routes::default()).until(std::future::pending());
    let error = soon(serve.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Listen);
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {address}: address in use")), "{text}");
    assert!(text.contains("server.listen"), "{text}");
}

#[tokio::test]
async fn a_client_is_told_how_many_calls_a_connection_takes() {
    let few = |config: &mut Config| config.server.max_concurrent_streams = 3;
    let served = Served::with(echo().routes(), &[], few).await;
    let client = served.connect().await;
    // The first answer comes after the settings.
    assert_eq!(client.say(message(1)).await.code(), Code::Ok);
    assert_eq!(client.0.current_max_send_streams(), 3);
    served.stop().await;
}
