//! gRPC-Web, binary and text (gRPC's PROTOCOL-WEB.md): unary and server streaming calls.
//!
//! A request is one message, so it is read whole. The frames of the answer pass as they come; trailers become the
//! last frame, and a trailers-only answer stays in the headers, with no frame at all.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Frame;
use tonic::{Code, Status, body::Body};

use crate::{
    body,
    config::Limits,
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
    limits: &Limits,
) -> Response<Body> {
    let answered = Encoding::of_answer(request.headers());
    if request.method() != Method::POST {
        return grpc::not_post();
    }
    let response = match call(request, schema, upstreams, limits).await {
        Ok(response) => response,
        Err(status) => status.into_http(),
    };
    encode(response, answered)
}

async fn call(
    request: Request<Body>,
    schema: &Schema,
    upstreams: &Upstreams,
    limits: &Limits,
) -> Result<Response<Body>, Status> {
    let target = schema.target(request.uri().path()).map_err(Status::unimplemented)?;
    let text = Protocol::of(request.headers()) == Protocol::GrpcWebText;
    let (mut parts, sent) = request.into_parts();
    // Messages may be compressed, each by itself, and pass as they are.
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        let text = format!("the body is in content-encoding {encoding:?}: compress messages, by grpc-encoding");
        return Err(Status::unimplemented(text));
    }
    // Base64 is a third larger than what it says.
    let most = if text { limits.body_bytes / 3 * 4 + 8 } else { limits.body_bytes };
    let sent =
        body::collect(sent, &parts.headers, most, limits.body_timeout).await.map_err(|failure| failure.status)?;
    let message = if text { decode(&sent)? } else { sent };
    parts.headers = metadata::from_web(&parts.headers);
    parts.version = http::Version::HTTP_2;
    let request = Request::from_parts(parts, Body::new(http_body_util::Full::new(message)));
    Ok(upstreams.call(&target, request).await)
}

/// Answers a codec that is not known here.
pub(crate) fn unsupported() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    response
}

const ACCEPTED: &str = "application/grpc-web+proto, application/grpc-web-text+proto";

fn decode(text: &[u8]) -> Result<Bytes, Status> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut decoder = base64_text::Decoder::default();
    let read = decoder.push(text, &mut decoded).and_then(|()| decoder.finish());
    read.map_err(|_| Status::invalid_argument("the body is not base64, as application/grpc-web-text must be"))?;
    Ok(decoded.into())
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

fn encode(response: Response<Body>, encoding: Encoding) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    metadata::to_grpc(&mut parts.headers);
    parts.headers.insert(CONTENT_TYPE, encoding.content_type());
    let trailers_only = parts.headers.contains_key(Status::GRPC_STATUS);
    let body = if trailers_only { Body::empty() } else { Body::new(WebBody { inner: body, encoding, ended: false }) };
    Response::from_parts(parts, body)
}

/// A gRPC body whose trailers are its last frame.
#[derive(Debug)]
struct WebBody {
    inner: Body,
    encoding: Encoding,
    ended: bool,
}

impl http_body::Body for WebBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let trailers = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(this.encoding.write(data))))),
                Err(frame) => frame.into_trailers().unwrap_or_default(),
            },
            Some(Err(status)) => grpc::trailers_of(&status),
            None => grpc::trailers_of(&Status::new(Code::Unknown, "the service ended its answer without a status")),
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
