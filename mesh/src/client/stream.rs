//! One attempt on an HTTP/2 stream: head and body out, response, messages and trailers in.

use std::{
    collections::HashMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Frame;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    client::{
        Answer,
        call::{Call, Route, Traffic},
        connect::Slot,
        observe::code_of,
        outcome::{Failure, Outcome},
        pump::{Pump, Reader},
    },
    context::{FOR_RETRY, MIRROR, PREVIOUS_ATTEMPTS},
    error::{Error, ErrorKind},
    grpc_timeout::{self, GRPC_TIMEOUT},
    message_limit::{MessageLimit, TooLarge},
};

/// What a caller without a `user-agent` of its own is called.
const USER_AGENT: &str = concat!("selvedge/", env!("CARGO_PKG_VERSION"));

/// Headers that belong to a connection, which HTTP/2 forbids (RFC 9113, 8.2.2), or that are ours to write.
const DROPPED: [HeaderName; 11] = [
    header::CONNECTION,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static(PREVIOUS_ATTEMPTS),
    HeaderName::from_static(FOR_RETRY),
    HeaderName::from_static(MIRROR),
];

/// Bytes that were read and may be sent anew are told to the peer once they are so many, or when more is waited for: of
/// a small answer h2 tells them with its end. So few that all streams of a connection do not use up its window.
const UNRELEASED: usize = 1024;

/// What streams need to know of their endpoint.
#[derive(Debug)]
pub(crate) struct Remote {
    /// For errors: `users-1 at 127.0.0.1:4711`.
    pub(crate) name: String,
    pub(crate) authority: Authority,
    pub(crate) max_message_bytes: usize,
    pub(crate) max_header_bytes: u32,
}

/// Makes one attempt in `slot`.
pub(crate) async fn exchange(slot: Slot, remote: Arc<Remote>, call: Call) -> Answer {
    let (head, Call { route, body, traffic, .. }) = head(&remote, call);
    let mut sender = slot.wire.sender.clone();
    let (response, stream) = sender.send_request(head, false).map_err(|error| unopened(&error, &remote))?;
    let (mut pump, reader) =
        Pump::new(stream, body, remote.max_message_bytes, Arc::clone(&traffic), Arc::clone(&route));
    let finished = poll_fn(|cx| Poll::Ready(Pin::new(&mut pump).poll(cx).is_ready())).await;
    if finished {
        drop(pump);
    } else {
        // The rest goes on even while nobody polls the answer.
        slot.wire.hand_over(pump);
    }
    let response = response.await.map_err(|error| unanswered(&error, &reader, &remote))?;
    let (parts, stream) = response.into_parts();
    check(parts.status, &parts.headers, &remote)?;
    slot.wire.note_answer();
    // Asked of h2 only where it matters: a body without frames ends without a status, too.
    if code_of(&parts.headers).is_some() && stream.is_end_stream() {
        return Ok(Response::from_parts(parts, Body::empty().into()));
    }
    let limit = MessageLimit::new(remote.max_message_bytes);
    let reply = Reply { stream, reader, slot, limit, remote, route, traffic, state: Reading::Messages, unreleased: 0 };
    Ok(Response::from_parts(parts, Body::new(reply).into()))
}

/// Makes the head of the request.
fn head(remote: &Remote, mut call: Call) -> (Request<()>, Call) {
    let mut headers = std::mem::take(&mut call.headers);
    let Call { route, previous, until, .. } = &call;
    // Headers are few, and these are seldom among them.
    if headers.keys().any(|name| DROPPED.contains(name)) {
        for name in &DROPPED {
            headers.remove(name);
        }
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    if *previous > 0 {
        headers.insert(PREVIOUS_ATTEMPTS, (*previous).into());
    }
    if route.for_retry {
        headers.insert(FOR_RETRY, HeaderValue::from_static("1"));
    }
    if route.mirrored {
        headers.insert(MIRROR, HeaderValue::from_static("1"));
    }
    if let Some(at) = route.deadline.map(|deadline| deadline.at).into_iter().chain(*until).min() {
        let left = at.saturating_duration_since(Instant::now());
        headers.insert(GRPC_TIMEOUT, grpc_timeout::format(left));
    }
    let mut head = Request::new(());
    *head.method_mut() = Method::POST;
    *head.version_mut() = Version::HTTP_2;
    *head.uri_mut() = uri(remote.authority.clone(), route.path.clone());
    *head.headers_mut() = headers;
    (head, call)
}

fn uri(authority: Authority, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    (parts.scheme, parts.authority, parts.path_and_query) = (Some(Scheme::HTTP), Some(authority), Some(path));
    Uri::from_parts(parts).expect("scheme, authority and path make a URI")
}

/// Refuses an answer that is not gRPC, with the code that gRPC's table gives its HTTP status
/// (doc/http-grpc-status-mapping.md).
fn check(status: StatusCode, headers: &HeaderMap, remote: &Remote) -> Result<(), Failure> {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if status == StatusCode::OK && kind.starts_with(b"application/grpc") {
        return Ok(());
    }
    let code = match status.as_u16() {
        400 | 431 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let kind = if kind.is_empty() { "none".into() } else { String::from_utf8_lossy(kind) };
    let text = format!(
        "{} answered with HTTP status {status} and content type {kind}, which is not gRPC: is it a gRPC server?",
        remote.name
    );
    Err(Failure::with_status(Outcome::Answered, protocol(code, text)))
}

fn protocol(code: Code, text: String) -> Status {
    let details = ErrorDetails::with_error_info("PROTOCOL", "selvedge", HashMap::new());
    Status::with_error_details(code, text, details)
}

fn unfinished(remote: &Remote) -> Status {
    protocol(Code::Internal, format!("{} ended its answer without grpc-status", remote.name))
}

/// No stream was opened: nothing was sent.
fn unopened(error: &h2::Error, remote: &Remote) -> Failure {
    let text = format!("the connection to {} takes no more calls: {error}", remote.name);
    Failure::new(Outcome::NeverSent, ErrorKind::Connection, text)
}

/// The stream ended before response headers came.
fn unanswered(error: &h2::Error, reader: &Reader, remote: &Remote) -> Failure {
    if let Some(status) = reader.failed() {
        return Failure::with_status(Outcome::Caller, status.clone());
    }
    let refused = error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
    // h2 ends a stream by the peer's GOAWAY only if it is above the last one that the peer looked at.
    let outcome = if refused || (error.is_go_away() && error.is_remote()) {
        Outcome::Refused
    } else if error.is_reset() && error.is_library() {
        Outcome::Answered
    } else {
        Outcome::Lost
    };
    Failure::with_status(outcome, broken(error, remote))
}

/// What the caller sees of a stream that broke (gRPC over HTTP/2, "Errors").
fn broken(error: &h2::Error, remote: &Remote) -> Status {
    let Remote { name, max_header_bytes, .. } = remote;
    if !error.is_reset() {
        return Error::new(ErrorKind::Connection, format!("the connection to {name} was lost: {error}")).to_status();
    }
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    if error.is_library() {
        let text = match reason {
            // What h2 makes of a list of headers that is too large, among others.
            Reason::PROTOCOL_ERROR => format!(
                "{name} broke HTTP/2, or answered with more than {max_header_bytes} bytes of headers: \
                 then raise client.max_header_bytes"
            ),
            _ => format!("{name} broke HTTP/2: {reason}"),
        };
        return protocol(Code::Internal, text);
    }
    let text = format!("{name} reset the stream: {reason}");
    match reason {
        Reason::REFUSED_STREAM => Error::new(ErrorKind::Connection, text).to_status(),
        Reason::CANCEL => Error::new(ErrorKind::Cancelled, text).to_status(),
        Reason::ENHANCE_YOUR_CALM => protocol(Code::ResourceExhausted, text),
        Reason::INADEQUATE_SECURITY => protocol(Code::PermissionDenied, text),
        _ => protocol(Code::Internal, text),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Messages,
    Trailers,
    Ended,
}

/// The body of an answer. Dropping it early resets the stream and stops the request body.
#[derive(Debug)]
struct Reply {
    stream: RecvStream,
    reader: Reader,
    /// Its place is taken as long as the body is read.
    #[expect(dead_code, reason = "held to be dropped with the body")]
    slot: Slot,
    limit: MessageLimit,
    remote: Arc<Remote>,
    route: Arc<Route>,
    traffic: Arc<Traffic>,
    state: Reading,
    /// Bytes that were read, of which the peer was not told.
    unreleased: usize,
}

impl Reply {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let Poll::Ready(data) = self.stream.poll_data(cx) else {
            self.release();
            return Poll::Pending;
        };
        let Some(data) = data else { return Poll::Ready(None) };
        let data = match data {
            Ok(data) => data,
            Err(error) => return Poll::Ready(Some(Err(self.failed(&error)))),
        };
        self.unreleased += data.len();
        if self.unreleased >= UNRELEASED {
            self.release();
        }
        let passed = self.limit.pass(&data).map_err(|found| too_large(&self.route, &self.remote, found));
        if let Ok(bytes) = passed {
            self.traffic.add_received(bytes);
        }
        Poll::Ready(Some(passed.map(|_| data)))
    }

    /// Tells the peer that what was read may be sent anew.
    fn release(&mut self) {
        let bytes = std::mem::take(&mut self.unreleased);
        if bytes > 0 {
            // A stream that is closed has no window any more.
            let _ = self.stream.flow_control().release_capacity(bytes);
        }
    }

    fn poll_status(&mut self, cx: &mut Context<'_>) -> Poll<Result<HeaderMap, Status>> {
        let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| self.failed(&error))?;
        let complete = trailers.filter(|trailers| code_of(trailers).is_some());
        Poll::Ready(complete.ok_or_else(|| self.reader.failed().cloned().unwrap_or_else(|| unfinished(&self.remote))))
    }

    fn failed(&self, error: &h2::Error) -> Status {
        self.reader.failed().cloned().unwrap_or_else(|| broken(error, &self.remote))
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.state == Reading::Messages {
            match ready!(this.poll_message(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(status)) => {
                    this.state = Reading::Ended;
                    return Poll::Ready(Some(Err(status)));
                }
                None => this.state = Reading::Trailers,
            }
        }
        if this.state == Reading::Ended {
            return Poll::Ready(None);
        }
        let status = ready!(this.poll_status(cx));
        this.state = Reading::Ended;
        Poll::Ready(Some(status.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.state == Reading::Ended
    }
}

fn too_large(route: &Route, remote: &Remote, found: TooLarge) -> Status {
    let TooLarge { size, limit } = found;
    let text = format!(
        "a response message of {} from {} has {size} bytes, and the limit is {limit}: raise client.max_message_bytes",
        route.path.path(),
        remote.name
    );
    Error::new(ErrorKind::TooLarge, text).to_status()
}
