use std::sync::{Arc, Mutex};

use futures::{FutureExt as _, future::BoxFuture};
use http_body_util::BodyExt as _;
use opentelemetry::trace::{Status as SpanStatus, TraceFlags};
use tonic::body::Body as TonicBody;
use tower::service_fn;

use super::*;
use crate::telemetry::recorded;

/// Where a handler's own calls would belong.
type Inherited = Arc<Mutex<Vec<TraceContext>>>;

/// Serves one call of `/a.B/C` to its end; returns what its handler's own calls would belong to.
async fn serve(tracer: Tracer, caller: Option<TraceContext>, status: Status) -> TraceContext {
    let inherited = Inherited::default();
    let seen = Arc::clone(&inherited);
    let handler = service_fn(move |_: Request<TonicBody>| -> BoxFuture<'static, _> {
        let (seen, answer) = (Arc::clone(&seen), status.clone().into_http::<TonicBody>());
        async move {
            seen.lock().unwrap().extend(Context::current().trace);
            Ok::<_, Infallible>(answer)
        }
        .boxed()
    });
    let mut request = Request::new(TonicBody::empty());
    *request.uri_mut() = "/a.B/C".parse().unwrap();
    if let Some(caller) = caller {
        caller.to_headers(request.headers_mut());
    }
    let Ok(answer) = TraceLayer::new(tracer).layer(handler).call(request).await;
    // It fails if the call does.
    let _ = answer.into_body().collect().await;
    let inherited = inherited.lock().unwrap();
    inherited[0]
}

fn sampled() -> TraceContext {
    TraceContext { flags: TraceFlags::SAMPLED, ..TraceContext::root() }
}

#[tokio::test]
async fn a_served_call_stands_below_its_caller_and_above_its_handlers_calls() {
    let (recorded, caller) = (recorded::Recorded::default(), sampled());
    for status in [Status::ok(""), Status::not_found("nobody")] {
        let inherited = serve(recorded.tracer(0.0), Some(caller), status).await;
        let span = recorded.spans().pop().unwrap();
        assert_eq!((&*span.name, span.span_kind.clone()), ("Recv.a.B.C", SpanKind::Server));
        assert_eq!((span.parent_span_id, span.span_context.trace_id()), (caller.span_id, caller.trace_id));
        assert_eq!(inherited.span_id, span.span_context.span_id());
    }
    let ends: Vec<_> = recorded.spans().into_iter().map(|span| span.status).collect();
    assert_eq!(ends, [SpanStatus::Ok, SpanStatus::error("NOT_FOUND")]);
}

#[tokio::test]
async fn without_a_span_of_its_own_it_passes_on_the_callers() {
    let (recorded, caller) = (recorded::Recorded::default(), TraceContext::root());
    assert_eq!(serve(recorded.tracer(1.0), Some(caller), Status::ok("")).await, caller);
    assert!(recorded.spans().is_empty());
    let begun = serve(recorded.tracer(0.0), None, Status::ok("")).await;
    assert!(!begun.flags.is_sampled() && begun.trace_id != caller.trace_id);
}

#[tokio::test]
async fn a_caller_that_leaves_is_told_apart() {
    let recorded = recorded::Recorded::default();
    let handler = service_fn(|_: Request<TonicBody>| -> BoxFuture<'static, Result<Response<TonicBody>, Infallible>> {
        std::future::pending().boxed()
    });
    let mut request = Request::new(TonicBody::empty());
    sampled().to_headers(request.headers_mut());
    let waiting = TraceLayer::new(recorded.tracer(0.0)).layer(handler).call(request);
    drop(waiting);
    assert_eq!(recorded.spans()[0].status, SpanStatus::error("CANCELLED"));
}
