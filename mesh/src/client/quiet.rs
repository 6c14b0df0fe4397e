//! Ends a call that goes without a message either way for too long, however much of its deadline is left.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http_body::{Frame, SizeHint};
use tokio::time::{self, Instant};
use tonic::{Status, body::Body};
use tower::Layer;

use crate::{
    client::{
        Answer, AnswerFuture, Stop,
        call::{Call, Route},
        observe::{self, AnswerBody},
        outcome::{Failure, Outcome},
    },
    error::{Error, ErrorKind},
};

/// Ends what is quiet for `stream_idle_timeout`.
#[derive(Clone, Debug)]
pub(crate) struct Quiet<S> {
    inner: S,
}

/// Makes [`Quiet`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuietLayer;

impl<S> Layer<S> for QuietLayer {
    type Service = Quiet<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Quiet { inner }
    }
}

impl<S: Stop> Stop for Quiet<S> {
    fn call(&self, mut call: Call) -> AnswerFuture {
        let Some(limit) = call.route.policy.stream_idle_timeout.value else { return self.inner.call(call) };
        let sounds = Arc::new(Sounds::new(limit, &call.route));
        call.body = Body::new(Sent { inner: std::mem::take(&mut call.body), sounds: Arc::clone(&sounds) });
        heed(self.inner.call(call), sounds).boxed()
    }
}

async fn heed(answer: AnswerFuture, sounds: Arc<Sounds>) -> Answer {
    let answer = tokio::select! {
        // What comes at that instant is in time.
        biased;
        answer = answer => answer?,
        () = sounds.silence() => return Err(Failure::with_status(Outcome::TimedOut, sounds.expired())),
    };
    sounds.note();
    if observe::status_of(&answer).is_some() {
        return Ok(answer);
    }
    Ok(answer.map(|inner| Body::new(Received { inner: Some(inner), silence: None, sounds }).into()))
}

/// When a message was last seen, whichever way it went.
#[derive(Debug)]
struct Sounds {
    begun: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
    limit: Duration,
    /// For errors: the method and its service.
    call: String,
}

impl Sounds {
    fn new(limit: Duration, route: &Route) -> Self {
        let call = format!("{} of {:?}", route.path.path(), route.service);
        Self { begun: Instant::now(), last: AtomicU64::new(0), limit, call }
    }

    fn note(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// Ends when the call was quiet for too long.
    async fn silence(&self) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let Some(at) = self.begun.checked_add(last).and_then(|last| last.checked_add(self.limit)) else {
                return std::future::pending().await;
            };
            if at <= Instant::now() {
                return;
            }
            time::sleep_until(at).await;
        }
    }

    fn expired(&self) -> Status {
        let text = format!("{} had no message either way for {:?} (stream_idle_timeout)", self.call, self.limit);
        Error::new(ErrorKind::Deadline, text).to_status()
    }
}

/// The body of a request.
#[derive(Debug)]
struct Sent {
    inner: Body,
    sounds: Arc<Sounds>,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if polled.is_ready() {
            this.sounds.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer.
struct Received {
    /// Gone once it was quiet for too long: that resets the stream.
    inner: Option<AnswerBody>,
    /// Made when the body is first waited for.
    silence: Option<BoxFuture<'static, ()>>,
    sounds: Arc<Sounds>,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            this.sounds.note();
            return Poll::Ready(frame);
        }
        let sounds = &this.sounds;
        let begin = || {
            let sounds = Arc::clone(sounds);
            async move { sounds.silence().await }.boxed()
        };
        if this.silence.get_or_insert_with(begin).poll_unpin(cx).is_pending() {
            return Poll::Pending;
        }
        this.inner = None;
        Poll::Ready(Some(Err(this.sounds.expired())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(AnswerBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), AnswerBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};
    use tonic::Code;

    use super::*;
    use crate::{
        client::tests::mock::{self, Mock},
        policy::method::MethodPolicy,
    };

    const LIMIT: Duration = Duration::from_secs(10);

    fn call() -> Call {
        mock::call_with(&MethodPolicy { stream_idle_timeout: Some(LIMIT), ..MethodPolicy::default() })
    }

    /// A body of one-byte messages, each so long after the one before.
    fn messages(gaps: &'static [u64]) -> Body {
        let frames = futures::stream::iter(gaps).then(|gap| async move {
            time::sleep(Duration::from_secs(*gap)).await;
            Ok::<_, Status>(Frame::data(Bytes::from_static(b"x")))
        });
        Body::new(StreamBody::new(frames.boxed()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_may_last_for_long_but_not_be_quiet_for_long() {
        for (gaps, received, ends) in [(&[9, 9, 9][..], 3, true), (&[9, 9, 11, 1], 2, false), (&[11], 0, false)] {
            let stop = QuietLayer
                .layer(Mock::new(move |_, _| async { Ok(http::Response::new(messages(gaps).into())) }.boxed()));
            let begun = Instant::now();
            let mut body = stop.call(call()).await.unwrap().into_body();
            let mut count = 0;
            let end = loop {
                match body.frame().await {
                    Some(Ok(_)) => count += 1,
                    end => break end,
                }
            };
            assert_eq!((count, end.is_none()), (received, ends), "{gaps:?}");
            if let Some(Err(status)) = end {
                assert_eq!(status.code(), Code::DeadlineExceeded);
                assert!(status.message().contains("stream_idle_timeout"), "{}", status.message());
                let quiet_since = Duration::from_secs(gaps[..received].iter().sum());
                assert!(begun.elapsed() - quiet_since < LIMIT + Duration::from_millis(5), "{:?}", begun.elapsed());
                assert!(body.frame().await.is_none());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_counts_as_what_is_received() {
        for (gaps, succeeds) in [(&[9, 9, 9][..], true), (&[9, 11, 9], false)] {
            let read = |call: Call| async move { call.body.collect().await.map(|_| mock::ok()).unwrap() };
            let stop = QuietLayer.layer(Mock::new(move |call, _| read(call).boxed()));
            let mut call = call();
            call.body = messages(gaps);
            let answer = stop.call(call).await;
            assert_eq!(answer.is_ok(), succeeds, "{gaps:?}");
            assert!(answer.err().is_none_or(|failure| failure.outcome == Outcome::TimedOut));
        }
    }
}
