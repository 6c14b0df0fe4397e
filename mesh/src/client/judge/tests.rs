use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use tokio::time;
use tonic::Status;

use super::*;
use crate::{
    client::{
        load::{Load, Mean},
        observe::AnswerBody,
        outcome::Outcome,
        standing::{Notices, Seen, Standing},
        tests::mock,
    },
    policy::cluster::{BreakerPolicy, ClusterPolicy},
    telemetry::Telemetry,
};

/// One endpoint without a connection.
struct Bench {
    load: Arc<Load>,
    standing: Arc<Standing>,
}

fn bench() -> Bench {
    let (now, telemetry) = (Instant::now(), Telemetry::new().unwrap());
    let notices = Notices {
        endpoint: "users-1".into(),
        target: KeyValue::new("grpc.target", "users"),
        metrics: telemetry.metrics().clone(),
        changed: crate::client::changes::Changes::default(),
    };
    let breaker = BreakerPolicy { consecutive_failures: 2, jitter: 0.0, ..BreakerPolicy::default() };
    let policy = ClusterPolicy { breaker, ..ClusterPolicy::default() }.into();
    Bench {
        load: Arc::new(Load::new(Arc::new(Mean::new(now)), now)),
        standing: Arc::new(Standing::new(policy, now, notices)),
    }
}

impl Bench {
    fn judge(&self, deadline: Option<Instant>) -> Judge {
        let permit = self.standing.admit(Instant::now(), false).unwrap();
        Judge::new(self.load.begin(Instant::now(), deadline), permit, deadline)
    }

    async fn answer(&self, answer: Answer) {
        if let Ok(answer) = watch(async { answer }.boxed(), self.judge(None), EndpointId(0)).await {
            let _ = answer.into_body().collect().await;
        }
    }

    fn seen(&self) -> Seen {
        self.standing.see(Instant::now())
    }

    async fn open(&self) {
        self.answer(mock::failed(Outcome::Lost, 0)).await;
        self.answer(mock::failed(Outcome::Lost, 0)).await;
        assert_eq!(self.seen(), Seen::Out);
    }
}

fn status(code: Code) -> Answer {
    Ok(Status::new(code, "").into_http())
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_does_wrong_opens_its_breaker_and_nothing_else_does() {
    for (blamed, answer) in [
        (true, mock::failed(Outcome::Lost, 0)),
        (true, mock::failed(Outcome::TimedOut, 0)),
        (true, mock::failed(Outcome::Answered, 0)),
        (false, mock::failed(Outcome::NeverSent, 0)),
        (false, mock::failed(Outcome::Refused, 0)),
        (false, mock::failed(Outcome::Caller, 0)),
        (true, status(Code::Unavailable)),
        (true, status(Code::Internal)),
        (true, status(Code::DeadlineExceeded)),
        (false, status(Code::NotFound)),
        (false, status(Code::Cancelled)),
        (false, status(Code::Ok)),
    ] {
        let bench = bench();
        for _ in 0..2 {
            bench.answer(answer.as_ref().map(copy).map_err(Clone::clone)).await;
        }
        assert_eq!(bench.seen() == Seen::Out, blamed, "{answer:?}");
    }
}

fn copy(answer: &http::Response<AnswerBody>) -> http::Response<AnswerBody> {
    let mut copied = http::Response::new(AnswerBody::default());
    *copied.headers_mut() = answer.headers().clone();
    copied
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_says_nothing_and_one_whose_time_is_up_does() {
    for (after, out) in [(Duration::from_secs(5), true), (Duration::from_secs(1), false)] {
        let bench = bench();
        let deadline = Instant::now() + Duration::from_secs(5);
        for _ in 0..2 {
            let judge = bench.judge(Some(deadline));
            let waiting = watch(std::future::pending().boxed(), judge, EndpointId(0));
            let _ = time::timeout_at(deadline - Duration::from_secs(5) + after, waiting).await;
        }
        assert_eq!(bench.seen() == Seen::Out, out, "left after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_passes_at_a_time_and_its_verdict_is_its_first_message() {
    let bench = bench();
    bench.open().await;
    time::advance(Duration::from_secs(1)).await;
    assert_eq!(bench.seen(), Seen::ProbeDue);
    let dropped = bench.judge(None);
    assert_eq!(bench.seen(), Seen::Out, "a probe is under way");
    drop(dropped);
    let mut probe = bench.judge(None);
    assert!(bench.standing.admit(Instant::now(), false).is_none());
    probe.first();
    assert_eq!(bench.seen(), Seen::Sound, "though the answer goes on");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_it_open_for_longer() {
    let bench = bench();
    bench.open().await;
    time::advance(Duration::from_secs(1)).await;
    bench.answer(status(Code::Unavailable)).await;
    time::advance(Duration::from_millis(1_999)).await;
    assert_eq!(bench.seen(), Seen::Out);
    time::advance(Duration::from_millis(1)).await;
    assert_eq!(bench.seen(), Seen::ProbeDue);
    bench.standing.reconnected(Instant::now());
    bench.answer(status(Code::Ok)).await;
    assert_eq!(bench.seen(), Seen::Sound);
}
