//! Bounds one attempt: its response headers must come within the policy's time per try.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::time::{self, Instant};
use tower::Layer;

use crate::{
    client::{
        AnswerFuture, Stop,
        call::Call,
        outcome::{Failure, Outcome},
    },
    error::ErrorKind,
};

/// Bounds attempts at one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Timed<S> {
    inner: S,
    /// For errors: `users-1 at 127.0.0.1:4711`.
    endpoint: Arc<str>,
}

/// Makes [`Timed`].
#[derive(Clone, Debug)]
pub(crate) struct TimeoutLayer {
    endpoint: Arc<str>,
}

impl TimeoutLayer {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.into() }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timed { inner, endpoint: Arc::clone(&self.endpoint) }
    }
}

impl<S: Stop> Stop for Timed<S> {
    fn call(&self, mut call: Call) -> AnswerFuture {
        let limit = call.route.policy.per_try_timeout.value;
        let Some((limit, until)) = limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?))) else {
            return self.inner.call(call);
        };
        // The server is told, too.
        call.until = Some(until);
        let endpoint = Arc::clone(&self.endpoint);
        let answer = self.inner.call(call);
        async move { time::timeout_at(until, answer).await.unwrap_or_else(|_| Err(expired(&endpoint, limit))) }.boxed()
    }
}

fn expired(endpoint: &str, limit: Duration) -> Failure {
    let text = format!("{endpoint} did not answer an attempt within {limit:?} (per_try_timeout)");
    Failure::new(Outcome::TimedOut, ErrorKind::Deadline, text)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::{
        client::tests::mock::{self, Mock},
        policy::method::MethodPolicy,
    };

    const LIMIT: Duration = Duration::from_millis(100);

    fn said() -> MethodPolicy {
        MethodPolicy { per_try_timeout: Some(LIMIT), ..MethodPolicy::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_headers_in_time_is_given_up_and_names_the_endpoint() {
        let mock = Mock::new(|_, _| std::future::pending().boxed());
        let begun = Instant::now();
        let failure = TimeoutLayer::new("users-1").layer(mock).call(mock::call_with(&said())).await.unwrap_err();
        assert_eq!(failure.outcome, Outcome::TimedOut);
        assert!(begun.elapsed() >= LIMIT && begun.elapsed() < 2 * LIMIT);
        assert!(failure.status.message().contains("users-1"), "{}", failure.status.message());
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_at_that_instant_is_in_time_and_its_body_may_take_longer() {
        let mock = Mock::new(|call, _| {
            async move {
                time::sleep_until(call.until.unwrap()).await;
                mock::slow_body(10 * LIMIT)
            }
            .boxed()
        });
        let answer = TimeoutLayer::new("users-1").layer(mock).call(mock::call_with(&said())).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "late");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_ends_it() {
        let mock = Mock::new(|call, _| {
            assert_eq!(call.until, None);
            async { mock::ok() }.boxed()
        });
        assert!(TimeoutLayer::new("users-1").layer(mock).call(mock::call(false, None)).await.is_ok());
    }
}
