//! Bodies under flow control, half-closed streams, limits, compression, and callers that leave.

use std::{
    future::{Future as _, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use tonic::{Code, codec::CompressionEncoding};

use super::support::{PATH, Raws, Seen, Stub, bidi, echo, eventually, finish, framed, grpc_head, options, send, world};

#[tokio::test]
async fn three_mebibytes_go_both_ways_through_small_windows() {
    let mut small = h2::server::Builder::new();
    small.initial_window_size(16 * 1024).initial_connection_window_size(20 * 1024).max_send_buffer_size(4 * 1024);
    let stub = Stub::with(small, "127.0.0.1:0", echo).await;
    let world = world(Some(&[stub.address]), |_| {});
    let message: Bytes = (0..3 * 1024 * 1024).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    let (a, b) = tokio::join!(world.unary(message.clone(), options(None)), world.unary(message.clone(), options(None)));
    assert!(a.unwrap() == message && b.unwrap() == message);
}

/// Passes on what wakes it, and counts.
struct Counted {
    wakes: AtomicUsize,
    task: Waker,
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

#[tokio::test]
async fn the_end_of_a_call_does_not_wake_its_caller() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[stub.address]), |_| {});
    world.call().await.unwrap();
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let counted = Arc::new(Counted { wakes: AtomicUsize::new(0), task });
    let waker = Waker::from(Arc::clone(&counted));
    let mut call = Box::pin(world.call());
    let woken_by_its_end = poll_fn(|_| {
        let before = counted.wakes.load(Ordering::Relaxed);
        let answer = std::task::ready!(call.as_mut().poll(&mut Context::from_waker(&waker)));
        assert!(answer.is_ok());
        Poll::Ready(counted.wakes.load(Ordering::Relaxed) - before)
    });
    assert_eq!(woken_by_its_end.await, 0, "a thread would be woken for it");
}

#[tokio::test]
async fn gzip_passes_both_ways() {
    let seen: Seen<(String, u8)> = Seen::default();
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |mut request, mut respond| {
        let noted = Arc::clone(&noted);
        async move {
            let encoding = request.headers()["grpc-encoding"].to_str().unwrap().to_owned();
            let body = request.body_mut().data().await.unwrap().unwrap();
            noted.lock().unwrap().push((encoding, body[0]));
            let mut head = grpc_head();
            head.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
            let mut stream = respond.send_response(head, false).unwrap();
            send(&mut stream, body).await;
            finish(&mut stream, 0);
        }
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let mut client = tonic::client::Grpc::new(world.channel.clone())
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    client.ready().await.unwrap();
    let message = Bytes::from(vec![7; 10_000]);
    let answer = client.unary(tonic::Request::new(message.clone()), PATH, Raws).await.unwrap();
    assert_eq!(answer.into_inner(), message);
    assert_eq!(*seen.lock().unwrap(), [("gzip".to_owned(), 1)]);
}

#[tokio::test]
async fn messages_go_out_while_nobody_reads_the_answer() {
    let seen: Seen<Bytes> = Seen::default();
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |mut request, mut respond| {
        let noted = Arc::clone(&noted);
        async move {
            let mut stream = respond.send_response(grpc_head(), false).unwrap();
            while let Some(Ok(data)) = request.body_mut().data().await {
                noted.lock().unwrap().push(data);
            }
            // The caller has closed its half: the other one goes on.
            send(&mut stream, framed(b"after the end")).await;
            finish(&mut stream, 0);
        }
    })
    .await;
    let world = world(Some(&[stub.address]), |_| {});
    let (sender, mut answer) = bidi(&world).await;
    for message in ["one", "two", "three"] {
        sender.unbounded_send(message.into()).unwrap();
        eventually(message, || seen.lock().unwrap().last() == Some(&framed(message.as_bytes()))).await;
    }
    drop(sender);
    assert_eq!(answer.next().await.unwrap().unwrap(), "after the end");
    assert!(answer.next().await.is_none());
}

/// A server that answers with headers, and tells by what a stream was reset.
async fn patient(seen: &Seen<h2::Reason>) -> Stub {
    let noted = Arc::clone(seen);
    Stub::start(move |request, mut respond| {
        let noted = Arc::clone(&noted);
        async move {
            let _request = request;
            let mut stream = respond.send_response(grpc_head(), false).unwrap();
            if let Ok(reason) = poll_fn(|cx| stream.poll_reset(cx)).await {
                noted.lock().unwrap().push(reason);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_caller_that_leaves_resets_the_stream() {
    let seen = Seen::default();
    let stub = patient(&seen).await;
    let world = world(Some(&[stub.address]), |_| {});
    let (sender, answer) = bidi(&world).await;
    drop(answer);
    eventually("a reset of a stream whose request goes on", || seen.lock().unwrap().len() == 1).await;
    drop(sender);
    let _ = tokio::time::timeout(Duration::from_millis(20), world.call()).await;
    eventually("a reset of a unary call", || seen.lock().unwrap().len() == 2).await;
    assert_eq!(*seen.lock().unwrap(), [h2::Reason::CANCEL, h2::Reason::CANCEL]);
}

#[tokio::test]
async fn a_deadline_ends_an_answer_that_has_begun() {
    let seen = Seen::default();
    let stub = patient(&seen).await;
    let world = world(Some(&[stub.address]), |config| config.default_deadline = Duration::from_millis(50));
    let status = world.call().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    for part in ["/test.Echo/Run", "\"users\"", "50ms"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    eventually("a reset", || *seen.lock().unwrap() == [h2::Reason::CANCEL]).await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_setting_to_raise() {
    let stub = Stub::start(|_, mut respond| async move {
        let mut stream = respond.send_response(grpc_head(), false).unwrap();
        send(&mut stream, framed(&[7; 2_000])).await;
        finish(&mut stream, 0);
    })
    .await;
    let world = world(Some(&[stub.address]), |config| config.max_message_bytes = 1_000);
    for (message, what) in [(vec![7; 3_000], "request"), (vec![7; 10], "response")] {
        let size = if message.len() > 1_000 { "3000" } else { "2000" };
        let status = world.unary(message.into(), options(None)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        for part in [what, size, "1000", "client.max_message_bytes"] {
            assert!(status.message().contains(part), "{}", status.message());
        }
    }
    // Neither was tried again, and the connection is as good as before.
    assert_eq!((stub.served(), stub.connections.load(std::sync::atomic::Ordering::SeqCst)), (2, 1));
}
