//! What every stop keeps to: it passes on what comes, and lets go of what is dropped.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::Layer;

use super::mock::{self, Mock};
use crate::{
    client::{
        Stop, attempt::TimeoutLayer, call::Deadline, deadline::DeadlineLayer, fault::FaultLayer, limit::LimitLayer,
        metrics, outcome::Outcome, replay::Memory, retry::RetryLayer, trace,
    },
    policy::{
        cluster::{ClusterPolicy, FaultPolicy, LimitPolicy},
        live::Live,
        method::{Idempotency, MethodPolicy, Origin, Policy},
    },
    telemetry::{Telemetry, recorded::Recorded},
};

/// A call that every stop has something to do with.
fn call() -> crate::client::call::Call {
    let after = Duration::from_secs(60);
    let mut call = mock::call(true, Some(Deadline { at: Instant::now() + after, after }));
    let said = MethodPolicy {
        idempotency: Some(Idempotency::Idempotent),
        per_try_timeout: Some(after),
        ..MethodPolicy::default()
    };
    Arc::make_mut(&mut call.route).policy = Arc::new(Policy::new(None).with(Origin::CallSite, &said));
    call
}

/// Never ends, and is gone when it is dropped.
async fn held(token: Arc<()>) {
    let _token = token;
    std::future::pending().await
}

async fn check<L>(name: &str, layer: L)
where
    L: Layer<Mock>,
    L::Service: Stop,
{
    let mock = Mock::new(|_, _| async { mock::slow_body(Duration::from_secs(1)) }.boxed());
    let answer = layer.layer(mock.clone()).call(call()).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "late", "{name} passes the answer on");
    assert_eq!(mock.calls(), 1, "{name} calls once what succeeds");

    let failing = Mock::new(|_, _| async { mock::failed(Outcome::Caller, 3) }.boxed());
    let failure = layer.layer(failing).call(call()).await.unwrap_err();
    assert_eq!((failure.outcome, failure.endpoint.map(|id| id.0)), (Outcome::Caller, Some(3)), "{name}");

    let (token, below) = watched();
    let token = std::sync::Mutex::new(Some(token));
    let stuck = Mock::new(move |_, _| {
        let token = token.lock().unwrap().take().unwrap();
        held(token).map(|()| mock::ok()).boxed()
    });
    let mut pending = layer.layer(stuck).call(call());
    assert!(futures::poll!(&mut pending).is_pending());
    drop(pending);
    assert_eq!(below.strong_count(), 0, "{name} drops what is below with its future");

    let (token, below) = watched();
    let token = std::sync::Mutex::new(Some(token));
    let begun = Mock::new(move |_, _| {
        let token = token.lock().unwrap().take().unwrap();
        let frames = futures::stream::once(held(token).map(|()| Ok::<_, Status>(Frame::data(Bytes::new()))).boxed());
        async move { Ok(http::Response::new(Body::new(StreamBody::new(frames)).into())) }.boxed()
    });
    let mut answer = layer.layer(begun).call(call()).await.unwrap();
    assert!(futures::poll!(answer.body_mut().frame()).is_pending());
    drop(answer);
    assert_eq!(below.strong_count(), 0, "{name} drops what is below with the body");
}

fn watched() -> (Arc<()>, Weak<()>) {
    let token = Arc::new(());
    let below = Arc::downgrade(&token);
    (token, below)
}

#[tokio::test(start_paused = true)]
async fn every_stop_keeps_the_contract() {
    let telemetry = Telemetry::new().unwrap();
    let metrics = telemetry.metrics();
    let tracer = Recorded::default().tracer(1.0);
    check("call trace", trace::call(tracer.clone())).await;
    check("attempt trace", trace::attempt(tracer)).await;
    check("call metrics", metrics::call(metrics.clone())).await;
    check("deadline", DeadlineLayer).await;
    let fault = Some(FaultPolicy { delay_percent: 100.0, ..FaultPolicy::default() });
    let limit = Some(LimitPolicy { concurrency: 1, queue: 0 });
    let policy = Live::from(ClusterPolicy { fault, limit, ..ClusterPolicy::default() });
    check("fault", FaultLayer::new(policy.clone())).await;
    check("retry", RetryLayer::new("users", policy.clone(), Memory::default(), metrics.clone())).await;
    check("limit", LimitLayer::new(policy)).await;
    check("attempt metrics", metrics::attempt(metrics.clone())).await;
    check("attempt timeout", TimeoutLayer::new("users-1")).await;
}
