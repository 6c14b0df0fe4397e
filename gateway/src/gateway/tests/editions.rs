//! Services whose files are of an edition.

use prost::Message as _;

use super::{reflecting, *};
use crate::schema::Files;

const EDITION: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/edition/v1/edition.binpb"));
const MIXED: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/edition/v1/mixed.binpb"));
const EXPOSED: &[&str] = &["grpc", "gateway"];

/// A framed `edition.v1.Everything`: an empty text with presence, a delimited message, and a number that the closed enum
/// lacks.
const REPLY: &[u8] = b"\0\0\0\0\x08\x0a\0\x43\x08\x01\x44\x60\x05";

fn files(set: &[u8], service: &str) -> Files {
    Files::from_sets(&[set], &[service]).unwrap()
}

async fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_service_of_an_edition_is_served_and_one_that_cannot_be_linked_is_told() {
    let (consul, url) = Consul::start().await;
    let gateway = Gateway::new(options(&url)).unwrap();
    let schema = Arc::clone(&gateway.schema);
    let running = start(gateway).await;
    let echo = files(EDITION, "edition.v1.EchoService");
    consul.register("echo", EXPOSED, reflecting::serve(reflecting::of(echo.clone()), REPLY).await);
    consul.register(
        "mixed",
        EXPOSED,
        reflecting::serve(reflecting::of(files(MIXED, "edition.v1.MixedService")), REPLY).await,
    );
    let no_get = "HTTP/1.1 405";
    until(running.address, "/v1/echo", no_get).await;
    let sent = r#"{"present": "", "delimited": {"number": 1}, "otherwise": {"packed": [true]}}"#;
    let text = post(running.address, "/v1/echo", sent).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains(r#""present":"""#), "{text}");
    assert!(text.contains(r#""delimited":{"number":1}"#) && !text.contains("closed"), "{text}");
    let refused = post(running.address, "/v1/echo", r#"{"closed": 5}"#).await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("closed"), "{refused}");
    let is_told = |problem: &&String| problem.contains("edition/v1/mixed.proto") && problem.contains("Level");
    seen("why one is not served", || schema.load().report.problems().iter().find(is_told).cloned()).await;
    // Who asks for descriptors gets the files as they were.
    let set = crate::descriptors::Set::of(&schema.load());
    assert_eq!(
        (set.left_out, crate::schema::RawSet::decode(set.bytes.as_slice()).unwrap().file.len()),
        (vec![], echo.files.len())
    );
    let document = fetch(running.address, "/openapi.json").await;
    assert!(document.contains("/v1/echo") && document.contains("edition.v1.Everything"), "{document}");
    running.leave.cancel();
}
