//! The public port: HTTP/1.1 and HTTP/2 by prior knowledge, told apart by the first bytes.

mod patience;

mod linger;
mod requests;
mod watch;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tracing::{debug, info, warn};

use self::{
    patience::{Patience, Times},
    requests::{Answer, Requests, Sent},
};
use crate::{config::Limits, pipeline::Pipeline};

/// After this long without a frame an HTTP/2 client is asked whether it lives.
const PING: Duration = Duration::from_secs(60);
/// A client that does not answer for this long is closed.
const PONG: Duration = Duration::from_secs(20);
/// The wait after the system refused to accept, as when it has no file descriptors left.
const REFUSED: Duration = Duration::from_millis(100);
/// Header fields of one request.
const FIELDS: usize = 100;
/// Bytes of a body of HTTP/1.1 that are read or written at once: each piece costs a system call.
const PIECE: usize = 128 * 1024;

/// Bytes of a DATA frame of HTTP/2: h2 reads the begin of each with 8 KiB and the rest at once.
const FRAME: u32 = 128 * 1024;

/// Serves until told to end, and then until the requests that run have ended, or the grace is over.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>, shutdown: CancellationToken) {
    let builder = Arc::new(builder(&pipeline.limits));
    let graceful = GracefulShutdown::new();
    let mut door = Door::new(listener, pipeline.limits.connections);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            (stream, place) = door.next() => {
                let serving = connection(stream, Arc::clone(&builder), Arc::clone(&pipeline), graceful.watcher());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(door);
    if tokio::time::timeout(pipeline.limits.grace, graceful.shutdown()).await.is_err() {
        warn!(connections = connections.len(), "requests that did not end in time are cut off");
    }
}

/// Accepts connections while there is place for them.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    most: usize,
    full: bool,
    refused: bool,
}

impl Door {
    fn new(listener: TcpListener, most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { listener, places: Arc::new(Semaphore::new(most)), most, full: false, refused: false }
    }

    /// Waits for a place and then for a connection; nothing is lost by dropping this.
    async fn next(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        let place = self.place().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    self.refused = false;
                    // What is lost without it is only time.
                    _ = stream.set_nodelay(true);
                    // And without this only a place, for as long as the connection may be idle.
                    _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
                    return (stream, place);
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn place(&mut self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            if std::mem::take(&mut self.full) {
                info!("there is place for connections again");
            }
            return place;
        }
        if !std::mem::replace(&mut self.full, true) {
            warn!(connections = self.most, "no place for another connection: new ones wait until one ends");
        }
        Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed")
    }

    async fn pause(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.refused, true) {
            warn!(%error, "connections cannot be accepted");
        }
        tokio::time::sleep(REFUSED).await;
    }
}

/// Finds out about clients that are gone without a word.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(PING).with_interval(PONG / 4).with_retries(4)
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would time idle connections as well: `Patience` has the time of both.
        .header_read_timeout(None)
        .max_headers(FIELDS)
        // Of heads too, which are measured once they have ended.
        .max_buf_size(PIECE.max(limits.header_bytes as usize));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_frame_size(FRAME)
        .adaptive_window(true);
    builder
}

async fn connection<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: I,
    builder: Arc<Builder<TokioExecutor>>,
    pipeline: Arc<Pipeline>,
    watcher: Watcher,
) {
    let times = Times { head: pipeline.limits.header_timeout, idle: pipeline.limits.idle_timeout };
    let requests = Arc::new(Requests::default());
    let io = TokioIo::new(Patience::new(io, times, Arc::clone(&requests)));
    let service = service_fn(move |request: Request<Incoming>| {
        // Here, and not when the future is polled: the head has ended.
        let running = (request.version() != Version::HTTP_2).then(|| requests.begin());
        let request = match &running {
            Some(_) => request.map(|body| Body::new(Sent::new(body, Arc::clone(&requests)))),
            None => request.map(Body::new),
        };
        let pipeline = Arc::clone(&pipeline);
        // hyper measures those of HTTP/2.
        let too_large = running.is_some() && head_bytes(&request) > pipeline.limits.header_bytes as usize;
        async move {
            let response = if too_large { head_too_large() } else { pipeline.handle(request).await };
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, running)))
        }
    });
    let serving = builder.serve_connection(io, service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        debug!(error, "connection ended");
    }
}

/// Returns how long the head of a request of HTTP/1.1 was, white space and version left out.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let line = request.method().as_str().len() + uri.path().len() + uri.query().map_or(0, str::len);
    line + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// Refuses a request whose head is too large, as hyper does with one that is larger than its buffer.
fn head_too_large() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
