//! What a handler's own calls inherit from the call that it serves: deadline and trace.

use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
use rand::Rng as _;
use tokio::time::Instant;

use crate::random;

tokio::task_local! {
    static CURRENT: Context;
}

/// The call that is being served by the present task.
///
/// The server enters it around the handler and around the polling of its response body. A task that a handler
/// spawns inherits nothing by itself: carry it there with [`Context::current`] and [`Context::scope`].
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// When the served call must have ended; calls made for it end no later.
    pub deadline: Option<Instant>,
    /// The trace that the served call belongs to.
    pub trace: Option<TraceContext>,
    /// The served call is a retry, or was made for one: calls made for it are not repeated by the mesh once a server
    /// may have acted on them.
    pub for_retry: bool,
}

/// The header that counts earlier attempts (gRFC A6).
pub(crate) const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
/// The header of a call that is made for a retry: so that it is known however deep the tree of calls is.
pub(crate) const FOR_RETRY: &str = "x-selvedge-for-retry";

/// The header of a call that is the copy of another, whose answer nobody waits for.
pub(crate) const MIRROR: &str = "x-selvedge-mirror";

/// Whether the headers are those of a retry, or of a call made for one.
pub(crate) fn is_for_retry(headers: &HeaderMap) -> bool {
    headers.contains_key(PREVIOUS_ATTEMPTS) || headers.contains_key(FOR_RETRY)
}

impl Context {
    /// Returns what the present task inherited, or an empty context outside a served call.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future in this context.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Runs a function in this context, such as one poll of a body.
    pub fn enter<R>(self, run: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self, run)
    }
}

/// The place of a call in a trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, the same for all calls that one request caused.
    pub trace_id: TraceId,
    /// This call.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub flags: TraceFlags,
}

/// The name of the header.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl TraceContext {
    /// Begins a trace.
    #[must_use]
    pub fn root() -> Self {
        let trace_id = TraceId::from_bytes(random::rng().random());
        Self { trace_id, span_id: new_span(), flags: TraceFlags::default() }
    }

    /// Returns a new call of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: new_span(), ..self }
    }

    /// Reads `traceparent`; a malformed one is as good as none (W3C Trace Context, section 3.2.2).
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(TRACEPARENT)?.to_str().ok()?;
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
        let sized = trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')) || version != "00";
        if !known || !sized || !lower {
            return None;
        }
        let (trace_id, span_id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
        let valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        valid.then_some(Self { trace_id, span_id, flags })
    }

    /// Writes `traceparent`.
    pub fn to_headers(self, headers: &mut HeaderMap) {
        let Self { trace_id, span_id, flags } = self;
        let (ids, flags) = ((trace_id.to_bytes(), span_id.to_bytes()), [flags.to_u8()]);
        // Written without a text in between: every call carries it.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&ids.0, &mut text[3..35]);
        write_hex(&ids.1, &mut text[36..52]);
        write_hex(&flags, &mut text[53..]);
        let mut value = HeaderValue::from_bytes(&text).expect("hex digits are a header value");
        // It never comes again: so marked, it does not push what does out of the connection's table (RFC 7541, 6.2.3).
        value.set_sensitive(true);
        headers.insert(TRACEPARENT, value);
    }
}

fn write_hex(bytes: &[u8], text: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digits[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
}

fn new_span() -> SpanId {
    SpanId::from_bytes(random::rng().random_range(1..=u64::MAX).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<TraceContext> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, text.parse().unwrap());
        TraceContext::from_headers(&headers)
    }

    #[test]
    fn a_trace_is_written_as_it_was_read() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        read(text).unwrap().to_headers(&mut headers);
        assert_eq!(headers[TRACEPARENT], text);
    }

    #[test]
    fn a_malformed_trace_is_none() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_context_lasts_as_long_as_its_scope() {
        let trace = Some(TraceContext::root());
        let inside = Context { trace, ..Context::default() }.scope(async { Context::current().trace }).await;
        assert_eq!(inside, trace);
        assert_eq!(Context::current().trace, None);
    }
}
