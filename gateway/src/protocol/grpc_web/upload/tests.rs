//! Streams as clients send them, cut anywhere.

use proptest::prelude::*;

use super::*;
use crate::protocol::base64_text;

const LIMITS: usize = 8;

fn limits() -> Limits {
    Limits { body_bytes: LIMITS, ..Limits::default() }
}

/// A body of chunks, after the last of which the client is silent, or ends.
fn body(chunks: Vec<Bytes>, silent: bool) -> Body {
    let frames = futures::stream::iter(chunks.into_iter().map(|chunk| Ok::<_, Status>(Frame::data(chunk))));
    let rest = futures::stream::once(async move {
        if silent {
            std::future::pending::<()>().await;
        }
        Ok(Frame::data(Bytes::new()))
    });
    Body::new(StreamBody::new(Box::pin(futures::StreamExt::chain(frames, rest))))
}

/// Returns what passed, and how it broke.
async fn passed(sent: Body, text: bool) -> (Vec<u8>, Option<Status>) {
    let (mut body, mut broken) = stream(sent, text, &limits());
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        read.extend(frame.into_data().unwrap());
    }
    (read, broken.try_recv().ok())
}

fn cut(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes.chunks(size).map(Bytes::copy_from_slice).collect()
}

#[tokio::test]
async fn what_is_too_large_or_broken_off_or_no_base64_is_told() {
    for (bytes, text, code, names) in [
        (&b"\0\0\0\0\x09aaaaaaaaa"[..], false, tonic::Code::ResourceExhausted, "8 are the most"),
        (b"\0\0\0\0\x01a\0\xff\xff\xff\xff", false, tonic::Code::ResourceExhausted, "4294967295"),
        (b"\0\0\0\0\x08a", false, tonic::Code::InvalidArgument, "broke off"),
        (b"\0\0\0", false, tonic::Code::InvalidArgument, "broke off"),
        (b"AAAA*AAA", true, tonic::Code::InvalidArgument, "base64"),
        (b"AAAAAAFhA", true, tonic::Code::InvalidArgument, "base64"),
    ] {
        for size in [1, 100] {
            let status = passed(body(cut(bytes, size), false), text).await.1.expect("it is refused");
            assert!(status.code() == code && status.message().contains(names), "{} {status}", bytes.escape_ascii());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_has_30_s_and_the_pause_after_it_has_no_end() {
    let silent_within = passed(body(cut(b"\0\0\0\0\x01a\0\0\0\0\x02b", 4), true), false);
    let begin = Instant::now();
    let (read, broken) = silent_within.await;
    assert_eq!((read.len(), begin.elapsed().as_secs()), (12, 30));
    assert_eq!(broken.unwrap().code(), tonic::Code::DeadlineExceeded);
    let silent_between = passed(body(cut(b"\0\0\0\0\x01a", 4), true), false);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), silent_between).await.is_err(), "it was given up");
}

/// A byte each second wins no time: it counts from the first.
#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_is_given_up() {
    let trickle = futures::stream::unfold(0, async |count| {
        tokio::time::sleep(Duration::from_secs(8)).await;
        let byte = Bytes::copy_from_slice(&b"\0\0\0\0\x08aaaaaaaa"[count..=count]);
        Some((Ok::<_, Status>(Frame::data(byte)), count + 1))
    });
    let begin = Instant::now();
    let (read, broken) = passed(Body::new(StreamBody::new(Box::pin(trickle))), false).await;
    assert_eq!((read.len(), begin.elapsed().as_secs()), (4, 38));
    assert!(broken.is_some());
}

proptest! {
    #[test]
    fn messages_pass_as_they_are_however_they_are_cut(
        sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=LIMITS), 0..6),
        size in 1usize..20,
        text: bool,
    ) {
        let mut bytes = Vec::new();
        for message in &sent {
            bytes.extend([1, 0, 0, 0, u8::try_from(message.len()).unwrap()]);
            bytes.extend(message);
        }
        let written = if text { base64_text::encode(&bytes) } else { bytes.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (read, broken) = runtime.block_on(passed(body(cut(&written, size), false), text));
        prop_assert!(broken.is_none(), "{broken:?}");
        prop_assert_eq!(read, bytes);
    }
}
