//! Spans of the traces that are recorded, and the choice of those that are. What is not recorded costs nothing: a
//! [`Span`] is then nothing.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use opentelemetry::{
    Context, KeyValue, StringValue, Value,
    trace::{
        Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rand::Rng as _;
use tonic::Code;

use crate::{context::TraceContext, random, telemetry::labels::code_name};

/// Begins spans: those below a span that is recorded, and a share of those that begin a trace (parent based). The
/// default records nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    /// The share of new traces that are recorded, 0 to 1.
    sample: f64,
}

/// A span under way, or nothing. It ends when its last handle is dropped, or when it is told how it ended.
#[derive(Clone, Debug, Default)]
pub struct Span(Option<Arc<Mutex<opentelemetry_sdk::trace::Span>>>);

impl Tracer {
    /// `provider` must record whatever it is given: what is, is chosen here.
    pub(crate) fn new(provider: SdkTracerProvider, sample: f64) -> Self {
        Self(Some(Arc::new(Recorder { tracer: provider.tracer("selvedge"), provider, sample })))
    }

    /// Begins a span below `parent`, or one that begins a trace. `name` is asked only if the span is recorded.
    pub(crate) fn begin<N: Into<Cow<'static, str>>>(
        &self,
        kind: SpanKind,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> N,
    ) -> Span {
        let Some(recorder) = &self.0 else { return Span::default() };
        let recorded = match parent {
            Some(parent) => parent.flags.is_sampled(),
            None => random::rng().random::<f64>() < recorder.sample,
        };
        if !recorded {
            return Span::default();
        }
        let above = parent.map_or_else(Context::new, |parent| {
            let TraceContext { trace_id, span_id, flags } = parent;
            let parent = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
            Context::new().with_remote_span_context(parent)
        });
        let builder = recorder.tracer.span_builder(name()).with_kind(kind);
        Span(Some(Arc::new(Mutex::new(recorder.tracer.build_with_context(builder, &above)))))
    }

    /// Returns what collects the spans, if they are collected.
    pub(crate) fn provider(&self) -> Option<&SdkTracerProvider> {
        self.0.as_ref().map(|recorder| &recorder.provider)
    }
}

impl Span {
    /// Returns its place in its trace, if it is recorded: the parent of what is called on its behalf.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let context = Some(self.lock()?.span_context().clone()).filter(SpanContext::is_valid)?;
        let (trace_id, span_id, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
        Some(TraceContext { trace_id, span_id, flags })
    }

    /// Whether it is recorded: then what is said of it may cost something to find out.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Sets an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(mut span) = self.lock() {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Sets an attribute of several texts, one for each line.
    pub(crate) fn set_lines(&self, key: &'static str, lines: impl IntoIterator<Item = String>) {
        let lines = lines.into_iter().map(StringValue::from).collect::<Vec<_>>();
        self.set(key, Value::Array(lines.into()));
    }

    /// Notes that something happened now.
    pub(crate) fn event(&self, name: &'static str) {
        if let Some(mut span) = self.lock() {
            span.add_event(name, Vec::new());
        }
    }

    /// Ends it with the code of its call; any but OK is an error. What is said of it later is lost.
    pub(crate) fn ended(&self, code: Code) {
        let Some(mut span) = self.lock() else { return };
        let name = code_name(code);
        span.set_attribute(KeyValue::new("grpc.status", name));
        span.set_status(if code == Code::Ok { Status::Ok } else { Status::error(name) });
        span.end();
    }

    /// Ends it as an error that `reason` tells of. What is said of it later is lost.
    pub fn failed(&self, reason: &str) {
        if let Some(mut span) = self.lock() {
            span.set_status(Status::error(reason.to_owned()));
            span.end();
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, opentelemetry_sdk::trace::Span>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the name of a method's span: `Sent.package.Service.Method` (gRFC A72).
pub(crate) fn method_span(what: &str, path: &str) -> String {
    format!("{what}.{}", path.trim_start_matches('/').replace('/', "."))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceFlags;

    use super::*;
    use crate::telemetry::recorded::Recorded;

    fn parent(sampled: bool) -> TraceContext {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        TraceContext { flags, ..TraceContext::root() }
    }

    fn is_recorded(tracer: &Tracer, parent: Option<TraceContext>) -> bool {
        tracer.begin(SpanKind::Internal, parent, || "a span").is_recorded()
    }

    #[test]
    fn what_the_caller_chose_goes_before_the_share() {
        for (sample, sampled) in [(0.0, true), (1.0, true), (0.0, false), (1.0, false)] {
            let tracer = Recorded::default().tracer(sample);
            assert_eq!(is_recorded(&tracer, Some(parent(sampled))), sampled, "{sample} {sampled}");
        }
    }

    #[test]
    fn a_share_of_what_begins_here_is_recorded() {
        let (all, none, half) = (Recorded::default(), Recorded::default(), Recorded::default());
        assert!(is_recorded(&all.tracer(1.0), None) && !is_recorded(&none.tracer(0.0), None));
        let half = half.tracer(0.5);
        let recorded = (0..4_000).filter(|_| is_recorded(&half, None)).count();
        // Ten standard deviations to either side.
        assert!((1_684..=2_316).contains(&recorded), "{recorded} of 4000");
        assert!(!is_recorded(&Tracer::default(), Some(parent(true))), "nobody collects it");
    }

    #[test]
    fn a_span_stands_below_its_parent_and_tells_how_it_ended() {
        let recorded = Recorded::default();
        let above = parent(true);
        let span = recorded.tracer(0.0).begin(SpanKind::Client, Some(above), || method_span("Sent", "/a.B/C"));
        span.set("who", "ada");
        let context = span.context().unwrap();
        assert_eq!((context.trace_id, context.flags), (above.trace_id, TraceFlags::SAMPLED));
        span.ended(Code::NotFound);
        let spans = recorded.spans();
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((&*span.name, span.parent_span_id), ("Sent.a.B.C", above.span_id));
        assert_eq!(span.status, Status::error("NOT_FOUND"));
        assert!(span.attributes.contains(&KeyValue::new("who", "ada")));
    }

    #[test]
    fn a_span_that_is_not_recorded_is_not_even_named() {
        let tracer = Recorded::default().tracer(0.0);
        let span = tracer.begin(SpanKind::Client, None, || -> String { panic!("it was named") });
        span.set("who", "ada");
        span.event("something");
        span.ended(Code::Ok);
        assert_eq!(span.context(), None);
    }
}
