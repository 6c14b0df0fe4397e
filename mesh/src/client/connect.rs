//! One connection: its socket, the HTTP/2 handshake, and the task that drives it with its keepalive and request bodies.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use h2::client::{Builder, Connection, SendRequest};
use rand::Rng as _;
use tokio::{
    sync::{Notify, mpsc},
    time::{self, Instant},
};

use crate::{
    backoff,
    batch::Batch,
    client::{pump::Pump, socket::Socket},
    keepalive::{Heard, Heeded, Keepalive},
    random,
};

/// What a stream may have unread, and a connection: so much memory a peer can fill.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// How large a DATA frame of an answer may be: h2 reads the begin of each with 8 KiB and the rest at once, so that a large
/// answer in frames of 16 KiB (the default of RFC 9113, section 6.5.2) costs a system call for every 8 KiB.
const FRAME: u32 = 128 * 1024;
/// Bytes of one stream that wait to be written.
const SEND_BUFFER: usize = 256 * 1024;

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) max_header_bytes: u32,
    pub(crate) keepalive_interval: Duration,
    pub(crate) keepalive_timeout: Duration,
    /// How long a connection beyond the first may carry no stream.
    pub(crate) spare_idle: Duration,
    /// How old a connection may get; zero for any age.
    pub(crate) max_age: Duration,
}

/// The sending side of a connection. The connection ends when it is dropped and its last stream ended.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) sender: SendRequest<Bytes>,
    pumps: mpsc::UnboundedSender<Pump>,
    state: Arc<State>,
    /// When another is to take its place.
    expires: Option<Instant>,
}

/// What a connection's task tells.
#[derive(Debug)]
struct State {
    /// It takes new streams.
    open: AtomicBool,
    streams: AtomicUsize,
    /// It carried a stream since it was last asked.
    used: AtomicBool,
    /// A call on it was answered.
    answered: AtomicBool,
    /// The peer's limit of streams.
    limit: AtomicUsize,
    /// Told when there is room for a stream.
    freed: Arc<Notify>,
}

/// The place of one stream on a connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) wire: Arc<Wire>,
}

impl Wire {
    pub(crate) fn is_open(&self) -> bool {
        self.state.open.load(Ordering::Acquire)
    }

    /// Returns when another connection is to take its place.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// Returns how many streams it carries.
    pub(crate) fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }

    /// Takes the place of a stream, if the peer allows one more.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let limit = self.state.limit.load(Ordering::Relaxed);
        let more = |streams: usize| (streams < limit).then_some(streams + 1);
        let open = self.is_open();
        let taken = open && self.state.streams.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok();
        taken.then(|| Slot { wire: Arc::clone(self) })
    }

    /// Whether it carries a stream, or did since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.state.streams.load(Ordering::Acquire) > 0 || self.state.used.swap(false, Ordering::AcqRel)
    }

    /// Whether a call on it was answered.
    pub(crate) fn has_answered(&self) -> bool {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// Takes note that a call on it was answered.
    pub(crate) fn note_answer(&self) {
        // Written once: all calls of the connection read this line of memory.
        if !self.has_answered() {
            self.state.answered.store(true, Ordering::Relaxed);
        }
    }

    /// Hands a request body that is not finished to the connection's task.
    pub(crate) fn hand_over(&self, pump: Pump) {
        // A connection whose task is gone has reset all its streams: nobody waits for the body.
        let _ = self.pumps.send(pump);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.wire.state.used.store(true, Ordering::Release);
        self.wire.state.streams.fetch_sub(1, Ordering::AcqRel);
        self.wire.state.freed.notify_one();
    }
}

/// Connects to a host and port. The peer has then sent its SETTINGS: it speaks HTTP/2, and its limit of streams is
/// known. `freed` is told when a stream ends, `changed` when the connection takes no more.
///
/// # Errors
///
/// Says why, within `connect_timeout`.
pub(crate) async fn connect(
    address: (&str, u16),
    settings: &Settings,
    freed: Arc<Notify>,
    changed: Arc<Notify>,
) -> Result<(Arc<Wire>, Driver), String> {
    let limit = settings.connect_timeout;
    let made = time::timeout(limit, async {
        let stream = Socket::connect(address).await.map_err(|error| error.to_string())?;
        handshake(stream, settings, freed, changed).await
    });
    made.await.unwrap_or_else(|_| Err(format!("no HTTP/2 connection within {limit:?}")))
}

async fn handshake(
    stream: Socket,
    settings: &Settings,
    freed: Arc<Notify>,
    changed: Arc<Notify>,
) -> Result<(Arc<Wire>, Driver), String> {
    let heard = Heard::default();
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(settings.max_header_bytes)
        // None before SETTINGS came: that is how their coming is seen.
        .initial_max_send_streams(0);
    let (sender, mut connection) = builder.handshake(heard.heed(stream)).await.map_err(|error| text(&error))?;
    let pings = connection.ping_pong().ok_or("the connection has no pings")?;
    let limit = poll_fn(|cx| match connection.poll_unpin(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err("closed before its SETTINGS came".to_owned())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(text(&error))),
        Poll::Pending => match connection.max_concurrent_send_streams() {
            0 => Poll::Pending,
            limit => Poll::Ready(Ok(limit)),
        },
    });
    let limit = AtomicUsize::new(limit.await?);
    let (open, used) = (AtomicBool::new(true), AtomicBool::new(true));
    let state =
        Arc::new(State { open, streams: AtomicUsize::new(0), used, answered: AtomicBool::new(false), limit, freed });
    let (pumps, fed) = mpsc::unbounded_channel();
    let Settings { keepalive_interval, keepalive_timeout, .. } = *settings;
    let keepalive = Keepalive::new(pings, heard, keepalive_interval, keepalive_timeout);
    let silence = keepalive.silence().map(move |()| keepalive_timeout).boxed();
    let (probe, bodies) = (Some(sender.clone()), FuturesUnordered::new());
    let batch = Batch::default();
    let driver = Driver { connection, probe, fed, bodies, silence, batch, state: Arc::clone(&state), changed };
    let expires = backoff::expiry(Instant::now(), settings.max_age, random::rng().random());
    Ok((Arc::new(Wire { sender, pumps, state, expires }), driver))
}

/// The task of one connection; returns why it ended.
pub(crate) struct Driver {
    connection: Connection<Heeded<Socket>, Bytes>,
    /// Asks whether new streams may be opened; gone when the `Wire` is, or it would keep the connection.
    probe: Option<SendRequest<Bytes>>,
    fed: mpsc::UnboundedReceiver<Pump>,
    bodies: FuturesUnordered<Pump>,
    /// Ends when the peer is silent, with the time that it had for an answer.
    silence: BoxFuture<'static, Duration>,
    batch: Batch,
    state: Arc<State>,
    changed: Arc<Notify>,
}

impl Driver {
    fn feed(&mut self, cx: &mut Context<'_>) {
        while self.probe.is_some() {
            match self.fed.poll_recv(cx) {
                Poll::Ready(Some(pump)) => self.bodies.push(pump),
                Poll::Ready(None) => self.probe = None,
                Poll::Pending => break,
            }
        }
        while let Poll::Ready(Some(())) = self.bodies.poll_next_unpin(cx) {}
    }

    fn look(&mut self, cx: &mut Context<'_>) {
        let limit = self.connection.max_concurrent_send_streams();
        if self.state.limit.swap(limit, Ordering::Relaxed) < limit {
            self.state.freed.notify_one();
        }
        // After GOAWAY, or when stream ids run out, h2 refuses what is new while the old goes on.
        let refused = self.probe.as_mut().is_some_and(|probe| matches!(probe.poll_ready(cx), Poll::Ready(Err(_))));
        if refused {
            self.close();
        }
    }

    /// Returns that the peer is given up, if it is.
    fn silent(&mut self, cx: &mut Context<'_>) -> Option<String> {
        let Poll::Ready(timeout) = self.silence.poll_unpin(cx) else { return None };
        Some(format!("no answer to a keepalive ping within {timeout:?}"))
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        self.feed(cx);
        let ended = match self.connection.poll_unpin(cx) {
            Poll::Ready(Ok(())) => Some("the peer closed it".to_owned()),
            Poll::Ready(Err(error)) => Some(text(&error)),
            Poll::Pending => self.silent(cx),
        };
        self.look(cx);
        match ended {
            Some(why) => {
                self.close();
                Poll::Ready(why)
            }
            None => Poll::Pending,
        }
    }

    fn close(&self) {
        if self.state.open.swap(false, Ordering::AcqRel) {
            self.changed.notify_one();
        }
    }
}

impl Future for Driver {
    type Output = String;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let this = self.get_mut();
        let (mut batch, calls) = (std::mem::take(&mut this.batch), this.state.streams.load(Ordering::Relaxed));
        let polled = batch.poll(calls, cx, |cx| this.drive(cx));
        this.batch = batch;
        polled
    }
}

fn text(error: &h2::Error) -> String {
    match error.get_io() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => "the peer closed it".into(),
        _ => error.to_string(),
    }
}
