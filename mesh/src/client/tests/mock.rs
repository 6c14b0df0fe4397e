//! A stop that answers as a closure says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, uri::PathAndQuery};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::{Status, body::Body};

use crate::{
    client::{
        Answer, AnswerFuture, Stop,
        call::{Call, Deadline, EndpointId, Route},
        outcome::{Failure, Outcome},
    },
    policy::method::{Idempotency, MethodPolicy, Origin, Policy},
    telemetry::AttemptLabels,
};

type Run = dyn Fn(Call, usize) -> BoxFuture<'static, Answer> + Send + Sync;

/// Runs a closure with each call and its number, from 0.
#[derive(Clone)]
pub(crate) struct Mock {
    run: Arc<Run>,
    calls: Arc<Mutex<usize>>,
}

impl Mock {
    pub(crate) fn new(run: impl Fn(Call, usize) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run), calls: Arc::default() }
    }

    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

impl Stop for Mock {
    fn call(&self, call: Call) -> AnswerFuture {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        (self.run)(call, *calls - 1).boxed()
    }
}

/// A call of a method of which the call site says this.
pub(crate) fn call_with(said: &MethodPolicy) -> Call {
    let mut call = call(false, None);
    Arc::make_mut(&mut call.route).policy = Arc::new(Policy::new(None).with(Origin::CallSite, said));
    call
}

/// A call of `/test.Echo/Run` of `users`.
pub(crate) fn call(idempotent: bool, deadline: Option<Deadline>) -> Call {
    let idempotency = idempotent.then_some(Idempotency::Idempotent);
    let said = MethodPolicy { idempotency, ..MethodPolicy::default() };
    let route = Route {
        service: "users".into(),
        path: PathAndQuery::from_static("/test.Echo/Run"),
        labels: Arc::new(AttemptLabels::new("test.Echo/Run", "users")),
        policy: Arc::new(Policy::new(None).with(Origin::CallSite, &said)),
        for_retry: false,
        mirrored: false,
        wait_for_ready: false,
        tagged: None,
        deadline,
        trace: None,
    };
    Call::first(Arc::new(route), HeaderMap::new(), Body::empty())
}

pub(crate) fn ok() -> Answer {
    Ok(Status::ok("").into_http())
}

/// An answer whose one message comes after a while.
pub(crate) fn slow_body(after: Duration) -> Answer {
    let late = async move {
        tokio::time::sleep(after).await;
        Ok::<_, Status>(Frame::data(Bytes::from("late")))
    };
    Ok(http::Response::new(Body::new(StreamBody::new(futures::stream::once(late.boxed()))).into()))
}

pub(crate) fn failed(outcome: Outcome, endpoint: u64) -> Answer {
    Err(Failure::with_status(outcome, Status::unavailable("it failed")).at(EndpointId(endpoint)))
}
