//! One served stream: request body in; response and trailers out, as fast as the peer takes them.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tonic::Status;
use tower::{Service, ServiceExt as _};

use crate::server::connect_info::ConnectInfo;

/// What answers the calls: any Tower service that fails in its responses only.
pub(crate) trait Handler: Clone + Send + 'static {
    type Body: Body<Data = Bytes, Error = Status> + Send + Unpin;

    fn handle(self, request: Request<RequestBody>) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl<S, B> Handler for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error = Status> + Send + Unpin,
{
    type Body = B;

    async fn handle(self, request: Request<RequestBody>) -> Response<B> {
        let Ok(response) = self.oneshot(request).await;
        response
    }
}

/// Serves one call. It ends early, and drops the handler, when the caller resets the stream, is gone, or takes nothing of
/// what it is sent for as long as `stall`.
pub(crate) async fn serve<H: Handler>(
    handler: H,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    info: ConnectInfo,
    stall: Duration,
) {
    if let Some(refusal) = refusal(&request) {
        let _ = respond.send_response(refusal, true);
        return;
    }
    let mut request = request.map(RequestBody::new);
    request.extensions_mut().insert(info);
    let Some(response) = unless_reset(handler.handle(request), |cx| respond.poll_reset(cx)).await else { return };
    if let Err(error) = send(response, &mut respond, stall).await {
        tracing::trace!(%error, "a caller left before the end of its answer");
    }
}

/// Answers what is no gRPC request at all (gRPC over HTTP/2, "Requests").
fn refusal<B>(request: &Request<B>) -> Option<Response<()>> {
    if request.method() != Method::POST {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        return Some(response);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let grpc = match kind.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    };
    if grpc {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

/// Runs a future until it ends or the stream is reset.
async fn unless_reset<T>(
    future: impl Future<Output = T>,
    mut reset: impl FnMut(&mut Context<'_>) -> Poll<Result<Reason, h2::Error>>,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => reset(cx).map(|_| None),
    })
    .await
}

async fn send<B>(response: Response<B>, respond: &mut SendResponse<Bytes>, stall: Duration) -> Result<(), h2::Error>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    let (mut head, mut body) = response.into_parts();
    without_hop_headers(&mut head.headers);
    if body.is_end_stream() {
        return respond.send_response(Response::from_parts(head, ()), true).map(drop);
    }
    // What fails before its first message is answered in the headers alone, as gRPC errors are.
    let mut next = match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
        Poll::Ready(Some(Err(status))) => return respond.send_response(status.into_http(), true).map(drop),
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    };
    let mut out = respond.send_response(Response::from_parts(head, ()), false)?;
    loop {
        let frame = match next.take() {
            Some(frame) => frame,
            None => match unless_reset(body.frame(), |cx| out.poll_reset(cx)).await {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        if !send_frame(&mut out, frame, stall).await? {
            return Ok(());
        }
    }
}

/// Sends one frame of a body; `false` when it was the last.
async fn send_frame(
    out: &mut SendStream<Bytes>,
    frame: Option<Result<Frame<Bytes>, Status>>,
    stall: Duration,
) -> Result<bool, h2::Error> {
    let frame = match frame {
        Some(Ok(frame)) => frame,
        Some(Err(status)) => return out.send_trailers(trailers(&status)).map(|()| false),
        None => return out.send_data(Bytes::new(), true).map(|()| false),
    };
    match frame.into_data() {
        Ok(data) => send_data(out, data, stall).await.map(|()| true),
        Err(frame) => {
            let trailers = frame.into_trailers().unwrap_or_default();
            out.send_trailers(trailers).map(|()| false)
        }
    }
}

/// Sends bytes in pieces of what the peer's windows admit.
async fn send_data(out: &mut SendStream<Bytes>, mut data: Bytes, stall: Duration) -> Result<(), h2::Error> {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let admitted = match out.capacity() {
            0 => capacity(out, stall).await?,
            admitted => admitted,
        };
        out.send_data(data.split_to(admitted.min(data.len())), false)?;
    }
    Ok(())
}

/// Waits until the peer takes more.
async fn capacity(out: &mut SendStream<Bytes>, stall: Duration) -> Result<usize, h2::Error> {
    let Ok(admitted) = timeout(stall, poll_fn(|cx| poll_capacity(out, cx))).await else {
        // RESOURCE_EXHAUSTED to the caller (gRPC over HTTP/2, "Errors").
        out.send_reset(Reason::ENHANCE_YOUR_CALM);
        return Err(Reason::ENHANCE_YOUR_CALM.into());
    };
    admitted
}

fn poll_capacity(out: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<usize, h2::Error>> {
    // `SendStream::poll_capacity` tells of new capacity only, not of what is already there.
    while out.capacity() == 0 {
        match out.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
            Poll::Ready(None) => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
            Poll::Pending => {
                let reason = ready!(out.poll_reset(cx))?;
                return Poll::Ready(Err(reason.into()));
            }
        }
    }
    Poll::Ready(Ok(out.capacity()))
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, header::HeaderValue::from_static("13"));
    }
    trailers
}

/// Removes what HTTP/2 forbids (RFC 9113, section 8.2.2).
fn without_hop_headers(headers: &mut HeaderMap) {
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        headers.remove(name);
    }
}

/// The body of a request. The peer may send more as it is read.
#[derive(Debug)]
pub(crate) struct RequestBody {
    stream: RecvStream,
    data_ended: bool,
}

impl RequestBody {
    fn new(stream: RecvStream) -> Self {
        Self { stream, data_ended: false }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only for more than was received.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(&error)))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(broken(&error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

fn broken(error: &h2::Error) -> Status {
    Status::cancelled(format!("the caller broke off its request: {error}"))
}
