//! Notes each call once, when it ended: in the metrics, and as one line of the access log.

mod counted;

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context as Task, Poll, ready},
};

use bytes::Bytes as Chunk;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{debug, field};

use crate::{
    context::{Context, TraceContext},
    server::{
        access::counted::{Counted, MessageBytes},
        connect_info::ConnectInfo,
    },
    telemetry::{Bytes, Metrics, ServerLabels, code_name},
};

/// The methods that are served, as `package.Service/Method`: labels of metrics must come from a bounded set.
#[derive(Clone, Debug)]
pub(crate) struct Methods {
    served: HashMap<String, Arc<ServerLabels>>,
    /// Those of what is not served.
    other: Arc<ServerLabels>,
}

impl Methods {
    /// Returns the labels of a request's path.
    fn labels(&self, path: &str) -> &Arc<ServerLabels> {
        path.strip_prefix('/').and_then(|name| self.served.get(name)).unwrap_or(&self.other)
    }
}

impl FromIterator<String> for Methods {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let labelled = |name: String| {
            let labels = Arc::new(ServerLabels::new(&name));
            (name, labels)
        };
        Self { served: names.into_iter().map(labelled).collect(), other: Arc::new(ServerLabels::new("other")) }
    }
}

/// Makes [`Access`].
#[derive(Clone, Debug)]
pub(crate) struct AccessLayer {
    book: Arc<Book>,
}

#[derive(Debug)]
struct Book {
    metrics: Metrics,
    methods: Methods,
}

impl AccessLayer {
    pub(crate) fn new(metrics: Metrics, methods: Methods) -> Self {
        Self { book: Arc::new(Book { metrics, methods }) }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, book: Arc::clone(&self.book) }
    }
}

/// Watches a call to its end.
#[derive(Clone, Debug)]
pub(crate) struct Access<S> {
    inner: S,
    book: Arc<Book>,
}

impl<S, R, B> Service<Request<R>> for Access<S>
where
    S: Service<Request<Counted<R>>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Noted<B>>;
    type Error = Infallible;
    type Future = NotedCall<S::Future>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let note = Note::begin(Arc::clone(&self.book), &request);
        let request = request.map(|body| Counted::new(body, Arc::clone(&note.received)));
        NotedCall { inner: self.inner.call(request), note: Some(note) }
    }
}

/// What is known of a call; written down when dropped, however the call ended.
#[derive(Debug)]
struct Note {
    book: Arc<Book>,
    labels: Arc<ServerLabels>,
    path: http::Uri,
    remote: Option<SocketAddr>,
    trace: Option<TraceContext>,
    began: Instant,
    code: Option<Code>,
    /// Bytes of the messages of the request, and of those of the response.
    received: Arc<AtomicU64>,
    sent: MessageBytes,
}

impl Note {
    fn begin<R>(book: Arc<Book>, request: &Request<R>) -> Self {
        let labels = Arc::clone(book.methods.labels(request.uri().path()));
        book.metrics.server_started(&labels);
        Self {
            labels,
            path: request.uri().clone(),
            remote: request.extensions().get::<ConnectInfo>().map(|info| info.remote),
            trace: Context::current().trace,
            began: Instant::now(),
            code: None,
            received: Arc::default(),
            sent: MessageBytes::default(),
            book,
        }
    }

    /// The status of a call without messages stands in its headers; else in its trailers.
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let code = self.code.unwrap_or(Code::Cancelled);
        let bytes = Bytes { sent: self.sent.count(), received: self.received.load(Ordering::Relaxed) };
        self.book.metrics.server_ended(&self.labels, code, took, bytes);
        debug!(
            target: "selvedge::access",
            method = self.path.path(),
            code = code_name(code),
            duration = ?took,
            peer = self.remote.map(field::display),
            trace_id = self.trace.map(|trace| field::display(trace.trace_id)),
            "call"
        );
    }
}

/// A call that waits for its response.
#[derive(Debug)]
pub(crate) struct NotedCall<F> {
    inner: F,
    note: Option<Note>,
}

impl<F, B> Future for NotedCall<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Noted<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.inner).poll(cx));
        let mut note = self.note.take().expect("not polled again after it ended");
        note.read(response.headers());
        Poll::Ready(Ok(response.map(|inner| Noted { inner, note })))
    }
}

/// A response body; the call ends with it.
#[derive(Debug)]
pub(crate) struct Noted<B> {
    inner: B,
    note: Note,
}

impl<B: Body<Data = Chunk, Error = Status> + Unpin> Body for Noted<B> {
    type Data = Chunk;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Chunk>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.note.sent.add(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    self.note.read(trailers);
                }
            }
            Some(Err(status)) => self.note.code = Some(status.code()),
            None => self.note.code = self.note.code.or(Some(Code::Unknown)),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
