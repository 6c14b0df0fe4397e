use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::{Status, body::Body};

use super::*;
use crate::{
    client::tests::mock::{self, Mock},
    telemetry::Telemetry,
};

fn retry(inner: Mock) -> Retry<Mock> {
    RetryLayer::new(Memory::default(), Telemetry::new().unwrap().metrics().clone()).layer(inner)
}

/// Ends every attempt with an outcome, each at another endpoint.
fn ending(outcome: Outcome) -> Mock {
    Mock::new(move |_, at| async move { mock::failed(outcome, at as u64) }.boxed())
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_depends_on_what_a_server_may_have_done() {
    let most = 1 + MOST_UNPROCESSED as usize;
    for (outcome, once, repeated) in [
        (Outcome::NeverSent, most, most),
        (Outcome::Refused, most, most),
        (Outcome::Lost, 1, 2),
        (Outcome::NoEndpoint, 1, 1),
        (Outcome::TimedOut, 1, 1),
        (Outcome::Answered, 1, 1),
        (Outcome::Caller, 1, 1),
    ] {
        for (idempotent, attempts) in [(false, once), (true, repeated)] {
            let mock = ending(outcome);
            let failure = retry(mock.clone()).call(mock::call(idempotent, None)).await.unwrap_err();
            assert_eq!((failure.outcome, mock.calls()), (outcome, attempts), "{outcome:?} idempotent: {idempotent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_of_the_server_is_an_answer() {
    let mock = Mock::new(|_, _| async { Ok(Status::unavailable("busy").into_http()) }.boxed());
    assert!(retry(mock.clone()).call(mock::call(true, None)).await.is_ok());
    assert_eq!(mock.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_knows_which_endpoints_were_tried_and_how_many_a_server_may_have_seen() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let outcomes = [Outcome::NeverSent, Outcome::Lost, Outcome::Refused];
    let mock = Mock::new(move |call, at| {
        noted.lock().unwrap().push((call.tried.clone(), call.previous));
        let outcome = outcomes.get(at).copied();
        async move { outcome.map_or_else(mock::ok, |outcome| mock::failed(outcome, at as u64)) }.boxed()
    });
    assert!(retry(mock).call(mock::call(true, None)).await.is_ok());
    let id = EndpointId;
    let expected = [(vec![], 0), (vec![id(0)], 0), (vec![id(0), id(1)], 1), (vec![id(0), id(1), id(2)], 1)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_round_over_all_endpoints_is_followed_by_a_pause() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let mock = Mock::new(move |_, at| {
        noted.lock().unwrap().push(Instant::now());
        async move { mock::failed(Outcome::NeverSent, at as u64 % 2) }.boxed()
    });
    let begun = Instant::now();
    retry(mock).call(mock::call(false, None)).await.unwrap_err();
    let times = times.lock().unwrap();
    // The two endpoints at once; then, endpoint 0 having failed twice, after a while.
    assert!(times[1] - begun <= Duration::from_millis(1) && times[2] - begun <= Duration::from_millis(2));
    assert!(begun.elapsed() > Duration::from_millis(2) && begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_every_call_gets_no_more_retries_than_its_budget() {
    let mock = ending(Outcome::NeverSent);
    let stop = retry(mock.clone());
    for _ in 0..200 {
        stop.clone().call(mock::call(false, None)).await.unwrap_err();
    }
    assert!(mock.calls() <= 200 + 100 + 40, "{}", mock.calls());
}

/// Reads the body, and loses the first attempt.
fn losing_the_first(seen: &Arc<Mutex<Vec<usize>>>) -> Mock {
    let seen = Arc::clone(seen);
    Mock::new(move |call, at| {
        let seen = Arc::clone(&seen);
        async move {
            let length = call.body.collect().await.unwrap().to_bytes().len();
            seen.lock().unwrap().push(length);
            if at == 0 { mock::failed(Outcome::Lost, 0) } else { mock::ok() }
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_again_up_to_64_kib() {
    for (size, attempts) in [(64 * 1024, 2), (64 * 1024 + 1, 1)] {
        let seen = Arc::default();
        let mut call = mock::call(true, None);
        call.body = Body::new(Full::new(Bytes::from(vec![7; size])));
        let answer = retry(losing_the_first(&seen)).call(call).await;
        assert_eq!(answer.is_ok(), attempts == 2);
        assert_eq!(*seen.lock().unwrap(), vec![size; attempts]);
    }
}
