//! The public port: HTTP/1.1 and HTTP/2 by prior knowledge, told apart by the first bytes.

mod patience;

use std::{io, sync::Arc, time::Duration};

use http::Request;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tracing::{debug, warn};

use self::patience::Patience;
use crate::{config::Limits, pipeline::Pipeline};

/// After this long without a frame a client is asked whether it lives, and closed if it does not answer in as long.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The wait after the system refused to accept, as when it has no file descriptors left.
const REFUSED: Duration = Duration::from_millis(100);
/// Header fields of one request.
const FIELDS: usize = 100;

/// Serves until told to end, and then until the requests that run have ended, or the grace is over.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>, shutdown: CancellationToken) {
    let builder = Arc::new(builder(&pipeline.limits));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let serving = connection(stream, Arc::clone(&builder), Arc::clone(&pipeline), graceful.watcher());
                    connections.spawn(serving);
                }
                Err(error) => refused(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    if tokio::time::timeout(pipeline.limits.grace, graceful.shutdown()).await.is_err() {
        warn!(connections = connections.len(), "requests that did not end in time are cut off");
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(FIELDS)
        .max_buf_size((limits.header_bytes as usize).max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .adaptive_window(true);
    builder
}

async fn connection(
    stream: TcpStream,
    builder: Arc<Builder<TokioExecutor>>,
    pipeline: Arc<Pipeline>,
    watcher: Watcher,
) {
    _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patience::new(stream, pipeline.limits.header_timeout));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let pipeline = Arc::clone(&pipeline);
        async move { Ok::<_, std::convert::Infallible>(pipeline.handle(request.map(Body::new)).await) }
    });
    let serving = builder.serve_connection(io, service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        debug!(error, "connection ended");
    }
}

async fn refused(error: &io::Error) {
    warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(REFUSED).await;
}

#[cfg(test)]
mod tests;
