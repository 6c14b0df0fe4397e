//! Frames of HTTP/2 by the thousand: each flood ends its own connection, or waits, and nobody else is served worse.

use tokio::io::DuplexStream;

use super::*;

/// The preface, and settings without any.
const SETTLED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK writes them without any table (RFC 7541 section 6.2.2).
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    list.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// A call that is whole and good.
fn call() -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/shop.v1.ShopService/GetItem"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

struct Flooded {
    client: DuplexStream,
    stub: Stub,
    _graceful: GracefulShutdown,
}

fn open() -> Flooded {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let stub = shop();
    let pipeline = Arc::new(pipeline(&stub));
    let graceful = GracefulShutdown::new();
    tokio::spawn(connection(server, Arc::new(builder(&pipeline.limits)), pipeline, graceful.watcher()));
    Flooded { client, stub, _graceful: graceful }
}

/// How a flood ended.
struct Ended {
    /// What was written before the server read no more.
    written: usize,
    /// The kinds of frames that came back, and of the last GOAWAY or RST_STREAM the code.
    kinds: Vec<u8>,
    code: Option<u32>,
}

impl Flooded {
    /// Writes these bytes again and again, up to so many; a client that `reads` takes what comes back meanwhile.
    async fn flood(self, most: usize, reads: bool, piece: impl Fn(usize) -> Vec<u8>) -> Ended {
        let (mut from, mut to) = tokio::io::split(self.client);
        let reading = tokio::spawn(async move {
            let mut read = Vec::new();
            if reads {
                _ = from.read_to_end(&mut read).await;
            }
            (read, from)
        });
        let mut written = 0;
        let writing = async {
            to.write_all(SETTLED).await?;
            for number in 0.. {
                let bytes = piece(number);
                if written > most {
                    break;
                }
                to.write_all(&bytes).await?;
                written += bytes.len();
            }
            Ok::<_, io::Error>(())
        };
        // On a paused clock this passes once nothing more can happen.
        _ = tokio::time::timeout(Duration::from_secs(3_600), writing).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        _ = to.shutdown().await;
        drop(to);
        let (mut read, mut from) = reading.await.unwrap();
        _ = tokio::time::timeout(Duration::from_secs(3_600), from.read_to_end(&mut read)).await;
        let (kinds, code) = seen(&read);
        Ended { written, kinds, code }
    }
}

fn seen(mut bytes: &[u8]) -> (Vec<u8>, Option<u32>) {
    let (mut kinds, mut code) = (Vec::new(), None);
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        kinds.push(head[3]);
        let at = match head[3] {
            GOAWAY => payload.get(4..8),
            RST_STREAM => payload.get(..4),
            _ => None,
        };
        code = at.map(|code| u32::from_be_bytes(code.try_into().unwrap())).or(code);
        bytes = rest;
    }
    (kinds, code)
}

/// ENHANCE_YOUR_CALM (RFC 9113 section 7).
const CALM: u32 = 11;
const PROTOCOL_ERROR: u32 = 1;

/// CVE-2023-44487.
#[tokio::test(start_paused = true)]
async fn streams_that_are_reset_at_once_end_their_connection() {
    let flooded = open();
    let stub = flooded.stub.clone();
    let ended = flooded
        .flood(64 << 20, true, |number| {
            let stream = u32::try_from(2 * number + 1).unwrap();
            let reset = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
            [frame(HEADERS, END_HEADERS | END_STREAM, stream, &call()), reset].concat()
        })
        .await;
    assert!(ended.kinds.contains(&GOAWAY) && ended.code == Some(CALM), "{:?} {:?}", ended.kinds, ended.code);
    assert!(ended.written < 4 << 20, "{} bytes were read", ended.written);
    let called = stub.got.lock().unwrap().len();
    assert!(called < 1_000, "{called} calls were made");
}

/// CVE-2024-27316 and its like: a head that never ends.
#[tokio::test(start_paused = true)]
async fn a_head_of_continuations_without_end_ends_its_connection() {
    let flooded = open();
    let stub = flooded.stub.clone();
    let field = fields(&[("x-long", &"x".repeat(100))]);
    let ended = flooded
        .flood(64 << 20, true, |number| match number {
            0 => frame(HEADERS, 0, 1, &call()),
            _ => frame(CONTINUATION, 0, 1, &field),
        })
        .await;
    assert!(ended.kinds.contains(&GOAWAY), "{:?}", ended.kinds);
    assert!(ended.written < 1 << 20, "{} bytes were read", ended.written);
    assert!(stub.got.lock().unwrap().is_empty());
}

/// Each asks for an answer: a client that does not read them is not read on.
#[tokio::test(start_paused = true)]
async fn settings_and_pings_that_nobody_reads_the_answers_of_are_not_read_on() {
    for piece in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, b"12345678")] {
        let ended = open().flood(64 << 20, false, |_| piece.repeat(100)).await;
        assert!(ended.written < 1 << 20, "{} bytes were read", ended.written);
    }
}

/// These cost their client as much as the gateway; what matters is that nothing grows, and that calls go on.
#[tokio::test(start_paused = true)]
async fn frames_that_ask_for_nothing_are_borne() {
    for piece in [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]), frame(0xfa, 0, 0, b"unknown"), frame(SETTINGS, 0, 0, &[])] {
        let flooded = open();
        let stub = flooded.stub.clone();
        flooded
            .flood(1 << 20, true, |number| match number {
                100 => frame(HEADERS, END_HEADERS | END_STREAM, 3, &call()),
                _ => piece.repeat(100),
            })
            .await;
        assert_eq!(stub.got.lock().unwrap().len(), 1, "{:?}", &piece[..9]);
    }
}

/// A field of 4 kB in HPACK's table, and ten thousand references to it of a byte each.
#[tokio::test(start_paused = true)]
async fn a_head_that_grows_when_it_is_unpacked_is_refused() {
    let flooded = open();
    let stub = flooded.stub.clone();
    let mut value = vec![0x7f];
    prost::encoding::encode_varint(3_800 - 127, &mut value);
    let field = [&[0x40, 6][..], b"x-bomb", &value, &vec![b'x'; 3_800]].concat();
    let head = [call(), field, vec![0xbe; 10_000]].concat();
    let ended = flooded.flood(0, true, |_| frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
    assert!(stub.got.lock().unwrap().is_empty(), "the call was made");
    assert!(ended.kinds.iter().any(|kind| [HEADERS, RST_STREAM, GOAWAY].contains(kind)), "{:?}", ended.kinds);
}

/// RFC 9113 section 8.2: what belongs to a connection of HTTP/1.1, and what would be two fields behind a gateway.
#[tokio::test(start_paused = true)]
async fn fields_that_would_smuggle_into_http1_are_refused() {
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "1"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("X-Upper", "a"),
        ("x-split", "a\r\nx-evil: b"),
        ("x-nul", "a\0b"),
        ("x evil", "a"),
        ("x-evil: a\r\nx", "a"),
        (":path", "/healthz"),
        (":evil", "a"),
        ("", "a"),
    ] {
        let flooded = open();
        let stub = flooded.stub.clone();
        let head = [call(), fields(&[field])].concat();
        let ended = flooded.flood(0, true, |_| frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
        assert!(stub.got.lock().unwrap().is_empty(), "{field:?}: the call was made");
        let refused = ended.code == Some(PROTOCOL_ERROR);
        assert!(refused, "{field:?}: {:?} {:?}", ended.kinds, ended.code);
    }
    let flooded = open();
    let stub = flooded.stub.clone();
    let head = [call(), fields(&[("x-good", "a")])].concat();
    flooded.flood(0, true, |_| frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
    assert_eq!(stub.got.lock().unwrap().len(), 1, "the like without harm is called");
}
