use std::time::Duration;

use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tokio::{runtime, task::JoinSet, time};
use tonic::Code;

use super::*;
use crate::{
    client::tests::mock::{self, Mock},
    policy::{cluster::ClusterPolicy, document::Document, method::MethodPolicy},
};

const SECOND: Duration = Duration::from_secs(1);

fn limit(concurrency: usize, queue: usize) -> LimitLayer {
    let limit = Some(LimitPolicy { concurrency, queue });
    LimitLayer::new(ClusterPolicy { limit, ..ClusterPolicy::default() }.into())
}

/// Answers after a second, with headers only.
fn slow() -> Mock {
    Mock::new(|_, _| {
        async {
            time::sleep(SECOND).await;
            mock::ok()
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_and_those_beyond_the_queue_are_refused_at_once() {
    let (mock, mut running) = (slow(), JoinSet::new());
    let stop = limit(2, 3).layer(mock.clone());
    for _ in 0..9 {
        let call = stop.call(mock::call(false, None));
        running.spawn(async move { (call.await.map(drop), time::Instant::now()) });
    }
    let (begun, mut ends, mut refused) = (time::Instant::now(), Vec::new(), 0);
    while let Some(ended) = running.join_next().await {
        match ended.unwrap() {
            (Ok(()), at) => ends.push((at - begun).as_secs()),
            (Err(failure), at) => {
                assert_eq!(failure.status.code(), Code::Unavailable);
                assert!(failure.status.message().contains("\"users\""), "{}", failure.status.message());
                assert_eq!(at, begun);
                refused += 1;
            }
        }
    }
    assert_eq!((ends, refused, mock.calls()), (vec![1, 1, 2, 2, 3], 4, 5));
}

fn call_of(priority: Priority) -> Call {
    mock::call_with(&MethodPolicy { priority: Some(priority), ..MethodPolicy::default() })
}

#[tokio::test(start_paused = true)]
async fn those_of_a_higher_priority_go_before_those_that_came_earlier() {
    use Priority::{High, Low, Normal};
    let (stop, mut running) = (limit(1, 6).layer(slow()), JoinSet::new());
    for (number, priority) in [Normal, Low, Normal, Low, High, Normal, High].into_iter().enumerate() {
        let mut call = stop.call(call_of(priority));
        assert!(futures::poll!(&mut call).is_pending());
        running.spawn(async move { call.await.map(|_| (priority, number)).unwrap() });
    }
    assert!(stop.call(call_of(High)).await.is_err(), "the queue is one, and bounded");
    let mut ended = Vec::new();
    while let Some(one) = running.join_next().await {
        ended.push(one.unwrap());
    }
    let order = [(Normal, 0), (High, 4), (High, 6), (Normal, 2), (Normal, 5), (Low, 1), (Low, 3)];
    assert_eq!(ended, order);
}

#[tokio::test(start_paused = true)]
async fn those_of_low_priority_keep_their_turns_while_others_have_the_places() {
    use Priority::{Low, Normal};
    let (stop, mut running) = (limit(2, 6).layer(slow()), JoinSet::new());
    for (number, priority) in [Normal, Normal, Low, Low, Low].into_iter().enumerate() {
        let mut call = stop.call(call_of(priority));
        assert!(futures::poll!(&mut call).is_pending());
        // One after the other, so that one place at a time is given back.
        time::advance(SECOND / 10).await;
        running.spawn(async move { call.await.map(|_| number).unwrap() });
    }
    let mut ended = Vec::new();
    while let Some(one) = running.join_next().await {
        ended.push(one.unwrap());
    }
    assert_eq!(ended, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn those_of_low_priority_leave_places_to_others() {
    for (concurrency, most) in [(1, 1), (2, 1), (9, 8), (10, 9), (100, 90)] {
        let (mock, mut low) = (slow(), Vec::new());
        let stop = limit(concurrency, 1_000).layer(mock.clone());
        for _ in 0..concurrency {
            let mut call = stop.call(call_of(Priority::Low));
            assert!(futures::poll!(&mut call).is_pending());
            low.push(call);
        }
        assert_eq!(mock.calls(), most, "of {concurrency}");
        let normal: Vec<_> = (most..concurrency).map(|_| stop.call(call_of(Priority::Normal))).collect();
        assert_eq!(mock.calls(), concurrency, "of {concurrency}");
        drop(normal);
        for call in low {
            assert!(call.await.is_ok(), "in the end each has its turn");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_taken_until_the_body_ends_or_is_dropped() {
    let stop = limit(1, 0).layer(Mock::new(|_, _| async { mock::slow_body(SECOND) }.boxed()));
    let begun = stop.call(mock::call(false, None)).await.unwrap();
    assert!(stop.call(mock::call(false, None)).await.is_err());
    drop(begun);
    let mut read = stop.call(mock::call(false, None)).await.unwrap().into_body();
    while let Some(frame) = read.frame().await {
        assert!(frame.is_ok());
    }
    assert!(stop.call(mock::call(false, None)).await.is_ok(), "it was read to its end");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_gives_its_place_back_in_the_queue_too() {
    let stop = limit(1, 1).layer(slow());
    let mut running = stop.call(mock::call(false, None));
    let mut waiting = stop.call(mock::call(false, None));
    assert!(futures::poll!(&mut running).is_pending() && futures::poll!(&mut waiting).is_pending());
    assert!(stop.call(mock::call(false, None)).await.is_err());
    drop(waiting);
    let mut waiting = stop.call(mock::call(false, None));
    assert!(futures::poll!(&mut waiting).is_pending(), "the queue has a place again");
    drop(running);
    assert!(waiting.await.is_ok());
}

#[tokio::test]
async fn without_a_limit_everything_passes() {
    let policy = ClusterPolicy { limit: None, ..ClusterPolicy::default() };
    let stop = LimitLayer::new(policy.into()).layer(Mock::new(|_, _| std::future::pending().boxed()));
    let mut calls: Vec<_> = (0..20_000).map(|_| stop.call(mock::call(false, None))).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(stop.inner.calls(), calls.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn never_more_are_under_way_than_the_limit(
        concurrency in 1usize..6,
        queue in 0usize..6,
        times in proptest::collection::vec((0u64..40, 1u64..30, 1u64..60), 1..60),
    ) {
        let paused = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let most = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&most);
        paused.block_on(async move {
            let under_way = Arc::new(AtomicUsize::new(0));
            let mock = Mock::new(move |call, _| {
                let (under_way, seen) = (Arc::clone(&under_way), Arc::clone(&seen));
                async move {
                    seen.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _leaving = Leaving(under_way);
                    time::sleep(Duration::from_millis(u64::from(call.previous))).await;
                    mock::ok()
                }
                .boxed()
            });
            let (stop, mut running) = (limit(concurrency, queue).layer(mock), JoinSet::new());
            for (after, lasts, patience) in times {
                time::sleep(Duration::from_millis(after)).await;
                let mut call = mock::call(false, None);
                call.previous = lasts as u32;
                let answer = stop.call(call);
                running.spawn(async move { time::timeout(Duration::from_millis(patience), answer).await.is_ok() });
            }
            while running.join_next().await.is_some() {}
            let gate = stop.gate;
            let waiting = gate.queues.iter().map(|queue| queue.waiting.load(Ordering::SeqCst)).sum::<usize>();
            assert_eq!((gate.taken.load(Ordering::SeqCst), waiting), (0, 0));
        });
        prop_assert!(most.load(Ordering::SeqCst) <= concurrency);
    }
}

struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_holds_for_the_next_call() {
    let live = Live::from(ClusterPolicy::default());
    let stop = LimitLayer::new(live.clone()).layer(slow());
    let mut running = stop.call(mock::call(false, None));
    assert!(futures::poll!(&mut running).is_pending());
    live.accept(Some(Document::read(b"cluster: {limit: {concurrency: 1, queue: 0}}").unwrap())).unwrap();
    assert!(stop.call(mock::call(false, None)).await.is_err(), "the one under way counts");
    live.accept(None).unwrap();
    assert!(stop.call(mock::call(false, None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_a_limit_that_is_raised() {
    let limit = Some(LimitPolicy { concurrency: 1, queue: 5 });
    let live = Live::from(ClusterPolicy { limit, ..ClusterPolicy::default() });
    let stop = LimitLayer::new(live.clone()).layer(Mock::new(|_, _| std::future::pending().boxed()));
    let mut calls: Vec<_> = (0..3).map(|_| stop.call(mock::call(false, None))).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(stop.inner.calls(), 1);
    live.accept(Some(Document::read(b"cluster: {limit: {concurrency: 3}}").unwrap())).unwrap();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(stop.inner.calls(), 3);
}
