use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::{Code, Status, body::Body};

use super::*;
use crate::{
    client::{
        call::EndpointId,
        pushback::PUSHBACK,
        tests::mock::{self, Mock},
    },
    policy::{
        cluster::{BudgetPolicy, ClusterPolicy},
        method::{Idempotency, MethodPolicy},
    },
    telemetry::Telemetry,
};

const MILLI: Duration = Duration::from_millis(1);

fn hedged(inner: Mock, change: impl FnOnce(&mut ClusterPolicy)) -> Hedged<Mock> {
    let mut policy = ClusterPolicy::default();
    change(&mut policy);
    let metrics = Telemetry::new().unwrap().metrics().clone();
    HedgeLayer::new(policy.into(), Arc::new(Budget::new(Instant::now())), Memory::default(), metrics).layer(inner)
}

/// A call that may be repeated and is hedged so.
fn call(hedge: HedgePolicy) -> Call {
    let (idempotency, hedge) = (Some(Idempotency::Idempotent), Some(hedge));
    mock::call_with(&MethodPolicy { idempotency, hedge, ..MethodPolicy::default() })
}

fn after(delay: Duration, max_attempts: u32) -> HedgePolicy {
    HedgePolicy { max_attempts, delay: Some(delay), quantile: None }
}

/// Counts those that run.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers each attempt after so many milliseconds, the last again for those beyond; notes how many run.
fn answering(millis: &'static [u64], running: &Arc<AtomicUsize>) -> Mock {
    let running = Arc::clone(running);
    Mock::new(move |_, at| {
        let running = Running::begin(&running);
        let time = millis[at.min(millis.len() - 1)];
        async move {
            time::sleep(Duration::from_millis(time)).await;
            drop(running);
            mock::ok()
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_gets_another_beside_it_and_the_first_answer_ends_both() {
    let running = Arc::default();
    let mock = answering(&[9_000, 20], &running);
    let begun = Instant::now();
    let answer = hedged(mock.clone(), |_| {}).call(call(after(100 * MILLI, 3))).await;
    assert!(answer.is_ok());
    assert_eq!(mock.calls(), 2);
    assert!((120 * MILLI..125 * MILLI).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(running.load(Ordering::SeqCst), 0, "the loser is given up");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_has_none_beside_it() {
    let mock = answering(&[99], &Arc::default());
    hedged(mock.clone(), |_| {}).call(call(after(100 * MILLI, 3))).await.unwrap();
    assert_eq!(mock.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_are_made_than_the_policy_says_and_none_of_what_may_not_be_repeated() {
    let slow = || answering(&[5_000], &Arc::default());
    for (most, attempts) in [(1, 1), (2, 2), (4, 4)] {
        let mock = slow();
        hedged(mock.clone(), |_| {}).call(call(after(10 * MILLI, most))).await.unwrap();
        assert_eq!(mock.calls(), attempts);
    }
    let (once, for_retry) = (slow(), slow());
    let hedge = Some(after(10 * MILLI, 3));
    let policy = MethodPolicy { hedge, ..MethodPolicy::default() };
    hedged(once.clone(), |_| {}).call(mock::call_with(&policy)).await.unwrap();
    let mut made_for_retry = call(after(10 * MILLI, 3));
    Arc::make_mut(&mut made_for_retry.route).for_retry = true;
    hedged(for_retry.clone(), |_| {}).call(made_for_retry).await.unwrap();
    assert_eq!((once.calls(), for_retry.calls()), (1, 1));
}

/// Ends each attempt as told, the last again for those beyond.
fn ending(ends: &'static [fn() -> Answer]) -> Mock {
    Mock::new(move |_, at| {
        let end = ends[at.min(ends.len() - 1)]();
        async move { end }.boxed()
    })
}

fn code(code: Code) -> Answer {
    Ok(Status::new(code, "busy").into_http())
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_another_may_mend_brings_it_on_at_once_and_others_end_the_call() {
    let long = after(Duration::from_secs(10), 3);
    for (ends, attempts, code_of_call) in [
        (&[(|| code(Code::Unavailable)) as fn() -> Answer, mock::ok][..], 2, Code::Ok),
        (&[|| mock::failed(Outcome::Lost, 1), mock::ok], 2, Code::Ok),
        (&[|| mock::failed(Outcome::Refused, 1), || mock::failed(Outcome::Lost, 2), mock::ok], 3, Code::Ok),
        (&[|| code(Code::Unavailable)], 3, Code::Unavailable),
        (&[|| mock::failed(Outcome::Lost, 1)], 3, Code::Unavailable),
        (&[|| code(Code::NotFound)], 1, Code::NotFound),
        (&[|| mock::failed(Outcome::Caller, 1)], 1, Code::Unavailable),
        (&[|| mock::failed(Outcome::NoEndpoint, 1)], 1, Code::Unavailable),
    ] {
        let (mock, begun) = (ending(ends), Instant::now());
        let answer = hedged(mock.clone(), |_| {}).call(call(long)).await;
        let found = answer.map_or_else(|failure| failure.status.code(), |answer| status_of(&answer).unwrap());
        assert_eq!((found, mock.calls()), (code_of_call, attempts));
        assert!(begun.elapsed() < 5 * MILLI, "nobody waited");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_does_not_end_those_beside_it() {
    // The first answers at last, long after the second failed and no third was allowed.
    let mock = Mock::new(|_, at| {
        async move {
            let end = if at == 0 { mock::ok() } else { code(Code::Unavailable) };
            time::sleep(if at == 0 { Duration::from_secs(1) } else { MILLI }).await;
            end
        }
        .boxed()
    });
    let answer = hedged(mock.clone(), |_| {}).call(call(after(10 * MILLI, 2))).await.unwrap();
    assert_eq!((status_of(&answer), mock.calls()), (Some(Code::Ok), 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_says_when_the_next_begins_or_that_none_does() {
    for (pushback, attempts, waited) in [("50", 3, 100), ("-1", 1, 0), ("soon", 1, 0)] {
        let mock = Mock::new(move |_, _| {
            let mut answer = Status::unavailable("busy").into_http();
            answer.headers_mut().insert(PUSHBACK, pushback.parse().unwrap());
            async { Ok(answer) }.boxed()
        });
        let begun = Instant::now();
        hedged(mock.clone(), |_| {}).call(call(after(Duration::from_secs(5), 3))).await.unwrap();
        assert_eq!(mock.calls(), attempts, "{pushback}");
        let took = begun.elapsed().as_millis();
        assert!((waited..waited + 5).contains(&took), "{pushback}: {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_beside_the_first_come_out_of_the_budget_of_retries() {
    let mock = answering(&[1_000], &Arc::default());
    let stop = hedged(mock.clone(), |policy| {
        policy.retry_budget = BudgetPolicy { per_second: 1, percent: 0.0, ..BudgetPolicy::default() };
    });
    let calls: Vec<_> = (0..40).map(|_| stop.call(call(after(10 * MILLI, 2)))).collect();
    for answer in futures::future::join_all(calls).await {
        assert!(answer.is_ok());
    }
    assert_eq!(mock.calls(), 40 + 10);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_knows_where_the_others_went_and_sends_the_whole_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let mock = Mock::new(move |call, at| {
        let noted = Arc::clone(&noted);
        call.traffic.went_to(EndpointId(at as u64));
        async move {
            let Call { tried, previous, hash, .. } = call;
            let length = call.body.collect().await.unwrap().to_bytes().len();
            noted.lock().unwrap().push((tried, previous, hash, length, call.route.policy.max_attempts.value));
            time::sleep(Duration::from_secs(1)).await;
            mock::ok()
        }
        .boxed()
    });
    let mut call = call(after(10 * MILLI, 3));
    (call.hash, call.body) = (Some(7), Body::new(Full::new(Bytes::from(vec![7; 1_000]))));
    hedged(mock, |_| {}).call(call).await.unwrap();
    let id = EndpointId;
    let expected = [(vec![], 0), (vec![id(0)], 1), (vec![id(0), id(1)], 2)];
    let expected = expected.map(|(tried, previous)| (tried, previous, Some(7), 1_000, 1));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_to_keep_has_one_attempt() {
    let mock = Mock::new(|call, _| {
        async move {
            call.body.collect().await.unwrap();
            time::sleep(Duration::from_secs(1)).await;
            mock::ok()
        }
        .boxed()
    });
    let mut call = call(after(10 * MILLI, 3));
    call.body = Body::new(Full::new(Bytes::from(vec![7; 65 * 1024])));
    hedged(mock.clone(), |_| {}).call(call).await.unwrap();
    assert_eq!(mock.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_that_of_the_slowest_calls_once_it_is_known() {
    // Nine of ten take 10 ms, and one a second: beyond the ninth tenth it is asked again.
    let mock = Mock::new(|call, at| {
        let slow = at.is_multiple_of(10) && call.previous == 0;
        async move {
            time::sleep(if slow { Duration::from_secs(1) } else { 10 * MILLI }).await;
            mock::ok()
        }
        .boxed()
    });
    let stop = hedged(mock.clone(), |policy| policy.retry_budget.per_second = 1_000);
    let hedge = HedgePolicy { max_attempts: 2, delay: None, quantile: Some(0.85) };
    for _ in 0..100 {
        stop.call(call(hedge)).await.unwrap();
    }
    assert_eq!(mock.calls(), 100, "nothing is known yet");
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let begun = Instant::now();
        stop.call(call(hedge)).await.unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    assert!((105..=115).contains(&(mock.calls() - 100)), "{}", mock.calls());
    assert!(slowest < 40 * MILLI, "{slowest:?}");
}
