use std::sync::{Arc, Mutex};

use opentelemetry::{
    KeyValue,
    trace::{SpanId, Status, TraceFlags},
};
use opentelemetry_sdk::trace::SpanData;

use super::*;
use crate::{
    client::{
        outcome::Outcome,
        replay::Memory,
        retry::RetryLayer,
        tests::mock::{self, Mock},
    },
    policy::cluster::ClusterPolicy,
    telemetry::{Telemetry, recorded::Recorded},
};

/// What an attempt carried to its server.
type Carried = Arc<Mutex<Vec<TraceContext>>>;

fn carried(call: &Call) -> TraceContext {
    TraceContext::from_headers(&call.headers).unwrap()
}

/// Fails as told, once for each, and then answers.
fn failing(outcomes: &'static [Outcome], seen: &Carried) -> Mock {
    let seen = Arc::clone(seen);
    Mock::new(move |call, at| {
        seen.lock().unwrap().push(carried(&call));
        let answer = outcomes.get(at).map_or_else(mock::ok, |outcome| mock::failed(*outcome, at as u64 + 1));
        async { answer }.boxed()
    })
}

fn stack(recorded: &Recorded, sample: f64, inner: Mock) -> impl Stop {
    let (tracer, metrics) = (recorded.tracer(sample), Telemetry::new().unwrap().metrics().clone());
    let retry = RetryLayer::new("users", ClusterPolicy::default().into(), Memory::default(), metrics);
    let retry = retry.layer(attempt(tracer.clone()).layer(inner));
    call(tracer).layer(retry)
}

fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a opentelemetry::Value> {
    span.attributes.iter().find(|one| one.key.as_str() == key).map(|one| &one.value)
}

#[tokio::test(start_paused = true)]
async fn a_call_has_one_span_over_a_span_for_each_attempt_with_the_reason_of_a_retry() {
    let (recorded, seen) = (Recorded::default(), Carried::default());
    let stack = stack(&recorded, 1.0, failing(&[Outcome::Refused, Outcome::Lost], &seen));
    stack.call(mock::call(true, None)).await.unwrap();
    let spans = recorded.spans();
    let [refused, lost, answered, all] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(all.name, "Sent.test.Echo.Run");
    assert_eq!((all.parent_span_id, &all.status), (SpanId::INVALID, &Status::Ok));
    let policy = attribute(all, "selvedge.policy").unwrap().to_string();
    assert!(policy.contains("idempotency = idempotent (call site)"), "{policy}");
    let budget = attribute(all, "selvedge.retry_budget").unwrap().to_string();
    assert!(budget.contains("with 1 calls"), "{budget}");
    for (span, reason, previous, transparent) in
        [(refused, None, 0, false), (lost, Some("refused"), 0, true), (answered, Some("lost"), 1, false)]
    {
        assert_eq!(span.name, "Attempt.test.Echo.Run");
        assert_eq!(span.parent_span_id, all.span_context.span_id());
        assert_eq!(span.span_context.trace_id(), all.span_context.trace_id());
        assert_eq!(attribute(span, "selvedge.retry.reason").map(ToString::to_string).as_deref(), reason);
        assert!(span.attributes.contains(&KeyValue::new("previous-rpc-attempts", previous)), "{span:?}");
        assert!(span.attributes.contains(&KeyValue::new("transparent-retry", transparent)), "{span:?}");
    }
    assert_eq!(lost.status, Status::error("UNAVAILABLE"));
    // The server of each attempt stands below that attempt.
    let ids: Vec<_> = [refused, lost, answered].map(|span| span.span_context.span_id()).into();
    assert_eq!(seen.lock().unwrap().iter().map(|place| place.span_id).collect::<Vec<_>>(), ids);
    assert!(seen.lock().unwrap().iter().all(|place| place.flags == TraceFlags::SAMPLED));
}

#[tokio::test]
async fn what_is_not_recorded_passes_on_what_it_was_given_or_begins_a_trace() {
    let (recorded, seen) = (Recorded::default(), Carried::default());
    let above = TraceContext::root();
    for trace in [Some(above), None] {
        let mut call = mock::call(true, None);
        Arc::make_mut(&mut call.route).trace = trace;
        stack(&recorded, 0.0, failing(&[], &seen)).call(call).await.unwrap();
    }
    assert!(recorded.spans().is_empty());
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], above);
    assert!(seen[1].trace_id != above.trace_id && !seen[1].flags.is_sampled());
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_as_cancelled() {
    let recorded = Recorded::default();
    let stack = stack(&recorded, 1.0, Mock::new(|_, _| std::future::pending().boxed()));
    assert!(stack.call(mock::call(false, None)).now_or_never().is_none());
    let spans = recorded.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.status == Status::error("CANCELLED")), "{spans:?}");
}
