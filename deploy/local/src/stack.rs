//! The parts of the stack, started in order and drained in the opposite one.

use std::{future::Future, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use futures::{
    FutureExt as _,
    future::{select_all, try_join_all},
};
use selvedge::{Config, Mesh, RegistryConfig, Telemetry, TelemetryConfig};
use selvedge_gateway::{Expose, Gateway};
use selvedge_kit::{
    cache,
    program::{Ready, Shutdown},
};
use selvedge_registry::Registry;
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::options::Options;

/// How long a part may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The running stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) registry_url: String,
    pub(crate) embedded: bool,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) users: Vec<SocketAddr>,
    pub(crate) catalog: Vec<SocketAddr>,
    /// Innermost first: they are ended from the last to the first.
    groups: Vec<Group>,
}

/// Parts that start and end together.
#[derive(Debug)]
struct Group {
    name: &'static str,
    stop: CancellationToken,
    parts: JoinSet<anyhow::Result<()>>,
}

impl Group {
    fn new(name: &'static str) -> Self {
        Self { name, stop: CancellationToken::new(), parts: JoinSet::new() }
    }

    /// Spawns a part, and returns where it tells its address once it is ready.
    fn spawn<Fut>(&mut self, run: impl FnOnce(Shutdown, Ready) -> Fut) -> oneshot::Receiver<SocketAddr>
    where
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (tell, ready) = oneshot::channel();
        let tell: Ready = Box::new(move |address| _ = tell.send(address));
        self.parts.spawn(run(self.stopped(), tell));
        ready
    }

    fn stopped(&self) -> Shutdown {
        self.stop.clone().cancelled_owned().boxed()
    }

    /// Waits until a part ends by itself, which none should, and says why it did.
    async fn first_ended(&mut self) -> anyhow::Error {
        let name = self.name;
        match self.parts.join_next().await {
            Some(Ok(Err(error))) => error.context(format!("{name} failed")),
            Some(Err(panic)) => anyhow!("{name} failed: {panic}"),
            Some(Ok(Ok(()))) | None => anyhow!("{name} ended by itself"),
        }
    }

    /// Waits for the parts to be ready; if one ends instead, its error is the answer.
    async fn ready<T>(
        &mut self,
        waiting: impl Future<Output = Result<T, oneshot::error::RecvError>>,
    ) -> anyhow::Result<T> {
        match tokio::time::timeout(START_LIMIT, waiting).await {
            Ok(Ok(value)) => Ok(value),
            // A part dropped what would have told its address: it is about to end.
            Ok(Err(_)) => Err(self.first_ended().await),
            Err(_) => bail!("{} was not ready within {} s", self.name, START_LIMIT.as_secs()),
        }
    }

    /// Ends the parts, and waits for them.
    async fn drain(mut self) {
        let part = self.name;
        tracing::info!(part, "drains");
        self.stop.cancel();
        while let Some(ended) = self.parts.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(part, error = format!("{error:#}"), "did not end well"),
                Err(error) => tracing::warn!(part, %error, "did not end well"),
            }
        }
    }
}

impl Stack {
    /// Starts everything; on failure what was started is ended before the error is returned.
    pub(crate) async fn start(options: &Options, data_dir: &Path, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let mut groups = Vec::new();
        match start(options, data_dir, telemetry, &mut groups).await {
            Ok(addresses) => Ok(addresses.into_stack(groups)),
            Err(error) => {
                drain(groups).await;
                Err(error)
            }
        }
    }

    /// Waits until a part ends by itself, which none should.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let groups = self.groups.iter_mut().map(|group| Box::pin(group.first_ended()));
        select_all(groups).await.0
    }

    /// Ends everything in order: gateway, services, registry.
    pub(crate) async fn drain(self) {
        drain(self.groups).await;
    }
}

struct Addresses {
    registry_url: String,
    embedded: bool,
    gateway: SocketAddr,
    admin: SocketAddr,
    users: Vec<SocketAddr>,
    catalog: Vec<SocketAddr>,
}

impl Addresses {
    fn into_stack(self, groups: Vec<Group>) -> Stack {
        let Self { registry_url, embedded, gateway, admin, users, catalog } = self;
        Stack { registry_url, embedded, gateway, admin, users, catalog, groups }
    }
}

async fn start(
    options: &Options,
    data_dir: &Path,
    telemetry: &Telemetry,
    groups: &mut Vec<Group>,
) -> anyhow::Result<Addresses> {
    let registry = match options.consul()? {
        Some(consul) => reachable(consul).await?,
        None => start_registry(options.registry_listen, groups).await?,
    };
    let registry_url = registry.url()?.as_str().trim_end_matches('/').to_owned();
    let admin = Telemetry::bind_admin(options.admin_listen).await.context("--admin-listen")?;
    let admin_address = admin.local_addr()?;

    let count = usize::from(options.instances);
    let mesh = |name: &str| {
        let mut mesh = config(name, &registry, options.telemetry());
        mesh.admin.address = Some(admin_address);
        mesh
    };
    let limits = options.limits.limits().map_err(|(option, reason)| anyhow!("{option}: {reason}"))?;
    let service = |name: &str, cache: &cache::Options| selvedge_kit::Options {
        mesh: mesh(name),
        database: options.database_of(name, data_dir),
        limits,
        cache: cache.clone(),
        telemetry: Some(telemetry.clone()),
    };
    // One of each service's own, which its instances share.
    let cache = || options.cache.options().map_err(|(option, reason)| anyhow!("{option}: {reason}"));
    let (of_users, of_catalog) = (cache()?, cache()?);
    let users = start_services(groups, selvedge_users::SERVICE, count, |stop, ready| {
        let options = service(selvedge_users::SERVICE, &of_users);
        async move { Ok(selvedge_users::run(options, stop, ready).await?) }
    })
    .await?;
    let catalog = start_services(groups, selvedge_catalog::SERVICE, count, |stop, ready| {
        let options = service(selvedge_catalog::SERVICE, &of_catalog);
        async move { Ok(selvedge_catalog::run(options, stop, ready).await?) }
    })
    .await?;

    let gateway = start_gateway(options, &registry, telemetry, admin, groups).await?;
    let embedded = options.registry.is_none();
    Ok(Addresses { registry_url, embedded, gateway, admin: admin_address, users, catalog })
}

/// How long a Consul outside gets to answer.
const REACH_LIMIT: Duration = Duration::from_secs(3);

/// Checks that a Consul answers.
async fn reachable(registry: RegistryConfig) -> anyhow::Result<RegistryConfig> {
    registry.urls().context("--registry")?;
    let mut config = Config::new("local");
    config.registry = registry.clone();
    // Of a mesh of its own, which tries nothing further.
    let mesh = Mesh::new(config)?;
    let (url, hint) =
        (&registry.address, "start one (consul agent -dev), or leave --registry out to use the embedded one");
    match tokio::time::timeout(REACH_LIMIT, mesh.reach_registry()).await {
        Ok(Ok(())) => Ok(registry),
        Ok(Err(error)) => Err(anyhow!(error).context(format!("no Consul answers at {url}: {hint}"))),
        Err(_) => bail!("no Consul answers at {url} within {} s: {hint}", REACH_LIMIT.as_secs()),
    }
}

async fn start_registry(listen: SocketAddr, groups: &mut Vec<Group>) -> anyhow::Result<RegistryConfig> {
    let config = selvedge_registry::Config { listen, ..selvedge_registry::Config::default() };
    let registry = Registry::bind(config).await.with_context(|| {
        format!("the registry cannot start: use a Consul that runs there with --registry http://{listen}, or another address with --registry-listen")
    })?;
    let mut reached = RegistryConfig::default();
    reached.address = format!("http://{}", registry.local_addr());
    let mut group = Group::new("registry");
    let stopped = group.stopped();
    group.parts.spawn(async move { Ok(registry.run(stopped).await?) });
    groups.push(group);
    Ok(reached)
}

async fn start_services<F, Fut>(
    groups: &mut Vec<Group>,
    name: &'static str,
    count: usize,
    run: F,
) -> anyhow::Result<Vec<SocketAddr>>
where
    F: Fn(Shutdown, Ready) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    groups.push(Group::new(name));
    let group = groups.last_mut().expect("just pushed");
    let waiting: Vec<_> = (0..count).map(|_| group.spawn(&run)).collect();
    group.ready(try_join_all(waiting)).await
}

async fn start_gateway(
    options: &Options,
    registry: &RegistryConfig,
    telemetry: &Telemetry,
    admin: tokio::net::TcpListener,
    groups: &mut Vec<Group>,
) -> anyhow::Result<SocketAddr> {
    let gateway = Gateway::new(selvedge_gateway::Options {
        listen: options.gateway_listen,
        expose: Expose::All,
        telemetry: Some(telemetry.clone()),
        ..selvedge_gateway::Options::new(config("gateway", registry, options.telemetry()))
    })?;
    let admin_routes = gateway.admin();
    groups.push(Group::new("gateway"));
    let group = groups.last_mut().expect("just pushed");
    let listening =
        group.spawn(|stop, ready| async move { gateway.run(stop, ready).await.context("--gateway-listen") });
    let (telemetry, stopped) = (telemetry.clone(), group.stopped());
    group.parts.spawn(async move { Ok(telemetry.serve_admin(admin, admin_routes, stopped).await?) });
    group.ready(listening).await
}

async fn drain(mut groups: Vec<Group>) {
    while let Some(group) = groups.pop() {
        group.drain().await;
    }
}

fn config(service: &str, registry: &RegistryConfig, telemetry: TelemetryConfig) -> Config {
    let mut config = Config::new(service);
    config.telemetry = telemetry;
    config.registry.clone_from(registry);
    config
}
