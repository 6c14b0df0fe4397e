//! Injects faults on purpose: delays calls, and ends some of them with a code (gRFC A33, without its headers).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use rand::Rng as _;
use tokio::time;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::Layer;

use crate::{
    client::{
        AnswerFuture, Stop,
        call::Call,
        outcome::{Failure, Outcome},
    },
    policy::{cluster::FaultPolicy, live::Live},
    random,
};

/// Injects faults into what passes.
#[derive(Debug)]
pub(crate) struct Faulty<S> {
    inner: Arc<S>,
    source: Arc<Source>,
}

/// Makes [`Faulty`]; one for each service.
#[derive(Clone, Debug)]
pub(crate) struct FaultLayer {
    source: Arc<Source>,
}

#[derive(Debug)]
struct Source {
    policy: Live,
    active: AtomicU32,
}

impl FaultLayer {
    pub(crate) fn new(policy: Live) -> Self {
        Self { source: Arc::new(Source { policy, active: AtomicU32::new(0) }) }
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Faulty { inner: Arc::new(inner), source: Arc::clone(&self.source) }
    }
}

impl<S: Stop> Stop for Faulty<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        let Some((fault, active)) = self.source.draw() else { return self.inner.call(call) };
        let inner = Arc::clone(&self.inner);
        async move {
            if let Some(delay) = fault.delay {
                time::sleep(delay).await;
            }
            if let Some(code) = fault.abort {
                return Err(aborted(&call.route.service, code));
            }
            // The fault is over; the call goes on.
            drop(active);
            inner.call(call).await
        }
        .boxed()
    }
}

impl Source {
    /// Draws the fault of one call, if it has one and not too many have.
    fn draw(self: &Arc<Self>) -> Option<(Fault, Active)> {
        let policy = self.policy.load();
        let policy = policy.fault.as_ref()?;
        let mut rng = random::rng();
        let fault = draw(policy, rng.random(), rng.random());
        if fault == Fault::default() {
            return None;
        }
        Some((fault, Active::begin(self, policy.max_active)?))
    }
}

/// What is done to one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fault {
    delay: Option<Duration>,
    abort: Option<Code>,
}

/// Draws the fault of one call; the random numbers are in 0..1.
fn draw(policy: &FaultPolicy, delay: f64, abort: f64) -> Fault {
    Fault {
        delay: Some(policy.delay).filter(|_| delay * 100.0 < policy.delay_percent),
        abort: Some(policy.abort).filter(|_| abort * 100.0 < policy.abort_percent),
    }
}

fn aborted(service: &str, code: Code) -> Failure {
    let details = ErrorDetails::with_error_info("FAULT", "selvedge", HashMap::new());
    let text = format!("a fault that the policy of {service:?} asks for (`fault`)");
    Failure::with_status(Outcome::NoEndpoint, Status::with_error_details(code, text, details))
}

/// A fault that lasts; dropping it makes room for another.
struct Active {
    source: Arc<Source>,
}

impl Active {
    fn begin(source: &Arc<Source>, most: u32) -> Option<Self> {
        let more = |active: u32| (active < most).then(|| active + 1);
        source.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self { source: Arc::clone(source) })
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.source.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        client::tests::mock::{self, Mock},
        policy::cluster::ClusterPolicy,
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn faulty(change: impl FnOnce(&mut FaultPolicy)) -> (Faulty<Mock>, Mock) {
        let mut policy = FaultPolicy::default();
        change(&mut policy);
        let mock = Mock::new(|_, _| async { mock::ok() }.boxed());
        let policy = ClusterPolicy { fault: Some(policy), ..ClusterPolicy::default() };
        (FaultLayer::new(policy.into()).layer(mock.clone()), mock)
    }

    #[test]
    fn each_fault_has_its_own_share() {
        let policy = FaultPolicy { delay: SECOND, delay_percent: 25.0, abort_percent: 50.0, ..FaultPolicy::default() };
        for (delay, abort, delayed, aborted) in
            [(0.0, 0.0, true, true), (0.249, 0.6, true, false), (0.25, 0.49, false, true), (0.9, 0.5, false, false)]
        {
            let fault = draw(&policy, delay, abort);
            assert_eq!((fault.delay.is_some(), fault.abort.is_some()), (delayed, aborted), "{delay} {abort}");
        }
        assert_eq!(draw(&FaultPolicy::default(), 0.0, 0.0), Fault::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_is_made_later() {
        let (stop, mock) = faulty(|policy| (policy.delay, policy.delay_percent) = (SECOND, 100.0));
        let begun = Instant::now();
        assert!(stop.call(mock::call(false, None)).await.is_ok());
        assert!(begun.elapsed() >= SECOND);
        assert_eq!(mock.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_aborted_call_is_not_made_and_says_why() {
        let (stop, mock) = faulty(|policy| (policy.abort, policy.abort_percent) = (Code::DataLoss, 100.0));
        let failure = stop.call(mock::call(false, None)).await.unwrap_err();
        assert_eq!((failure.status.code(), mock.calls()), (Code::DataLoss, 0));
        assert!(failure.status.message().contains("\"users\""), "{}", failure.status.message());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_faults_are_active_than_allowed() {
        let (stop, mock) = faulty(|policy| {
            (policy.delay, policy.delay_percent, policy.max_active) = (SECOND, 100.0, 1);
        });
        let mut delayed = stop.call(mock::call(false, None));
        assert!(futures::poll!(&mut delayed).is_pending());
        assert!(stop.call(mock::call(false, None)).await.is_ok());
        assert_eq!(mock.calls(), 1, "the second was not delayed");
        drop(delayed);
        let mut delayed = stop.call(mock::call(false, None));
        assert!(futures::poll!(&mut delayed).is_pending(), "who left made room");
    }
}
