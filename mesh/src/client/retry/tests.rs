use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::{Status, body::Body};

use super::*;
use crate::{
    client::{
        call::Deadline,
        pushback::PUSHBACK,
        tests::mock::{self, Mock},
    },
    policy::{
        cluster::ClusterPolicy,
        method::{Idempotency, MethodPolicy},
    },
    telemetry::Telemetry,
};

fn retry(inner: Mock) -> Retry<Mock> {
    RetryLayer::new(
        "users",
        ClusterPolicy::default().into(),
        Memory::default(),
        Telemetry::new().unwrap().metrics().clone(),
    )
    .layer(inner)
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
        (Outcome::Lost, 1, 3),
        (Outcome::NoEndpoint, 1, 1),
        (Outcome::TimedOut, 1, 3),
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

/// Answers with a code each time, and with these headers.
fn answering(code: Code, headers: &'static [(&'static str, &'static str)]) -> Mock {
    Mock::new(move |_, _| {
        let mut answer = Status::new(code, "busy").into_http();
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        async { Ok(answer) }.boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn a_code_is_tried_again_if_the_policy_names_it_and_the_method_may_be_repeated() {
    for (code, idempotent, attempts) in
        [(Code::Unavailable, true, 3), (Code::Unavailable, false, 1), (Code::Internal, true, 1), (Code::Ok, true, 1)]
    {
        let mock = answering(code, &[]);
        let answer = retry(mock.clone()).call(mock::call(idempotent, None)).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], (code as i32).to_string());
        assert_eq!(mock.calls(), attempts, "{code:?} idempotent: {idempotent}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_says_how_often_and_on_what() {
    let said = MethodPolicy {
        idempotency: Some(Idempotency::Idempotent),
        max_attempts: Some(5),
        retry_codes: Some([Code::Aborted].into_iter().collect()),
        ..MethodPolicy::default()
    };
    for (code, attempts) in [(Code::Aborted, 5), (Code::Unavailable, 1)] {
        let mock = answering(code, &[]);
        retry(mock.clone()).call(mock::call_with(&said)).await.unwrap();
        assert_eq!(mock.calls(), attempts, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_is_committed_whatever_its_trailers_say() {
    let mock = Mock::new(|_, _| async { mock::slow_body(Duration::from_secs(1)) }.boxed());
    assert!(retry(mock.clone()).call(mock::call(true, None)).await.is_ok());
    assert_eq!(mock.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_says_when_to_try_again_or_not_to() {
    for (pushback, attempts, waited) in
        [("0", 3, 0), ("1500", 3, 3_000), ("-1", 1, 0), ("soon", 1, 0), ("99999999999", 1, 0)]
    {
        let headers: &'static [_] = Box::leak(Box::new([(PUSHBACK, pushback)]));
        let (mock, begun) = (answering(Code::Unavailable, headers), Instant::now());
        retry(mock.clone()).call(mock::call(true, None)).await.unwrap();
        let took = begun.elapsed().as_millis();
        assert_eq!(mock.calls(), attempts, "{pushback}");
        // The clock ticks in milliseconds.
        assert!((waited..waited + 4).contains(&took), "{pushback}: {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_a_step_apart_and_the_steps_grow() {
    let said =
        MethodPolicy { idempotency: Some(Idempotency::Idempotent), max_attempts: Some(5), ..MethodPolicy::default() };
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let mock = Mock::new(move |_, at| {
        noted.lock().unwrap().push(Instant::now());
        async move { mock::failed(Outcome::Lost, at as u64) }.boxed()
    });
    retry(mock).call(mock::call_with(&said)).await.unwrap_err();
    let times = times.lock().unwrap();
    for (pair, step) in times.windows(2).zip([25.0, 50.0, 100.0, 200.0]) {
        let waited = (pair[1] - pair[0]).as_secs_f64() * 1_000.0;
        assert!(waited >= step * 0.8 && waited <= step * 1.2 + 2.0, "{waited} ms for a step of {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_made_for_a_retry_is_repeated_only_if_no_server_acted_on_it() {
    for (outcome, attempts) in [(Outcome::Lost, 1), (Outcome::TimedOut, 1), (Outcome::Refused, 6)] {
        let mock = ending(outcome);
        let mut call = mock::call(true, None);
        Arc::make_mut(&mut call.route).for_retry = true;
        retry(mock.clone()).call(call).await.unwrap_err();
        assert_eq!(mock.calls(), attempts, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_would_begin_past_the_deadline_is_not_waited_for() {
    for (left, attempts) in [(10, 1), (60_000, 3)] {
        let after = Duration::from_millis(left);
        let deadline = Deadline { at: Instant::now() + after, after };
        let (mock, begun) = (ending(Outcome::Lost), Instant::now());
        retry(mock.clone()).call(mock::call(true, Some(deadline))).await.unwrap_err();
        assert_eq!(mock.calls(), attempts);
        assert!(attempts > 1 || begun.elapsed().is_zero(), "its failure is told at once");
    }
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
        stop.call(mock::call(false, None)).await.unwrap_err();
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
