//! Takes connections from the listener until the instance leaves, and owns them until they end.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use rand::Rng as _;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tracing::{debug, info, warn};

use crate::{
    backoff::Backoff,
    config::ServerConfig,
    error::{Error, ErrorKind},
    server::{
        connection::{self, Settings},
        phase::Phase,
        stream::Handler,
    },
    telemetry::Metrics,
};

/// Listens on an address.
///
/// # Errors
///
/// [`ErrorKind::Listen`], naming the address and what to do.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "address in use: stop what listens there, or set server.listen to another port".into()
            }
            io::ErrorKind::PermissionDenied => {
                format!("permission denied for port {port}: set server.listen to a port above 1023")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no address {}: set server.listen to one it has", address.ip())
            }
            _ => error.to_string(),
        };
        Error::new(ErrorKind::Listen, format!("cannot listen on {address}: {advice}"))
    })
}

/// A listener and everything that came in by it.
#[derive(Debug)]
pub(crate) struct Acceptor<H> {
    listener: TcpListener,
    handler: H,
    settings: Arc<Settings>,
    phase: Phase,
    metrics: Metrics,
    connections: JoinSet<()>,
    backoff: Backoff,
    failing: bool,
}

impl<H: Handler> Acceptor<H> {
    pub(crate) fn new(
        listener: TcpListener,
        handler: H,
        config: &ServerConfig,
        phase: Phase,
        metrics: Metrics,
    ) -> Self {
        Self {
            listener,
            handler,
            settings: Arc::new(Settings::new(config)),
            phase,
            metrics,
            connections: JoinSet::new(),
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(1)),
            failing: false,
        }
    }

    /// Serves until the phase is `leaving` and the last connection has ended.
    pub(crate) async fn run(mut self) {
        let leaving = self.phase.leaving.clone();
        loop {
            tokio::select! {
                biased;
                () = leaving.cancelled() => break,
                accepted = self.listener.accept() => self.take(accepted).await,
                Some(_) = self.connections.join_next() => {}
            }
        }
        // Who is connected already may have sent a call: closing on it would lose that call.
        while let Some(accepted @ Ok(_)) = self.listener.accept().now_or_never() {
            self.take(accepted).await;
        }
        drop(self.listener);
        while self.connections.join_next().await.is_some() {}
    }

    async fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, remote)) => {
                self.recovered();
                let (handler, settings) = (self.handler.clone(), Arc::clone(&self.settings));
                let (counted, phase) = (self.metrics.server_connection(), self.phase.clone());
                let serving = connection::serve(stream, remote, handler, settings, phase);
                self.connections.spawn(serving.map(move |()| drop(counted)));
            }
            Err(error) if is_of_the_connection(&error) => debug!(%error, "a connection was gone before it was taken"),
            Err(error) => self.failed(&error).await,
        }
    }

    /// Out of file descriptors or memory: waiting is all that helps.
    async fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            let listen = self.local();
            warn!(%error, %listen, "connections cannot be accepted: trying again");
        }
        self.failing = true;
        let delay = self.backoff.next(rand::rng().random());
        sleep(delay).await;
    }

    fn recovered(&mut self) {
        if self.failing {
            info!(listen = %self.local(), "connections are accepted again");
            self.failing = false;
            self.backoff.reset();
        }
    }

    fn local(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
    }
}

/// Tells what ails one connection from what ails the listener (accept(2), "Error handling").
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use tonic::body::Body;

    use super::*;
    use crate::{server::stream::RequestBody, telemetry::Telemetry};

    #[tokio::test(start_paused = true)]
    async fn an_exhausted_machine_is_waited_for_and_complained_of_once() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let handler =
            tower::service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let metrics = Telemetry::new().unwrap().metrics().clone();
        let mut acceptor = Acceptor::new(listener, handler, &ServerConfig::default(), Phase::default(), metrics);
        let began = tokio::time::Instant::now();
        const EMFILE: i32 = 24;
        for _ in 0..20 {
            acceptor.take(Err(io::Error::from_raw_os_error(EMFILE))).await;
            assert!(acceptor.failing);
        }
        assert!(began.elapsed() > Duration::from_millis(20), "it spins");
        acceptor.take(Err(io::ErrorKind::ConnectionAborted.into())).await;
        assert!(acceptor.failing, "a connection that was lost is no sign of recovery");
        let client = TcpStream::connect(acceptor.local()).await.unwrap();
        let accepted = acceptor.listener.accept().await;
        acceptor.take(accepted).await;
        assert!(!acceptor.failing);
        drop(client);
    }
}
