//! One connection: its beginning, its limits, its calls, and its end.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    RecvStream,
    server::{Builder, SendResponse},
};
use http::Request;
use rand::Rng as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::{
    backoff,
    batch::Batch,
    config::ServerConfig,
    keepalive::{Heard, Heeded, Keepalive},
    random,
    server::{
        connect_info::ConnectInfo,
        first_turn::FirstTurn,
        phase::Phase,
        stream::{self, Handler},
    },
};

/// What one stream may have under way, unread by its handler. Large enough for 80 Mbit/s at 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;

/// What all streams of a connection may have under way: eight that nobody reads do not stop the ninth.
const CONNECTION_WINDOW: u32 = 9 << 20;

/// How large a DATA frame of a request may be: h2 reads the begin of each with 8 KiB and the rest at once.
const FRAME: u32 = 128 * 1024;

/// How long a peer that has no calls gets in a drain: to begin its first, or to answer GOAWAY.
const FAREWELL: Duration = Duration::from_secs(1);

/// The first bytes of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a peer is told that begins with anything else.
const NOT_HTTP2: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-type: text/plain\r\n\
content-length: 39\r\n\r\nthis port speaks gRPC over HTTP/2 only\n";

/// The limits of every connection.
#[derive(Debug)]
pub(crate) struct Settings {
    http2: Builder,
    handshake_timeout: Duration,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
    send_stall: Duration,
    max_age: Duration,
}

impl Settings {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let mut http2 = Builder::new();
        http2
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_header_list_size(config.max_header_bytes)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            // Against streams that are opened only to be reset (CVE-2023-44487) or to break a rule.
            .max_concurrent_reset_streams(50)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(Some(1_024));
        Self {
            http2,
            handshake_timeout: config.handshake_timeout,
            keepalive_interval: config.keepalive_interval,
            keepalive_timeout: config.keepalive_timeout,
            max_age: config.max_connection_age,
            send_stall: config.send_stall,
        }
    }
}

/// Serves one connection to its end. Its calls end with it.
pub(crate) async fn serve<H: Handler>(
    stream: TcpStream,
    remote: SocketAddr,
    handler: H,
    settings: Arc<Settings>,
    phase: Phase,
) {
    let heard = Heard::default();
    let begun = timeout(settings.handshake_timeout, begin(stream, &settings, &heard, &phase));
    let connection = match begun.await {
        Ok(Ok(Some(connection))) => connection,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return debug!(%remote, %error, "a connection did not begin"),
        Err(_) => return debug!(%remote, "a client was silent: closed"),
    };
    let info = ConnectInfo::new(remote);
    Connection { connection, handler, info, calls: TaskTracker::new(), turn: FirstTurn::default(), phase }
        .run(&settings, heard)
        .await;
}

type Http2 = h2::server::Connection<Heeded<TcpStream>, Bytes>;

/// Waits for the first bytes, and shakes hands if they are HTTP/2's.
async fn begin(mut stream: TcpStream, settings: &Settings, heard: &Heard, phase: &Phase) -> io::Result<Option<Http2>> {
    stream.set_nodelay(true)?;
    let mut first = [0; PREFACE.len()];
    let size = tokio::select! {
        size = stream.peek(&mut first) => size?,
        () = farewell(phase) => return Ok(None),
    };
    if size == 0 {
        return Ok(None);
    }
    if !PREFACE.starts_with(&first[..size]) {
        if first[0].is_ascii_uppercase() {
            refuse(&mut stream).await?;
        }
        return Ok(None);
    }
    settings.http2.handshake(heard.heed(stream)).await.map(Some).map_err(io::Error::other)
}

async fn farewell(phase: &Phase) {
    phase.leaving.cancelled().await;
    sleep(FAREWELL).await;
}

/// Answers a client of HTTP/1, and reads what it still sends: closing on unread bytes would reset the connection
/// and might take the answer with it.
async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(NOT_HTTP2).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(1 << 20);
    let mut sink = tokio::io::sink();
    timeout(FAREWELL, tokio::io::copy(&mut rest, &mut sink)).await.map_or(Ok(()), |copied| copied.map(drop))
}

/// Waits until no call runs, and then for a while.
async fn rest(calls: &TaskTracker) {
    calls.wait().await;
    sleep(FAREWELL).await;
}

/// Waits until the instance leaves, or the connection is too old.
async fn parting(phase: &Phase, aged: impl Future<Output = ()>) {
    tokio::select! {
        () = phase.leaving.cancelled() => {}
        () = aged => {}
    }
}

/// Waits until then, or for ever if that is never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A connection that shook hands.
struct Connection<H> {
    connection: Http2,
    handler: H,
    info: ConnectInfo,
    calls: TaskTracker,
    turn: FirstTurn,
    phase: Phase,
}

/// Calls that came together: they are answered together, too, since every look for another writes what is answered.
#[derive(Default)]
struct Arrivals {
    calls: Vec<(Request<RecvStream>, SendResponse<Bytes>)>,
}

impl Arrivals {
    /// Gathers what has come; `false` when the connection has ended.
    fn poll(&mut self, connection: &mut Http2, cx: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(call))) => self.calls.push(call),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(false)),
                Poll::Pending if self.calls.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(true)),
            }
        }
    }
}

impl<H: Handler> Connection<H> {
    async fn run(mut self, settings: &Settings, heard: Heard) {
        let pings = self.connection.ping_pong().expect("taken only here");
        let keepalive = Keepalive::new(pings, heard, settings.keepalive_interval, settings.keepalive_timeout);
        let mut silence = std::pin::pin!(keepalive.silence());
        let expiry = backoff::expiry(Instant::now(), settings.max_age, random::rng().random());
        let (phase, calls) = (self.phase.clone(), self.calls.clone());
        let mut parting = std::pin::pin!(parting(&phase, until(expiry)));
        let mut over = std::pin::pin!(phase.over.cancelled());
        let (mut batch, mut arrivals) = (Batch::default(), Arrivals::default());
        loop {
            tokio::select! {
                arrived = poll_fn(|cx| batch.poll(calls.len(), cx, |cx| arrivals.poll(&mut self.connection, cx))) => {
                    for (request, respond) in arrivals.calls.drain(..) {
                        let call = stream::serve(self.handler.clone(), request, respond, self.info, settings.send_stall);
                        self.turn.begin(call, &calls);
                    }
                    match arrived {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => break self.lost(&error),
                    }
                }
                () = &mut parting, if !calls.is_closed() => {
                    // Says GOAWAY twice (RFC 9113, section 6.8): calls that are already on their way are served.
                    self.connection.graceful_shutdown();
                    calls.close();
                }
                () = rest(&calls), if calls.is_closed() => {
                    // What calls left behind may still be on its way out.
                    if !self.connection.has_streams() {
                        break;
                    }
                }
                () = &mut silence => break self.silent(),
                () = &mut over => break,
            }
        }
        // Its streams are reset with it, and that ends the calls.
        drop(self.connection);
        calls.close();
        calls.wait().await;
    }

    fn lost(&self, error: &h2::Error) {
        debug!(remote = %self.info.remote, %error, "a connection was lost");
    }

    fn silent(&self) {
        debug!(remote = %self.info.remote, "a peer did not answer: closed");
    }
}
