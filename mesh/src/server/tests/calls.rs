//! Bodies, half-closed streams, resets.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, channel::mpsc};
use h2::Reason;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::*;

#[tokio::test]
async fn large_bodies_pass_both_ways_under_flow_control() {
    let served = Served::start(echo().routes()).await;
    let mut small = h2::client::Builder::new();
    small.initial_window_size(16 * 1024).initial_connection_window_size(64 * 1024);
    let client = Client::with(served.address, &small).await;
    let sent = message(3 * 1024 * 1024);
    let said = client.say(sent.clone()).await;
    assert_eq!(said.code(), Code::Ok);
    assert!(said.body == sent, "{} bytes came back", said.body.len());
    served.stop().await;
}

#[tokio::test]
async fn many_large_calls_share_a_connection() {
    let served = Served::start(echo().routes()).await;
    let client = served.connect().await;
    let sent = message(512 * 1024);
    let calls = (0..32).map(|_| client.say(sent.clone()));
    for said in futures::future::join_all(calls).await {
        assert_eq!(said.code(), Code::Ok);
        assert!(said.body == sent);
    }
    served.stop().await;
}

#[tokio::test]
async fn a_handler_that_reads_nothing_holds_back_its_caller_only() {
    let unread = Methods::default().with("Hold", |call| async {
        let _held = call;
        std::future::pending().await
    });
    let served = Served::start(Methods(unread.0.merge(echo().0)).routes()).await;
    let client = served.connect().await;
    let (_response, mut out) = client.open(post("Hold")).await;
    let window = 1 << 20;
    send(&mut out, vec![0; window].into(), false).await;
    // A whole call later, nothing more is admitted.
    assert_eq!(client.say(message(100_000)).await.code(), Code::Ok);
    out.reserve_capacity(1);
    assert!(futures::poll!(poll_fn(|cx| out.poll_capacity(cx))).is_pending());
    out.send_reset(Reason::CANCEL);
    served.stop().await;
}

/// A method that answers what the test puts into a channel.
fn from_channel() -> (Methods, mpsc::UnboundedSender<Bytes>, oneshot::Receiver<()>) {
    let (sender, messages) = mpsc::unbounded();
    let (guard, dropped) = Dropped::new();
    let parts = Arc::new(Mutex::new(Some((messages, guard))));
    let methods = Methods::default().with("Watch", move |call| {
        let (messages, guard) = parts.lock().unwrap().take().unwrap();
        async move {
            call.into_body().collect().await.unwrap();
            let frames = messages.map(move |bytes| {
                let _held = &guard;
                Ok::<_, Infallible>(Frame::data(bytes))
            });
            Ok(answer(Body::new(StreamBody::new(frames))))
        }
    });
    (methods, sender, dropped)
}

#[tokio::test]
async fn a_response_goes_on_after_the_request_ended() {
    let (methods, messages, _dropped) = from_channel();
    let served = Served::start(methods.routes()).await;
    let (response, mut out) = served.connect().await.open(post("Watch")).await;
    send(&mut out, message(1), true).await;
    let mut stream = soon(response).await.unwrap().into_body();
    for size in [1, 10, 100] {
        messages.unbounded_send(message(size)).unwrap();
        assert_eq!(soon(stream.data()).await.unwrap().unwrap(), message(size));
    }
    drop(messages);
    assert!(soon(stream.data()).await.is_none());
    assert_eq!(soon(stream.trailers()).await.unwrap().unwrap()["grpc-status"], "0");
    served.stop().await;
}

#[tokio::test]
async fn a_response_may_end_before_the_request() {
    let early = Methods::default().with("Refuse", |_| async { Err(Status::aborted("not now")) });
    let served = Served::start(early.routes()).await;
    let (response, mut out) = served.connect().await.open(post("Refuse")).await;
    let refused = Answer::read(soon(response).await.unwrap()).await;
    assert_eq!(refused.code(), Code::Aborted);
    let reason = soon(poll_fn(|cx| out.poll_reset(cx))).await.unwrap();
    assert_eq!(reason, Reason::NO_ERROR);
    served.stop().await;
}

/// A method that never answers, and tells when its handler begins and when it is dropped.
fn never() -> (Methods, oneshot::Receiver<()>, oneshot::Receiver<()>) {
    let (guard, dropped) = Dropped::new();
    let (begun, begins) = oneshot::channel();
    let parts = Arc::new(Mutex::new(Some((guard, begun))));
    let methods = Methods::default().with("Never", move |_| {
        let (guard, begun) = parts.lock().unwrap().take().unwrap();
        async move {
            let _guard = guard;
            begun.send(()).unwrap();
            std::future::pending().await
        }
    });
    (methods, begins, dropped)
}

#[tokio::test]
async fn a_reset_cancels_the_handler() {
    let (methods, begins, dropped) = never();
    let served = Served::start(methods.routes()).await;
    let (_response, mut out) = served.connect().await.open(post("Never")).await;
    soon(begins).await.unwrap();
    out.send_reset(Reason::CANCEL);
    soon(dropped).await.unwrap();
    let text = served.mesh.telemetry().prometheus_text().unwrap();
    assert!(text.contains(r#"grpc_status="CANCELLED""#), "{text}");
    served.stop().await;
}

#[tokio::test]
async fn a_lost_connection_cancels_the_handler() {
    let (methods, begins, dropped) = never();
    let served = Served::start(methods.routes()).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(async { drop(connection.await) });
    let _call = Client(client).open(post("Never")).await;
    soon(begins).await.unwrap();
    connection.abort();
    soon(dropped).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_reset_drops_the_response_body() {
    let (methods, _messages, dropped) = from_channel();
    let served = Served::start(methods.routes()).await;
    let client = served.connect().await;
    let (response, mut out) = client.open(post("Watch")).await;
    send(&mut out, message(1), true).await;
    let response = soon(response).await.unwrap();
    drop((response, out));
    soon(dropped).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_broken_request_body_reaches_the_handler_as_cancelled() {
    let (seen, code) = oneshot::channel();
    let seen = Arc::new(Mutex::new(Some(seen)));
    let methods = Methods::default().with("Read", move |call| {
        let seen = seen.lock().unwrap().take().unwrap();
        async move {
            // Outside of the call's own task, which the reset ends.
            tokio::spawn(async move {
                let error = call.into_body().collect().await.unwrap_err();
                seen.send(Status::from_error(error.into()).code()).unwrap();
            });
            std::future::pending().await
        }
    });
    let served = Served::start(methods.routes()).await;
    let (_response, mut out) = served.connect().await.open(post("Read")).await;
    send(&mut out, message(10), false).await;
    out.send_reset(Reason::CANCEL);
    assert_eq!(soon(code).await.unwrap(), Code::Cancelled);
    served.stop().await;
}
