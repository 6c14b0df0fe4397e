//! Sends copies of calls to another service, which no call waits for.

mod copy;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use rand::Rng as _;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tonic::{Code, body::Body};
use tower::Layer;

use crate::{
    client::{
        AnswerFuture, Stop,
        call::{Call, Mirrored},
        observe::{code_of, status_of},
    },
    grpc_timeout::{self, GRPC_TIMEOUT},
    policy::live::Live,
    random,
    telemetry::Metrics,
};

/// The longest that a copy may take of a call that has no deadline.
const LONGEST: Duration = Duration::from_secs(60);

/// The way to other services.
pub(crate) trait Elsewhere: Send + Sync + fmt::Debug {
    /// Begins a call of a service; nothing if the mesh is gone.
    fn call(&self, service: &str, request: http::Request<Body>) -> Option<BoxFuture<'static, http::Response<Body>>>;
}

/// Copies what passes.
#[derive(Clone, Debug)]
pub(crate) struct Copied<S> {
    inner: S,
    parts: Arc<Parts>,
}

/// Makes [`Copied`]; one for each service.
#[derive(Clone, Debug)]
pub(crate) struct MirrorLayer {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    policy: Live,
    elsewhere: Arc<dyn Elsewhere>,
    metrics: Metrics,
    under_way: Arc<AtomicU32>,
    /// To the task that makes the copies' calls, once there was one.
    task: std::sync::OnceLock<mpsc::UnboundedSender<Copying>>,
}

type Copying = BoxFuture<'static, ()>;

impl MirrorLayer {
    pub(crate) fn new(policy: Live, elsewhere: Arc<dyn Elsewhere>, metrics: Metrics) -> Self {
        let (under_way, task) = (Arc::default(), std::sync::OnceLock::new());
        Self { parts: Arc::new(Parts { policy, elsewhere, metrics, under_way, task }) }
    }
}

impl<S> Layer<S> for MirrorLayer {
    type Service = Copied<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Copied { inner, parts: Arc::clone(&self.parts) }
    }
}

impl<S: Stop> Stop for Copied<S> {
    fn call(&self, call: Call) -> AnswerFuture {
        let call = self.parts.copy(call);
        self.inner.call(call)
    }
}

impl Parts {
    /// Begins the copy of a call, if it gets one, and returns the call.
    fn copy(&self, mut call: Call) -> Call {
        let policy = self.policy.load();
        let Some(mirror) = policy.mirror.as_ref().filter(|_| !call.route.mirrored) else { return call };
        if random::rng().random::<f64>() * 100.0 >= mirror.percent {
            return call;
        }
        let Some(place) = Place::take(&self.under_way, mirror.max_in_flight) else {
            self.metrics.mirrored(&mirror.service, "dropped");
            return call;
        };
        let (body, copied) = copy::copy(std::mem::take(&mut call.body), mirror.max_bytes as usize);
        call.body = body;
        if let Some(answer) = self.elsewhere.call(&mirror.service, request(&call, copied)) {
            let (service, metrics) = (mirror.service.clone(), self.metrics.clone());
            let left = call.route.deadline.map_or(LONGEST, |end| end.at.saturating_duration_since(Instant::now()));
            let copying = async move {
                let code = timeout(left, answer.then(finish)).await.unwrap_or(Code::DeadlineExceeded);
                metrics.mirrored(&service, if code == Code::Ok { "answered" } else { "failed" });
                drop(place);
            };
            // The task ends with the last handle of the layer, which is held here.
            let _ = self.task.get_or_init(start).send(copying.boxed());
        }
        call
    }
}

/// Starts the task that makes the calls; it ends, and they with it, when its sender is dropped.
fn start() -> mpsc::UnboundedSender<Copying> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Copying>();
    drop(tokio::spawn(async move {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                copying = receiver.recv() => match copying {
                    Some(copying) => running.push(copying),
                    None => return,
                },
                Some(()) = running.next() => {}
            }
        }
    }));
    sender
}

/// Makes the request of a copy.
fn request(call: &Call, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = http::Uri::from(call.route.path.clone());
    *request.headers_mut() = call.headers.clone();
    if let Some(deadline) = call.route.deadline {
        let left = deadline.at.saturating_duration_since(Instant::now());
        request.headers_mut().insert(GRPC_TIMEOUT, grpc_timeout::format(left));
    }
    request.extensions_mut().insert(Mirrored);
    request
}

/// Reads an answer to its end and forgets it, but for its status.
async fn finish(answer: http::Response<Body>) -> Code {
    if let Some(code) = status_of(&answer) {
        return code;
    }
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    return code;
                }
            }
            Err(status) => return status.code(),
        }
    }
    Code::Unknown
}

/// The place of one copy under way; dropping it gives it back.
#[derive(Debug)]
struct Place(Arc<AtomicU32>);

impl Place {
    fn take(under_way: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let more = |count: u32| (count < most).then(|| count + 1);
        under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(under_way)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
