//! gRPC-Web, binary and text (gRPC's PROTOCOL-WEB.md): calls of all four kinds.
//!
//! A request of one message is read whole. Browsers send no more; other clients stream over HTTP/2 (`buf curl` does,
//! for reflection), and their messages pass as they come. So do the frames of the answer; trailers become the last
//! frame, and a trailers-only answer stays in the headers, with no frame at all.

mod upload;

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::{Body as _, Frame};
use tokio::sync::oneshot;
use tonic::{Code, Status, body::Body};

use crate::{
    body::{self, Whole},
    memory::Bounds,
    metadata,
    protocol::{Protocol, base64_text, grpc},
    schema::Schema,
    upstream::Upstreams,
};

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Binary,
    Text,
}

/// Carries out one call.
pub(crate) async fn serve(
    request: Request<Body>,
    schema: &Schema,
    upstreams: &Upstreams,
    bounds: Bounds<'_>,
) -> Response<Body> {
    let answered = Encoding::of_answer(request.headers());
    if request.method() != Method::POST {
        return grpc::not_post();
    }
    match call(request, schema, upstreams, bounds).await {
        Ok((response, broken)) => encode(response, answered, broken),
        Err(status) => encode(status.into_http(), answered, None),
    }
}

/// Who tells of a request that broke a bound while it was passed on.
type Broken = oneshot::Receiver<Status>;

async fn call(
    request: Request<Body>,
    schema: &Schema,
    upstreams: &Upstreams,
    bounds: Bounds<'_>,
) -> Result<(Response<Body>, Option<Broken>), Status> {
    let target = schema.target(request.uri().path()).map_err(Status::unimplemented)?;
    let text = Protocol::of(request.headers()) == Protocol::GrpcWebText;
    let (mut parts, sent) = request.into_parts();
    // Messages may be compressed, each by itself, and pass as they are.
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        let text = format!("the body is in content-encoding {encoding:?}: compress messages, by grpc-encoding");
        return Err(Status::unimplemented(text));
    }
    let (message, broken) = if schema.takes_stream(parts.uri.path()) {
        let (messages, broken) = upload::stream(sent, text, bounds.limits);
        (messages, Some(broken))
    } else {
        (Body::new(whole(sent, &parts.headers, text, bounds).await?), None)
    };
    parts.headers = metadata::from_web(&parts.headers);
    parts.version = http::Version::HTTP_2;
    let answer = upstreams.call(&target, Request::from_parts(parts, message));
    let Some(mut broken) = broken else { return Ok((answer.await, None)) };
    tokio::select! {
        // First: what the service says of a request that broke off is less.
        biased;
        Ok(status) = &mut broken => Err(status),
        response = answer => Ok((response, Some(broken))),
    }
}

/// Reads the message of a request that has only one.
async fn whole(sent: Body, headers: &HeaderMap, text: bool, bounds: Bounds<'_>) -> Result<Whole, Status> {
    let most = bounds.limits.body_bytes;
    // Base64 is a third larger than what it says.
    let most = if text { most / 3 * 4 + 8 } else { most };
    let sent = body::collect(sent, headers, most, bounds).await.map_err(|failure| failure.status)?;
    if text { decode(sent) } else { Ok(sent) }
}

/// Answers a codec that is not known here.
pub(crate) fn unsupported() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    response
}

const ACCEPTED: &str = "application/grpc-web+proto, application/grpc-web-text+proto";

fn decode(text: Whole) -> Result<Whole, Status> {
    let mut decoded = Vec::new();
    let mut decoder = base64_text::Decoder::default();
    let mut pushed = text.pieces().map(|piece| decoder.push(piece, &mut decoded));
    let read = pushed.find(Result::is_err).unwrap_or(Ok(()));
    drop(pushed);
    read.and_then(|()| decoder.finish()).map_err(|_| upload::not_base64())?;
    // What it says is shorter than the text, and held in its place.
    Ok(Whole::new(decoded.into(), text.share()))
}

impl Encoding {
    /// `accept` says how to answer; without it, as was asked.
    fn of_answer(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let asked = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let known = accepted.chain(asked).map(Protocol::of_media_type);
        let mut encodings = known.filter_map(|protocol| match protocol {
            Protocol::GrpcWebText => Some(Self::Text),
            Protocol::GrpcWeb => Some(Self::Binary),
            Protocol::Grpc | Protocol::GrpcWebOther | Protocol::Rest => None,
        });
        encodings.next().unwrap_or(Self::Binary)
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Binary => "application/grpc-web+proto",
            Self::Text => "application/grpc-web-text+proto",
        })
    }

    fn write(self, bytes: Bytes) -> Bytes {
        match self {
            Self::Binary => bytes,
            Self::Text => base64_text::encode(&bytes).into(),
        }
    }
}

fn encode(response: Response<Body>, encoding: Encoding, broken: Option<Broken>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    metadata::to_grpc(&mut parts.headers);
    parts.headers.insert(CONTENT_TYPE, encoding.content_type());
    let trailers_only = parts.headers.contains_key(Status::GRPC_STATUS);
    let web = WebBody { inner: body, encoding, broken, ended: false };
    Response::from_parts(parts, if trailers_only { Body::empty() } else { Body::new(web) })
}

/// A gRPC body whose trailers are its last frame.
#[derive(Debug)]
struct WebBody {
    inner: Body,
    encoding: Encoding,
    broken: Option<Broken>,
    ended: bool,
}

impl WebBody {
    /// Tells how the request broke, if it did.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        let told = self.broken.as_mut().map(|broken| Pin::new(broken).poll(cx));
        match told? {
            Poll::Ready(told) => {
                // It is asked no more.
                self.broken = None;
                told.ok()
            }
            Poll::Pending => None,
        }
    }

    /// Returns the next piece of the answer, or what ends it.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, HeaderMap>> {
        if let Some(status) = self.poll_broken(cx) {
            return Poll::Ready(Err(grpc::trailers_of(&status)));
        }
        Poll::Ready(match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame.into_data().map_err(|frame| frame.into_trailers().unwrap_or_default()),
            Some(Err(status)) => Err(grpc::trailers_of(&self.poll_broken(cx).unwrap_or(status))),
            None => {
                let status = Status::new(Code::Unknown, "the service ended its answer without a status");
                Err(grpc::trailers_of(&status))
            }
        })
    }
}

impl http_body::Body for WebBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let trailers = match ready!(this.poll_answer(cx)) {
            Ok(data) => return Poll::Ready(Some(Ok(Frame::data(this.encoding.write(data))))),
            Err(trailers) => trailers,
        };
        this.ended = true;
        Poll::Ready(Some(Ok(Frame::data(this.encoding.write(trailers_frame(&trailers))))))
    }
}

/// Writes trailers as a frame: flag `0x80`, length, and a line each.
fn trailers_frame(trailers: &HeaderMap) -> Bytes {
    let mut lines = BytesMut::new();
    for (name, value) in trailers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.put_u8(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(5 + lines.len());
    frame.put_u8(0x80);
    frame.put_u32(u32::try_from(lines.len()).expect("headers have limits far below 4 GiB"));
    frame.extend_from_slice(&lines);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn accept_says_how_to_answer_and_else_the_request() {
        for (accept, asked, wanted) in [
            ("application/grpc-web-text", "application/grpc-web+proto", Encoding::Text),
            ("application/grpc-web+proto", "application/grpc-web-text", Encoding::Binary),
            ("*/*", "application/grpc-web-text", Encoding::Text),
            ("*/*", "application/grpc-web", Encoding::Binary),
            ("text/html, application/grpc-web-text+proto", "application/grpc-web", Encoding::Text),
        ] {
            let sent = headers(&[(ACCEPT, accept), (CONTENT_TYPE, asked)]);
            assert_eq!(Encoding::of_answer(&sent), wanted, "{accept} {asked}");
        }
    }

    #[test]
    fn trailers_are_lines_without_an_empty_one() {
        let trailers = headers(&[(HeaderName::from_static("grpc-status"), "0"), (HeaderName::from_static("x-a"), "b")]);
        assert_eq!(&trailers_frame(&trailers)[..], b"\x80\0\0\0\x16grpc-status:0\r\nx-a:b\r\n");
    }
}
