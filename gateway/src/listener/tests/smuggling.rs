//! Heads and bodies that two readers could take for different requests (RFC 9112 sections 5, 6, 7 and 11.2).

use super::*;

/// What is hidden in a body; who answers it took a body for a request.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: hidden\r\n\r\n";

/// Sends bytes, and no more; returns all that is answered.
async fn answered(running: &Running, bytes: &str) -> String {
    let mut client = say(running.address, bytes.as_bytes()).await;
    client.shutdown().await.unwrap();
    until_closed(client).await
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let running = start(SOON, shop()).await;
    for fields in [
        "X-Folded: a\r\n b\r\n",
        "X-Folded: a\r\n\tContent-Length: 5\r\n",
        "Content-Length : 2\r\n",
        " Content-Length: 2\r\n",
        "Content-Length\r\n",
        ": nameless\r\n",
        "X-Bare: a\rContent-Length: 2\r\n",
        "X-Nul: a\0b\r\n",
        "X\u{b}Tab: a\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2 2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked, chunked, x\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
    ] {
        let head = "POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        let text = answered(&running, &format!("{head}{fields}\r\n{{}}{HIDDEN}")).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{fields:?}: {text}");
        assert!(text.matches("HTTP/1.1 ").count() == 1 && !text.contains("alive"), "{fields:?}: {text}");
    }
}

#[tokio::test]
async fn request_lines_that_are_none_are_refused() {
    let running = start(SOON, shop()).await;
    for line in [
        "GET  /healthz HTTP/1.1",
        "GET /healthz  HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /healthz HTTP/1.1 x",
        "GET /healthz HTTP/9.9",
        "GET /healthz",
        "G\0T /healthz HTTP/1.1",
        "GET /\u{1}healthz HTTP/1.1",
    ] {
        let text = answered(&running, &format!("{line}\r\nHost: a\r\n\r\n{HIDDEN}")).await;
        assert!(!text.contains("alive") && text.matches("HTTP/1.1 ").count() <= 1, "{line:?}: {text}");
    }
}

/// A chunked body that cannot be read to its end is not followed by another request.
#[tokio::test]
async fn chunks_that_can_be_read_in_two_ways_end_the_connection() {
    let running = start(SOON, shop()).await;
    let head =
        "POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "0x2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "\r\n2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2;a=\nb\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "\u{b}2\r\n{}\r\n0\r\n\r\n",
    ] {
        let text = answered(&running, &format!("{head}{body}{HIDDEN}")).await;
        assert!(!text.contains("alive") && text.matches("HTTP/1.1 ").count() <= 1, "{body:?}: {text}");
    }
}

/// Chunks go before a length (RFC 9112 section 6.3), and the connection, which may be out of step, ends.
#[tokio::test]
async fn a_body_of_chunks_and_a_length_hides_no_request() {
    let running = start(SOON, shop()).await;
    let head = "POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    for lengths in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", 12 + HIDDEN.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", 12 + HIDDEN.len()),
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ] {
        let text = answered(&running, &format!("{head}{lengths}\r\n2\r\n{{}}\r\n0\r\n\r\n{HIDDEN}")).await;
        assert!(text.matches("HTTP/1.1 ").count() == 1 && !text.contains("alive"), "{lengths:?}: {text}");
    }
}
