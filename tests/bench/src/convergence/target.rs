//! An instance in this process, which notes when it is connected to and called.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::Instant};
use tokio_stream::{StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Request, Status, service::Routes};

use crate::echo::{Echo, pb::echo_service_server::EchoServiceServer};

/// Sent with each attempt but the first (gRFC A6).
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// A server; ended when dropped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What happened, and when.
#[derive(Debug, Default)]
struct Seen {
    times: Mutex<Times>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    connected: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    last_retry: Option<Instant>,
}

impl Target {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let noted = Arc::clone(&seen);
        let note = move |request: Request<()>| {
            let again = request.metadata().contains_key(PREVIOUS_ATTEMPTS);
            noted.note(|times, now| {
                times.first.get_or_insert(now);
                times.last = Some(now);
                times.last_retry = if again { Some(now) } else { times.last_retry };
            });
            Ok::<_, Status>(request)
        };
        let routes = Routes::new(EchoServiceServer::with_interceptor(Echo, note));
        let accepted = Arc::clone(&seen);
        let incoming = TcpListenerStream::new(listener).map(move |stream| {
            accepted.note(|times, now| times.connected = Some(now));
            stream.inspect(|stream| drop(stream.set_nodelay(true)))
        });
        let server = tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming);
        let task = tokio::spawn(async move { drop(server.await) });
        Ok(Self { address, seen, task })
    }

    /// Forgets all that happened.
    pub(crate) fn forget(&self) {
        self.seen.note(|times, _| *times = Times::default());
    }

    /// Waits for the first call since it forgot.
    pub(crate) async fn first(&self) -> Instant {
        self.seen.wait(|times| times.first).await
    }

    /// Waits for a connection since it forgot.
    pub(crate) async fn connected(&self) -> Instant {
        self.seen.wait(|times| times.connected).await
    }

    /// Returns when it was called last.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.seen.times().last
    }

    /// Returns when it was last called because an attempt elsewhere had failed.
    pub(crate) fn last_retry(&self) -> Option<Instant> {
        self.seen.times().last_retry
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn note(&self, note: impl FnOnce(&mut Times, Instant)) {
        note(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        self.changed.notify_waiters();
    }

    fn times(&self) -> Times {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, time: impl Fn(Times) -> Option<Instant>) -> Instant {
        loop {
            let changed = self.changed.notified();
            if let Some(time) = time(self.times()) {
                return time;
            }
            changed.await;
        }
    }
}
