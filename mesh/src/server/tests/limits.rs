//! What bounds a call: sizes, its deadline, a panic; and what is no gRPC.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tonic_types::StatusExt as _;

use super::*;
use crate::context::Context;

#[tokio::test]
async fn headers_over_the_limit_are_refused_and_the_connection_lives() {
    let limit = |config: &mut Config| config.server.max_header_bytes = 4 * 1024;
    let served = Served::with(echo().routes(), &[], limit).await;
    let client = served.connect().await;
    let mut large = post("Say");
    large.headers_mut().insert("x-large", "x".repeat(5 * 1024).parse().unwrap());
    let refused = client.call(large, message(1)).await;
    assert_eq!(refused.http, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(client.say(message(1)).await.code(), Code::Ok);
    served.stop().await;
}

#[tokio::test]
async fn a_caller_that_takes_nothing_of_its_answer_is_ended() {
    let (dropped, was_dropped) = Dropped::new();
    let dropped = Arc::new(Mutex::new(Some(dropped)));
    let endless = echo().with("Endless", move |_| {
        let dropped = dropped.lock().unwrap().take();
        let frames = futures::stream::repeat_with(move || {
            let _held = &dropped;
            Ok::<_, Infallible>(Frame::data(message(1_000)))
        });
        async move { Ok(answer(Body::new(StreamBody::new(frames)))) }
    });
    let brief = |config: &mut Config| config.server.send_stall = Duration::from_millis(50);
    let served = Served::with(endless.routes(), &[], brief).await;
    let client = served.connect().await;
    let (response, mut out) = client.open(post("Endless")).await;
    send(&mut out, message(1), true).await;
    let mut body = soon(response).await.unwrap().into_body();
    // It ends while nobody reads, and lets go of what it was to send.
    soon(was_dropped).await.unwrap();
    let end = loop {
        match soon(body.data()).await {
            // The window of the connection is shared with the next call.
            Some(Ok(data)) => body.flow_control().release_capacity(data.len()).unwrap(),
            Some(Err(error)) => break error.reason(),
            None => break None,
        }
    };
    assert_eq!(end, Some(h2::Reason::ENHANCE_YOUR_CALM));
    assert_eq!(client.say(message(1)).await.code(), Code::Ok, "the connection lives");
    served.stop().await;
}

fn is_too_large(answer: &Answer, side: &str) {
    let status = answer.status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let text = format!("the {side} message of 1001 bytes is larger than server.max_message_bytes (1000)");
    assert_eq!(status.message(), text);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_request_message_over_the_limit_names_size_limit_and_setting() {
    let reading = Methods::default().with("Read", |call| async {
        let body = call.into_body().collect().await.map_err(|error| Status::from_error(error.into()))?;
        Ok(answer(Body::new(http_body_util::Full::new(body.to_bytes()))))
    });
    let limit = |config: &mut Config| config.server.max_message_bytes = 1_000;
    let served = Served::with(reading.routes(), &[], limit).await;
    let client = served.connect().await;
    is_too_large(&client.call(post("Read"), message(1_001)).await, "request");
    assert_eq!(client.call(post("Read"), message(1_000)).await.code(), Code::Ok);
    served.stop().await;
}

#[tokio::test]
async fn a_response_message_over_the_limit_is_an_error_in_the_headers() {
    let large = Methods::default()
        .with("Large", |_| async { Ok(answer(Body::new(http_body_util::Full::new(message(1_001))))) });
    let limit = |config: &mut Config| config.server.max_message_bytes = 1_000;
    let served = Served::with(large.routes(), &[], limit).await;
    let answered = served.connect().await.call(post("Large"), message(1)).await;
    is_too_large(&answered, "response");
    assert!(answered.trailers.is_none() && answered.body.is_empty(), "{answered:?}");
    served.stop().await;
}

#[tokio::test]
async fn a_later_response_message_over_the_limit_is_an_error_in_the_trailers() {
    let large = Methods::default().with("Large", |_| async {
        let frames = [message(10), message(1_001)].map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
        Ok(answer(Body::new(StreamBody::new(futures::stream::iter(frames)))))
    });
    let limit = |config: &mut Config| config.server.max_message_bytes = 1_000;
    let served = Served::with(large.routes(), &[], limit).await;
    let answered = served.connect().await.call(post("Large"), message(1)).await;
    is_too_large(&answered, "response");
    assert_eq!(answered.body, message(10));
    served.stop().await;
}

fn with_timeout(method: &str, timeout: &'static str) -> Request<()> {
    let mut request = post(method);
    request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

#[tokio::test]
async fn a_handler_is_dropped_at_the_deadline() {
    let (guard, dropped) = Dropped::new();
    let guard = Arc::new(Mutex::new(Some(guard)));
    let slow = Methods::default().with("Slow", move |_| {
        let guard = guard.lock().unwrap().take();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let served = Served::start(slow.routes()).await;
    let late = served.connect().await.call(with_timeout("Slow", "50m"), message(1)).await;
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(late.status().message(), "the call did not end within its timeout of 50ms");
    soon(dropped).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_response_body_ends_at_the_deadline() {
    use futures::StreamExt as _;
    let slow = Methods::default().with("Slow", |_| async {
        let first = futures::stream::iter([Ok::<_, Status>(Frame::data(message(1)))]);
        Ok(answer(Body::new(StreamBody::new(first.chain(futures::stream::pending())))))
    });
    let served = Served::start(slow.routes()).await;
    let late = served.connect().await.call(with_timeout("Slow", "50m"), message(1)).await;
    assert_eq!(late.body, message(1));
    assert_eq!(late.code(), Code::DeadlineExceeded);
    served.stop().await;
}

#[tokio::test]
async fn a_timeout_that_is_none_bounds_nothing() {
    let reports = Methods::default().with("Report", |_| async {
        let bounded = Context::current().deadline.is_some();
        Err(Status::ok(bounded.to_string()))
    });
    let served = Served::start(reports.routes()).await;
    let client = served.connect().await;
    for (timeout, bounded) in [("soon", "false"), ("99999999H", "true"), ("1S", "true")] {
        let reported = client.call(with_timeout("Report", timeout), message(1)).await;
        assert_eq!(reported.status().message(), bounded, "{timeout}");
    }
    served.stop().await;
}

/// A body whose polls panic.
struct Panics;

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        panic!("in the body")
    }
}

#[tokio::test]
async fn a_panic_ends_its_call_only() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let methods = echo()
        .with("Panic", |_| async { panic!("in the handler") })
        .with("PanicLater", |_| async { Ok(answer(Body::new(Panics))) })
        .with("Wait", move |call| {
            let gone = gone.lock().unwrap().take().unwrap();
            async move {
                gone.await.unwrap();
                Ok(answer(Body::new(call.into_body())))
            }
        });
    let served = Served::start(methods.routes()).await;
    let client = served.connect().await;
    let (waiting, mut out) = client.open(post("Wait")).await;
    for method in ["Panic", "PanicLater"] {
        let broken = client.call(post(method), message(1)).await;
        assert_eq!(broken.code(), Code::Internal);
        assert_eq!(broken.status().message(), "the handler panicked");
    }
    go.send(()).unwrap();
    send(&mut out, message(7), true).await;
    let answered = Answer::read(soon(waiting).await.unwrap()).await;
    assert_eq!((answered.code(), answered.body), (Code::Ok, message(7)));
    served.stop().await;
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so() {
    let served = Served::start(echo().routes()).await;
    let client = served.connect().await;

    let mut get = post("Say");
    *get.method_mut() = Method::GET;
    let refused = client.call(get, Bytes::new()).await;
    assert_eq!((refused.http, &refused.headers["allow"]), (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap()));

    for kind in ["application/json", "application/grpc-web", "text/plain"] {
        let mut other = post("Say");
        other.headers_mut().insert("content-type", kind.parse().unwrap());
        assert_eq!(client.call(other, Bytes::new()).await.http, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let mut proto = post("Say");
    proto.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
    assert_eq!(client.call(proto, message(1)).await.code(), Code::Ok);
    served.stop().await;
}

#[tokio::test]
async fn an_unknown_service_or_method_is_unimplemented() {
    let served = Served::start(echo().routes()).await;
    let client = served.connect().await;
    for path in ["/test.Nobody/Say", "/test.Echo/Sing", "/grpc.health.v1.Health/Sing", "/"] {
        let unknown = client.call(request(path), message(1)).await;
        assert_eq!((unknown.http, unknown.code()), (StatusCode::OK, Code::Unimplemented), "{path}");
        assert!(unknown.headers_only, "{path}: {unknown:?}");
    }
    served.stop().await;
}
