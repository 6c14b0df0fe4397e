//! What breaks: streams, connections, answers that are not gRPC; and what is tried again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use http::Response;
use tokio::sync::Notify;
use tonic::Code;
use tower::Service as _;

use super::{
    raw::{GO_AWAY, HEADERS, Raw, frame},
    support::{Seen, Stub, bidi, echo, framed, grpc_head, options, refuse, send, world},
};
use crate::{context::Context, grpc_timeout, policy::method::Idempotency};

#[tokio::test]
async fn a_reset_amid_the_answer_is_an_error_that_names_the_endpoint() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let stub = Stub::start(move |_, mut respond| {
        let gate = Arc::clone(&opened);
        async move {
            let mut stream = respond.send_response(grpc_head(), false).unwrap();
            send(&mut stream, framed(b"hello")).await;
            gate.notified().await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let (_sender, mut answer) = bidi(&world).await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "hello");
    gate.notify_one();
    let status = answer.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains(&stub.address.to_string()), "{}", status.message());
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_mapped_by_its_http_status() {
    for (http, code) in [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (503, Code::Unavailable),
        (200, Code::Unknown),
        (418, Code::Unknown),
    ] {
        let stub = Stub::start(move |_, mut respond| async move {
            let head = Response::builder().status(http).header("content-type", "text/html").body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            let _ = stream.send_data("<html>".into(), true);
        })
        .await;
        let world = world(Some(&[stub.address]), |_| {});
        let status = world.unary("hello".into(), options(Some(Idempotency::Idempotent))).await.unwrap_err();
        assert_eq!(status.code(), code, "{http}");
        for part in [&http.to_string(), "text/html", &stub.address.to_string()] {
            assert!(status.message().contains(part), "{}", status.message());
        }
        assert_eq!(stub.served(), 1);
    }
}

#[tokio::test]
async fn an_answer_without_grpc_status_is_a_failure() {
    let stub = Stub::start(|_, mut respond| async move {
        let mut stream = respond.send_response(grpc_head(), false).unwrap();
        let _ = stream.send_data(framed(b"hello"), true);
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let status = world.call().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("without grpc-status"), "{}", status.message());
}

#[tokio::test]
async fn headers_over_the_limit_name_the_setting() {
    let stub = Stub::start(|_, mut respond| async move {
        let mut head = grpc_head();
        head.headers_mut().insert("x-large", "x".repeat(3_000).parse().unwrap());
        head.headers_mut().insert("grpc-status", 0.into());
        let _ = respond.send_response(head, true);
    })
    .await;
    let world = world(Some(&[stub.address]), |config| config.max_header_bytes = 1_000);
    let status = world.unary("hello".into(), options(Some(Idempotency::Idempotent))).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("client.max_header_bytes"), "{}", status.message());
    assert_eq!(stub.served(), 1, "the server acted on it");
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_goes_to_another_endpoint() {
    let seen = Arc::new(AtomicUsize::new(0));
    let refused = Arc::clone(&seen);
    let leaving = Raw::start(move |kind, _, _, _| {
        if kind != HEADERS {
            return Vec::new();
        }
        refused.fetch_add(1, Ordering::SeqCst);
        // Last stream 0, NO_ERROR.
        frame(GO_AWAY, 0, 0, &[0; 8])
    })
    .await;
    let stub = Stub::start(echo).await;
    let world = world(Some(&[leaving.address, stub.address]), |_| {});
    while seen.load(Ordering::SeqCst) == 0 {
        assert_eq!(world.call().await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_refused_stream_goes_to_another_endpoint_each_time() {
    let refusing = Stub::start(|_, mut respond| async move { respond.send_reset(h2::Reason::REFUSED_STREAM) }).await;
    let (a, b) = (Stub::start(echo).await, Stub::start(echo).await);
    let world = world(Some(&[refusing.address, a.address, b.address]), |_| {});
    while refusing.served() == 0 {
        assert_eq!(world.call().await.unwrap(), "hello");
    }
    assert!(world.telemetry.prometheus_text().unwrap().contains("transparent_retries"));
}

#[tokio::test]
async fn what_was_lost_is_repeated_if_it_may_be() {
    let losing = || async {
        let seen: Seen<Option<String>> = Seen::default();
        let noted = Arc::clone(&seen);
        let stub = Stub::start(move |request, mut respond| {
            let previous = request.headers().get("grpc-previous-rpc-attempts");
            noted.lock().unwrap().push(previous.map(|value| value.to_str().unwrap().to_owned()));
            async move { respond.send_reset(h2::Reason::INTERNAL_ERROR) }
        });
        (stub.await, seen)
    };
    let ((a, seen_a), (b, seen_b)) = (losing().await, losing().await);
    let world = world(Some(&[a.address, b.address]), |_| {});
    for (idempotency, attempts) in
        [(None, 1), (Some(Idempotency::Idempotent), 3), (Some(Idempotency::NoSideEffects), 3)]
    {
        let before = a.served() + b.served();
        let status = world.unary("hello".into(), options(idempotency)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(a.served() + b.served() - before, attempts, "{idempotency:?}");
    }
    let seen: Vec<_> = seen_a.lock().unwrap().iter().chain(&*seen_b.lock().unwrap()).cloned().collect();
    assert_eq!(seen.iter().filter(|previous| previous.as_deref() == Some("1")).count(), 2);
    assert_eq!(seen.iter().filter(|previous| previous.is_none()).count(), 3);
}

#[tokio::test]
async fn unavailable_is_tried_again_if_it_may_be() {
    let stub = Stub::start(|_, respond| refuse(respond, 14)).await;
    let other = Stub::start(|_, respond| refuse(respond, 14)).await;
    let world = world(Some(&[stub.address, other.address]), |_| {});
    for (idempotency, attempts) in [(None, 1), (Some(Idempotency::Idempotent), 3)] {
        let before = stub.served() + other.served();
        let status = world.unary("hello".into(), options(idempotency)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(stub.served() + other.served() - before, attempts);
    }
}

#[tokio::test]
async fn a_status_in_the_headers_counts_though_an_empty_frame_ends_the_stream() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let stub = Stub::start(move |request, mut respond| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if !first {
                return echo(request, respond).await;
            }
            let mut head = grpc_head();
            head.headers_mut().insert("grpc-status", 14.into());
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data("".into(), true).unwrap();
        }
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let answer = world.unary("hello".into(), options(Some(Idempotency::Idempotent))).await;
    assert_eq!((answer.unwrap(), calls.load(Ordering::Relaxed)), ("hello".into(), 2), "it was tried again");
}

#[tokio::test]
async fn calls_made_for_a_retry_are_marked_and_not_repeated() {
    let seen: Seen<bool> = Seen::default();
    let marks = Arc::clone(&seen);
    let stub = Stub::start(move |request, respond| {
        marks.lock().unwrap().push(request.headers().contains_key("x-selvedge-for-retry"));
        refuse(respond, 14)
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    for for_retry in [true, false] {
        let context = Context { for_retry, ..Context::default() };
        let call = world.unary("hello".into(), options(Some(Idempotency::Idempotent)));
        context.scope(call).await.unwrap_err();
    }
    assert_eq!(*seen.lock().unwrap(), [true, false, false, false]);
}

#[tokio::test]
async fn each_attempt_tells_the_server_what_is_left_of_the_deadline() {
    let seen: Seen<Duration> = Seen::default();
    let refusing = || {
        let noted = Arc::clone(&seen);
        Stub::start(move |request, mut respond| {
            noted.lock().unwrap().push(grpc_timeout::parse(&request.headers()["grpc-timeout"]).unwrap());
            async move { respond.send_reset(h2::Reason::REFUSED_STREAM) }
        })
    };
    let (a, b) = (refusing().await, refusing().await);
    let limit = Duration::from_secs(7);
    let world = world(Some(&[a.address, b.address]), |config| config.default_deadline = limit);
    assert_eq!(world.call().await.unwrap_err().code(), Code::Unavailable);
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 2 && seen[0] <= limit && seen.windows(2).all(|pair| pair[1] < pair[0]), "{seen:?}");
}

#[tokio::test]
async fn headers_that_http2_forbids_stay_behind() {
    let seen: Seen<(http::Uri, http::HeaderMap)> = Seen::default();
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |request, respond| {
        noted.lock().unwrap().push((request.uri().clone(), request.headers().clone()));
        refuse(respond, 5)
    })
    .await;
    let mut channel = world(Some(&[stub.address]), |_| {}).channel;
    let request = http::Request::post("http://elsewhere/test.Echo/Run")
        .header("connection", "keep-alive")
        .header("host", "elsewhere")
        .header("te", "gzip")
        .header("transfer-encoding", "chunked")
        .header("x-kept", "1")
        .body(tonic::body::Body::empty())
        .unwrap();
    let answer = channel.call(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "5");
    let (uri, headers) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(uri, "http://users/test.Echo/Run");
    assert_eq!((&headers["te"], &headers["x-kept"]), (&"trailers".parse().unwrap(), &"1".parse().unwrap()));
    for name in ["connection", "host", "transfer-encoding"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert!(headers.contains_key("traceparent"));
}
