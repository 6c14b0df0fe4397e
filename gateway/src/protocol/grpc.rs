//! gRPC: all four kinds of calls pass through, bodies untouched.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header::ALLOW};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::{metadata, schema::Schema, upstream::Upstreams};

/// Passes one call through.
pub(crate) async fn serve(request: Request<Body>, schema: &Schema, upstreams: &Upstreams) -> Response<Body> {
    if request.version() != Version::HTTP_2 {
        let text = "gRPC needs HTTP/2: over HTTP/1.1 use application/grpc-web or JSON";
        return Status::unimplemented(text).into_http();
    }
    if request.method() != Method::POST {
        return not_post();
    }
    let target = match schema.target(request.uri().path()) {
        Ok(target) => target,
        Err(unknown) => return Status::unimplemented(unknown).into_http(),
    };
    let (mut parts, body) = request.into_parts();
    parts.headers = metadata::from_grpc(&parts.headers);
    let mut response = upstreams.call(&target, Request::from_parts(parts, body)).await;
    metadata::to_grpc(response.headers_mut());
    response.map(|body| Body::new(Told(body)))
}

/// An answer that breaks off says why in its trailers: a reset would tell clients of no status but INTERNAL.
#[derive(Debug)]
struct Told(Body);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
            Some(Err(status)) => {
                // Nothing comes after it.
                self.0 = Body::empty();
                Some(Ok(Frame::trailers(trailers_of(&status))))
            }
            frame => frame,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Returns the trailers that tell of a status.
pub(crate) fn trailers_of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("13"));
    }
    trailers
}

/// Refuses a method of HTTP that gRPC does not use.
pub(crate) fn not_post() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_breaks_off_tells_its_status_in_trailers() {
        let frames = [Ok(Frame::data(Bytes::from_static(b"one"))), Err(Status::deadline_exceeded("too late"))];
        let mut body = Told(Body::new(StreamBody::new(stream::iter(frames))));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["grpc-message"]),
            (&"4".parse().unwrap(), &"too%20late".parse().unwrap())
        );
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_answer_of_headers_alone_stays_one() {
        assert!(http_body::Body::is_end_stream(&Told(Body::empty())));
    }
}
