//! Turns a panic of a handler into an error of its call: the others go on.

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tower::{Layer, Service};
use tracing::error;

/// Makes [`Catch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchLayer;

impl<S> Layer<S> for CatchLayer {
    type Service = Catch<S>;

    fn layer(&self, inner: S) -> Catch<S> {
        Catch { inner }
    }
}

/// Answers INTERNAL when what is below panics.
#[derive(Clone, Debug)]
pub(crate) struct Catch<S> {
    inner: S,
}

impl<S, R, B> Service<Request<R>> for Catch<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Caught<B>>;
    type Error = Infallible;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let uri = request.uri().clone();
        Caught { inner: Some(self.inner.call(request)), uri }
    }
}

/// A future or a body that may panic.
#[derive(Debug)]
pub(crate) struct Caught<T> {
    /// Nothing after a panic.
    inner: Option<T>,
    uri: Uri,
}

impl<T> Caught<T> {
    /// Nothing that panicked is looked at again: hence unwinding past it is safe.
    fn run<R>(&mut self, run: impl FnOnce(&mut T) -> R) -> Result<R, Status> {
        let Some(inner) = &mut self.inner else { return Err(Status::internal("the handler panicked")) };
        catch_unwind(AssertUnwindSafe(|| run(inner))).map_err(|panic| {
            self.inner = None;
            error!(method = self.uri.path(), panic = text(&*panic), "a handler panicked");
            Status::internal("the handler panicked")
        })
    }
}

impl<F, B> Future for Caught<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Caught<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let response = match self.run(|inner| Pin::new(inner).poll(cx)) {
            Ok(polled) => {
                let Ok(response) = ready!(polled);
                response.map(Some)
            }
            Err(status) => status.into_http::<()>().map(|()| None),
        };
        let uri = std::mem::take(&mut self.uri);
        Poll::Ready(Ok(response.map(|inner| Caught { inner, uri })))
    }
}

impl<B: Body<Error = Status> + Unpin> Body for Caught<B> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        if self.inner.is_none() {
            return Poll::Ready(None);
        }
        match self.run(|inner| Pin::new(inner).poll_frame(cx)) {
            Ok(polled) => polled,
            Err(status) => Poll::Ready(Some(Err(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// Returns what `panic!` was given.
fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
