//! The public port: HTTP/1.1 and HTTP/2 by prior knowledge, told apart by the first bytes.

mod patience;

mod linger;
mod requests;
mod watch;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http::{Request, Version};
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
        .max_buf_size((limits.header_bytes as usize).max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
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
        async move {
            let response = pipeline.handle(request).await;
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, running)))
        }
    });
    let serving = builder.serve_connection(io, service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        debug!(error, "connection ended");
    }
}

#[cfg(test)]
mod tests;
