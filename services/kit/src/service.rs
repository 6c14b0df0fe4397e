//! The life of one service instance: opens the database, joins the mesh, serves, drains, closes the database.

use std::{
    convert::Infallible,
    future::{Future, IntoFuture as _, pending},
    net::SocketAddr,
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use selvedge::Mesh;
use tokio::{sync::watch, time::sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::service::Routes;
use tracing::warn;

use crate::{
    cache::Cache,
    database::{self, Database, Schema},
    once,
    options::{Options, RunError},
    readiness, time,
};

/// How often to forget what need not be kept.
const SWEEP: Duration = Duration::from_secs(60);

/// What a service is made of, whatever its options.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// An encoded `FileDescriptorSet` of what it serves.
    pub descriptors: &'static [u8],
    /// Those of the services that it calls.
    pub upstream_descriptors: &'static [&'static [u8]],
    /// The tables of its database.
    pub schema: Schema,
}

/// What the routes of a service are made of.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The instance in the mesh.
    pub mesh: Mesh,
    /// The database, its schema up to date.
    pub database: Database,
    /// Where copies of what is read by name are kept.
    pub cache: Cache,
    /// Is cancelled when the instance drains, as soon as callers look elsewhere: streams that would not end by
    /// themselves end then.
    pub leaving: CancellationToken,
}

impl Service {
    /// Serves the routes that `routes` makes of mesh and database, until `shutdown` ends, and then drains. `ready` is
    /// told the address once the instance is registered and passing.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the database cannot be opened, the mesh not be joined, or the listener fails.
    pub async fn run(
        self,
        options: Options,
        shutdown: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce(SocketAddr) + Send + 'static,
        routes: impl FnOnce(Joined) -> Routes,
    ) -> Result<(), RunError> {
        let Options { mesh, database, limits, cache, telemetry } = options;
        let builder = Mesh::builder(mesh).descriptors(self.descriptors);
        let builder = self.upstream_descriptors.iter().fold(builder, |builder, set| builder.upstream_descriptors(set));
        let builder = match telemetry {
            Some(telemetry) => builder.telemetry(telemetry),
            None => builder,
        };
        let mesh = builder.build()?;
        let cache = Cache::open(cache, self.schema.name, mesh.telemetry()).map_err(RunError::Cache)?;
        let mut shutdown = Box::pin(shutdown);
        let schema = self.schema;
        // Boxed, as what follows: what is known to be sent between threads here is not asked again above.
        let open = async move { database::open_within(&database, schema, limits).await }.boxed();
        let database = tokio::select! {
            opened = open => opened?,
            // The database may be waited for.
            () = &mut shutdown => return Ok(()),
        };
        let leaving = CancellationToken::new();
        let joined = Joined { mesh: mesh.clone(), database: database.clone(), cache, leaving: leaving.clone() };
        let routes = routes(joined);
        let _keeper = AbortOnDropHandle::new(tokio::spawn(keep(database.clone())));
        let (say, healthy) = watch::channel(true);
        let _watcher = AbortOnDropHandle::new(tokio::spawn(readiness::follow(database.clone(), say)));
        let propagation = mesh.config().server.drain.propagation;
        let signal = CancellationToken::new();
        let told = signal.clone();
        let until = shutdown.inspect(move |()| told.cancel());
        let ended = tokio::select! {
            ended = mesh.serve(routes).healthy_while(healthy).until(until).on_ready(ready).into_future() => ended,
            never = leave(signal, propagation, leaving).boxed() => match never {},
        };
        close(database).await;
        Ok(ended?)
    }
}

fn close(database: Database) -> BoxFuture<'static, ()> {
    async move { database.close().await }.boxed()
}

/// Ends the streams of an instance that drains, once others have heard that it does: who begins again at once is not
/// led here again.
async fn leave(signal: CancellationToken, propagation: Duration, leaving: CancellationToken) -> Infallible {
    signal.cancelled().await;
    sleep(propagation).await;
    leaving.cancel();
    pending().await
}

/// Forgets, every minute, what need not be kept any longer.
async fn keep(database: Database) {
    loop {
        sleep(SWEEP).await;
        if let Err(error) = once::sweep(&database, time::now_micros()).await {
            warn!(%error, "old request ids are not removed: it is tried again in a minute");
        }
    }
}
