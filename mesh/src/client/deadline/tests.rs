use std::{future::pending, time::Duration};

use http_body_util::{BodyExt as _, StreamBody};
use tonic::Code;

use super::*;
use crate::client::tests::mock::{self, Mock};

fn bounded(inner: Mock) -> Bounded<Mock> {
    DeadlineLayer.layer(inner)
}

fn within(after: Duration) -> Option<Deadline> {
    Some(Deadline { at: Instant::now() + after, after })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_ends_at_its_deadline() {
    let begun = Instant::now();
    let stop = bounded(Mock::new(|_, _| pending().boxed()));
    let after = Duration::from_millis(1_500);
    let failure = stop.call(mock::call(false, within(after))).await.unwrap_err();
    assert_eq!(begun.elapsed(), after);
    assert_eq!((failure.outcome, failure.status.code()), (Outcome::TimedOut, Code::DeadlineExceeded));
    assert_eq!(failure.status.message(), "/test.Echo/Run of \"users\" did not end within 1.5s");
}

#[tokio::test(start_paused = true)]
async fn what_ends_below_at_the_same_instant_is_seen_first() {
    let after = Duration::from_secs(1);
    let stop = bounded(Mock::new(move |_, _| {
        let ends = Instant::now() + after;
        async move {
            tokio::time::sleep_until(ends).await;
            mock::failed(Outcome::Lost, 1)
        }
        .boxed()
    }));
    let failure = stop.call(mock::call(false, within(after))).await.unwrap_err();
    assert_eq!(failure.outcome, Outcome::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_ends_at_the_deadline() {
    let begun = Instant::now();
    let stop = bounded(Mock::new(|_, _| {
        let stalls = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
        async move { Ok(http::Response::new(Body::new(StreamBody::new(stalls)).into())) }.boxed()
    }));
    let after = Duration::from_secs(2);
    let mut answer = stop.call(mock::call(false, within(after))).await.unwrap().into_body();
    let status = answer.frame().await.unwrap().unwrap_err();
    assert_eq!((status.code(), begun.elapsed()), (Code::DeadlineExceeded, after));
    assert!(answer.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_is_not_sent() {
    let mock = Mock::new(|_, _| async { mock::ok() }.boxed());
    let failure = bounded(mock.clone()).call(mock::call(false, within(Duration::ZERO))).await.unwrap_err();
    assert_eq!((failure.status.code(), mock.calls()), (Code::DeadlineExceeded, 0));
}
