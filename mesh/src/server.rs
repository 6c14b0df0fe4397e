//! The served path: one instance from its listener to its last call.

mod accept;
mod access;
mod admin;
mod builtin;
mod catch;
mod connect_info;
mod connection;
mod deadline;
mod drain;
mod first_turn;
mod limit;
mod phase;
mod register;
mod signals;
mod stream;
#[cfg(test)]
mod tests;
mod trace;

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, IntoFuture},
    net::SocketAddr,
    sync::Arc,
};

use futures::future::BoxFuture;
use tokio::{net::TcpListener, sync::watch, task::spawn_blocking};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::service::Routes;
use tower::ServiceBuilder;
use tracing::info;

pub use self::connect_info::ConnectInfo;
use crate::{
    config::{AdminConfig, ServerConfig},
    consul::Consul,
    error::{Error, ErrorKind},
    server::{
        accept::Acceptor,
        access::{AccessLayer, Methods},
        admin::Admin,
        catch::CatchLayer,
        deadline::DeadlineLayer,
        drain::Leaving,
        limit::LimitLayer,
        phase::Phase,
        register::{Advertised, Description, Lease, Standing},
        signals::Signals,
        stream::Handler,
        trace::TraceLayer,
    },
    snapshot::Snapshot,
    telemetry::Telemetry,
};

/// The way of a served call: requests go down this list, responses come back up.
fn stack(parts: &Parts, routes: Routes, methods: Methods) -> impl Handler {
    ServiceBuilder::new()
        // Above all: whatever is logged of a call names its trace.
        .layer(TraceLayer::new(parts.telemetry.tracer().clone()))
        // Above what may refuse: a call that was refused counts, too.
        .layer(AccessLayer::new(parts.telemetry.metrics().clone(), methods))
        // Above the handler and its response body, which end with it.
        .layer(DeadlineLayer)
        .layer(LimitLayer::new(parts.config.max_message_bytes))
        // Lowest: only handlers are expected to panic.
        .layer(CatchLayer)
        .service(routes)
}

/// What an instance is served with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The name that it is registered under.
    pub(crate) service: String,
    pub(crate) config: ServerConfig,
    pub(crate) consul: Consul,
    /// What was known when Consul could last be asked; without it an instance need not know anybody.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) telemetry: Telemetry,
    /// Descriptor sets of what it serves.
    pub(crate) served: Vec<&'static [u8]>,
    /// What it is registered with besides, for those who call it.
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) admin: AdminConfig,
}

/// A service about to be served; see [`Mesh::serve`](crate::Mesh::serve). Await it.
///
/// It ends when the instance has left: `Ok` after a drain, also after one that had to cut calls off. Nothing of it
/// runs on, not even when it is dropped before.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve {
    parts: Parts,
    routes: Routes,
    shutdown: Option<BoxFuture<'static, ()>>,
    ready: Option<Ready>,
    healthy: Option<watch::Receiver<bool>>,
}

type Ready = Box<dyn FnOnce(SocketAddr) + Send>;

impl Serve {
    pub(crate) fn new(parts: Parts, routes: Routes) -> Self {
        Self { parts, routes, shutdown: None, ready: None, healthy: None }
    }

    /// Serves until the future ends, and not until a signal.
    pub fn until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { shutdown: Some(Box::pin(shutdown)), ..self }
    }

    /// Tells the address that is listened on, once the instance is registered and passing. While Consul cannot be
    /// reached that is not yet, though calls are served.
    pub fn on_ready(self, ready: impl FnOnce(SocketAddr) + Send + 'static) -> Self {
        Self { ready: Some(Box::new(ready)), ..self }
    }

    /// Answers health checks with NOT_SERVING while the value is `false`: what the instance needs for its work is away.
    /// Consul then finds it critical, and callers prefer others. Calls are served all the same.
    pub fn healthy_while(self, healthy: watch::Receiver<bool>) -> Self {
        Self { healthy: Some(healthy), ..self }
    }

    async fn run(self) -> Result<(), Error> {
        let Self { mut parts, routes, shutdown, ready, healthy } = self;
        let mut shutdown = match shutdown {
            Some(future) => Shutdown::Future(future),
            None => Shutdown::Signals(Signals::new()?),
        };
        let listener = accept::listen(parts.config.listen).await?;
        // Until the end of the drain, which can be watched there.
        let admin = Admin::start(&parts.admin, &parts.telemetry).await?;
        parts.meta.extend(admin.meta());
        let mut running = Running::start(&parts, routes, listener).await?;
        tokio::select! {
            () = shutdown.first() => {}
            error = running.serve(ready, healthy) => return Err(error),
        }
        let hurry = CancellationToken::new();
        tokio::select! {
            () = running.leaving.drain(&parts.config.drain, &hurry) => {}
            never = shutdown.others(&hurry) => match never {},
        }
        parts.telemetry.flush().await;
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("service", &self.parts.service)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// An instance that serves, or is about to stop.
struct Running {
    local: SocketAddr,
    snapshot: Option<Arc<Snapshot>>,
    leaving: Leaving,
}

impl Running {
    /// Accepts first and registers then: who hears of the instance can call it.
    async fn start(parts: &Parts, routes: Routes, listener: TcpListener) -> Result<Self, Error> {
        knows_somebody(parts).await?;
        let config = &parts.config;
        let local = listener.local_addr().map_err(|error| Error::new(ErrorKind::Listen, error.to_string()))?;
        let advertised = Advertised::new(config.advertise.as_deref(), local)?;
        let (routes, health, methods) = builtin::with_health_and_reflection(routes, &parts.served)?;
        health.serving().await;

        let phase = Phase::default();
        let handler = stack(parts, routes, methods.into_iter().collect());
        let acceptor = Acceptor::new(listener, handler, config, phase.clone(), parts.telemetry.metrics().clone());
        let acceptor = AbortOnDropHandle::new(tokio::spawn(acceptor.run()));
        info!(service = parts.service, listen = %local, "serving");

        let stop_lease = CancellationToken::new();
        let description = Description::new(&parts.service, &config.tags, &parts.served).with_meta(parts.meta.clone());
        let (lease, standing) = Lease::new(parts.consul.clone(), description, advertised, stop_lease.clone());
        let lease = AbortOnDropHandle::new(tokio::spawn(lease.run()));
        let (consul, snapshot) = (parts.consul.clone(), parts.snapshot.clone());
        Ok(Self { local, snapshot, leaving: Leaving { consul, standing, stop_lease, lease, health, phase, acceptor } })
    }

    /// Reports that the instance is ready, and ends only if it cannot serve any more.
    async fn serve(&mut self, ready: Option<Ready>, healthy: Option<watch::Receiver<bool>>) -> Error {
        let health = self.leaving.health.clone();
        let following = async {
            match healthy {
                Some(healthy) => health.follow(healthy).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = self.accepting(ready) => error,
            never = following => match never {},
        }
    }

    async fn accepting(&mut self, ready: Option<Ready>) -> Error {
        let registered = self.leaving.standing.wait_for(|standing| matches!(standing, Standing::Registered(_)));
        if registered.await.is_ok() {
            first_snapshot(self.snapshot.clone()).await;
            if let Some(ready) = ready {
                ready(self.local);
            }
        }
        let ended = (&mut self.leaving.acceptor).await;
        let reason = ended.map_or_else(|error| error.to_string(), |()| "no reason".into());
        Error::new(ErrorKind::Listen, format!("the listener on {} ended: {reason}", self.local))
    }
}

/// With a folder for snapshots, but without one in it, an instance is not started while the registry is away: it
/// would know nobody, and nobody it.
async fn knows_somebody(parts: &Parts) -> Result<(), Error> {
    let Some(snapshot) = parts.snapshot.as_ref().filter(|snapshot| snapshot.age().is_none()) else { return Ok(()) };
    parts.consul.reach().await.map_err(|error| {
        let path = snapshot.path().display();
        Error::new(ErrorKind::Registry, format!("{error}; and there is no snapshot to start from at {path}"))
    })
}

/// From here on the instance can be started while the registry is away, also if it calls nobody.
async fn first_snapshot(snapshot: Option<Arc<Snapshot>>) {
    if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.age().is_none()) {
        // It ends with the runtime at the latest, and has nothing to say.
        let _ = spawn_blocking(move || snapshot.write()).await;
    }
}

/// What ends the serving.
enum Shutdown {
    Signals(Signals),
    Future(BoxFuture<'static, ()>),
}

impl Shutdown {
    async fn first(&mut self) {
        match self {
            Self::Signals(signals) => signals.next().await,
            Self::Future(future) => future.await,
        }
    }

    /// A second signal means: at once.
    async fn others(&mut self, hurry: &CancellationToken) -> std::convert::Infallible {
        if let Self::Signals(signals) = self {
            signals.next().await;
            hurry.cancel();
        }
        std::future::pending().await
    }
}
