//! What travels below `route`: one attempt of a call, as plain data.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, uri::PathAndQuery};
use tokio::time::Instant;
use tonic::body::Body;

use crate::{
    context::TraceContext,
    policy::method::{Idempotency, MethodPolicy, Policy},
    telemetry::{AttemptLabels, span::Span},
};

/// What a call site says about one call; put it into the extensions of tonic's request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Overrides what the descriptors say of the method.
    pub idempotency: Option<Idempotency>,
    /// Whether the method is unary; overrides what the descriptors say.
    ///
    /// To say either is also to say that the method is known from a descriptor: metrics then name it, though the
    /// mesh has no descriptor of it, where they call others `other`. So never set it for a path that a stranger chose.
    pub unary: Option<bool>,
    /// Waits for a first instance until the deadline, not just for `client.endpoint_wait`.
    pub wait_for_ready: bool,
    /// Overrides the policy of the method; `idempotency` above goes before the one in here.
    pub policy: MethodPolicy,
}

/// Which instances a call may go to: those that are registered with one of these tags. Put it into the extensions of
/// tonic's request.
///
/// Retries and hedges of the call keep to it, and so does the last resort of a cluster that lost most of its instances,
/// of which no tags are known: such a call fails rather than go elsewhere. While no instance has such a tag, a call waits
/// as it does where there is no instance at all. Policies, limits and metrics are those of the service as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    any: Arc<[String]>,
}

impl Tagged {
    /// Keeps a call to instances with any of these tags; with none of them it can go nowhere.
    pub fn any(tags: impl IntoIterator<Item = String>) -> Self {
        Self { any: tags.into_iter().collect() }
    }

    /// Returns the tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.any
    }

    /// Tells whether an instance with these tags will do.
    pub(crate) fn admits(&self, tags: &[String]) -> bool {
        self.any.iter().any(|wanted| tags.contains(wanted))
    }
}

/// One endpoint of a cluster, for remembering which ones were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointId(pub(crate) u64);

/// One attempt of a call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) route: Arc<Route>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Endpoints that earlier attempts went to.
    pub(crate) tried: Vec<EndpointId>,
    /// Where it belongs, if a hash says so.
    pub(crate) hash: Option<u64>,
    /// Earlier attempts that a server may have seen.
    pub(crate) previous: u32,
    /// When the attempt is given up, if that is before the deadline.
    pub(crate) until: Option<Instant>,
    /// Why it follows another attempt, if it does.
    pub(crate) retry: Option<Retry>,
    /// Where this attempt went, and the bytes of it.
    pub(crate) traffic: Arc<Traffic>,
    /// What the trace is told of it: the span of the attempt, and above those of the call.
    pub(crate) span: Span,
}

impl Call {
    /// Returns the first attempt of a call.
    pub(crate) fn first(route: Arc<Route>, headers: HeaderMap, body: Body) -> Self {
        Self {
            route,
            headers,
            body,
            tried: Vec::new(),
            hash: None,
            previous: 0,
            until: None,
            retry: None,
            traffic: Arc::default(),
            span: Span::default(),
        }
    }
}

/// Why an attempt follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// No server acted on the one before.
    pub(crate) transparent: bool,
    /// How the one before ended: a code such as `UNAVAILABLE`, or what happened to it.
    pub(crate) reason: &'static str,
}

/// What is the same for all attempts of a call.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The service asked for.
    pub(crate) service: Arc<str>,
    pub(crate) path: PathAndQuery,
    pub(crate) labels: Arc<AttemptLabels>,
    pub(crate) policy: Arc<Policy>,
    /// The call is made for one that is a retry, or was made for one.
    pub(crate) for_retry: bool,
    /// The call is the copy of another.
    pub(crate) mirrored: bool,
    pub(crate) wait_for_ready: bool,
    /// Which instances it may go to, if not to all.
    pub(crate) tagged: Option<Tagged>,
    pub(crate) deadline: Option<Deadline>,
    /// Who stands above the call in its trace, and below `trace` the call itself.
    pub(crate) trace: Option<TraceContext>,
}

/// In the extensions of a request: it is the copy of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mirrored;

/// When a call must have ended, and how long that was when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) after: Duration,
}

/// What is known of one attempt under way: its endpoint, and the bytes of messages that went each way.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    endpoint: OnceLock<EndpointId>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    pub(crate) fn went_to(&self, endpoint: EndpointId) {
        // An attempt goes to one only.
        let _ = self.endpoint.set(endpoint);
    }

    pub(crate) fn endpoint(&self) -> Option<EndpointId> {
        self.endpoint.get().copied()
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}
