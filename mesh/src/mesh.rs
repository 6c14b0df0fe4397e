//! One service instance in the mesh: who it is, whom it calls, how it is served.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::watch;
use tonic::service::Routes;

use crate::{
    channel::{Channel, Channels},
    config::Config,
    consul::Consul,
    discovery::{Instances, Resolve, Services, ages::Ages, by_url::Sources, consul::ConsulResolver},
    error::Error,
    policy::{
        cluster::{ClusterPolicies, ClusterPolicy},
        feed::{self, Policies},
    },
    server::{self, Serve},
    snapshot::Snapshot,
    telemetry::{
        Telemetry,
        inspect::{Asked, Explained, Inspect},
    },
};

/// One service instance in the mesh. Cheap to clone; a process may have many.
#[derive(Clone, Debug)]
pub struct Mesh {
    parts: Arc<Parts>,
}

/// What one mesh is made of.
#[derive(Debug)]
struct Parts {
    config: Config,
    consul: Consul,
    snapshot: Option<Arc<Snapshot>>,
    resolver: Arc<dyn Resolve>,
    telemetry: Telemetry,
    /// Descriptor sets of what this instance serves.
    served: Vec<&'static [u8]>,
    channels: Arc<Channels>,
}

/// Makes a [`Mesh`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    served: Vec<&'static [u8]>,
    called: Vec<&'static [u8]>,
    policies: ClusterPolicies,
    telemetry: Option<Telemetry>,
}

impl Mesh {
    /// Reads the environment ([`Config::from_env`]) and makes a mesh; for `main` only.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`], and a setting that cannot be read.
    pub fn from_env(service: &str) -> Result<Self, Error> {
        Self::new(Config::from_env(service)?)
    }

    /// Makes a mesh without descriptors.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// Begins a mesh that knows descriptors or shares its telemetry.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder { config, served: Vec::new(), called: Vec::new(), policies: HashMap::new(), telemetry: None }
    }

    /// Returns the way to a service. All channels of one name share their endpoints.
    ///
    /// A name is looked up at Consul; `dns://host:port` and `dns://_service._proto.name` (SRV) are asked of DNS, of the
    /// server named before (`dns://10.0.0.2:53/host:port`) or else the system's; `fixed://host:port,host:port` is a
    /// list.
    ///
    /// It never fails and connects to nothing: a service that nobody registered answers UNAVAILABLE when called.
    #[must_use]
    pub fn channel(&self, service: &str) -> Channel {
        self.parts.channels.get(service)
    }

    /// Takes over an encoded `FileDescriptorSet` of a service that was learned while the program runs: it tells the
    /// channel of that service which methods are unary and which may be repeated, and their options. It goes in place
    /// of what was learned of the service before, and before [`Builder::upstream_descriptors`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are no descriptor set and for options that cannot
    /// be kept; then nothing changes.
    pub fn learn(&self, service: &str, descriptors: &[u8]) -> Result<(), Error> {
        self.parts.channels.learn(service, descriptors)
    }

    /// Serves gRPC services with health and reflection, registered with Consul, until SIGTERM or Ctrl-C
    /// (or what [`Serve::until`] says), and then drains: maintenance, wait, GOAWAY, deregistration.
    pub fn serve(&self, routes: Routes) -> Serve {
        let Parts { config, consul, snapshot, telemetry, served, .. } = &*self.parts;
        let parts = server::Parts {
            service: config.service.clone(),
            config: config.server.clone(),
            consul: consul.clone(),
            snapshot: snapshot.clone(),
            telemetry: telemetry.clone(),
            served: served.clone(),
            meta: config.registry.meta(),
            admin: config.admin.clone(),
        };
        Serve::new(parts, routes)
    }

    /// Follows the instances of a service.
    #[must_use]
    pub fn instances(&self, service: &str) -> watch::Receiver<Instances> {
        self.parts.resolver.instances(service)
    }

    /// Follows the names and tags of all services.
    #[must_use]
    pub fn services(&self) -> watch::Receiver<Services> {
        self.parts.resolver.services()
    }

    /// Asks once whether a registry answers (`GET /v1/status/leader`, which needs no token), for programs that are to
    /// say so at their start. It logs nothing; what is called and served does not wait for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Registry`](crate::ErrorKind::Registry): no agent can be reached, or it answers otherwise than Consul.
    pub async fn reach_registry(&self) -> Result<(), Error> {
        self.parts.consul.answers().await
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    /// Returns the instruments.
    #[must_use]
    pub fn telemetry(&self) -> &Telemetry {
        &self.parts.telemetry
    }
}

impl Builder {
    /// Adds an encoded `FileDescriptorSet` of services that this instance serves: reflection shows it, its digest
    /// becomes the tag `schema-<12 hex digits>`, and calls to them know what is idempotent.
    #[must_use]
    pub fn descriptors(mut self, set: &'static [u8]) -> Self {
        self.served.push(set);
        self
    }

    /// Adds an encoded `FileDescriptorSet` of services that this instance calls: tells which methods are unary,
    /// and which may be repeated.
    #[must_use]
    pub fn upstream_descriptors(mut self, set: &'static [u8]) -> Self {
        self.called.push(set);
        self
    }

    /// Says how the instances of a service that this instance calls are treated, instead of the default.
    #[must_use]
    pub fn cluster_policy(mut self, service: &str, policy: ClusterPolicy) -> Self {
        self.policies.insert(service.to_owned(), policy);
        self
    }

    /// Shares the instruments of the process. Spans are sent as the settings of this mesh say, and as its own.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Makes the mesh. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a bad setting, an unreadable TLS or token file, or bytes
    /// that are no descriptor set.
    pub fn build(self) -> Result<Mesh, Error> {
        let Self { config, served, called, policies, telemetry } = self;
        config.validate()?;
        let shared = telemetry.map_or_else(|| Telemetry::exporting(&config.service, &config.telemetry), Ok)?;
        let telemetry = shared.traced(&config.service, &config.telemetry)?;
        let consul = Consul::new(&config.registry)?;
        let snapshot = snapshot(&config)?;
        let Config { registry, discovery, .. } = &config;
        let resolver = ConsulResolver::new(consul.clone(), registry.wait, discovery.hold);
        let ages = Ages::measured(&telemetry, &config.service);
        let resolver: Arc<dyn Resolve> = Arc::new(resolver.with_ages(ages).with_snapshot(snapshot.clone()));
        let resolver: Arc<dyn Resolve> = Arc::new(Sources::new(resolver, discovery.hold));
        let known: Vec<_> = served.iter().chain(&called).copied().collect();
        let policies = Policies::new(policies, source(&config, &consul, &telemetry));
        let channels = Channels::new(&config, &known, policies, Arc::clone(&resolver), telemetry.clone())?;
        let parts = Arc::new(Parts { config, consul, snapshot, resolver, telemetry, served, channels });
        let inspected: Arc<dyn Inspect> = Arc::clone(&parts) as _;
        parts.telemetry.inspected().add(Arc::downgrade(&inspected));
        Ok(Mesh { parts })
    }
}

impl Inspect for Parts {
    fn mesh(&self) -> &str {
        &self.config.service
    }

    fn state(&self) -> Value {
        self.channels.all().iter().map(Channel::state).collect()
    }

    fn explain(&self, asked: &Asked) -> Result<Explained, String> {
        let channels = self.channels.all();
        let found = channels.iter().find(|channel| channel.service() == asked.service);
        let Some(channel) = found else {
            let called: Vec<_> = channels.iter().map(Channel::service).collect();
            let (asker, service) = (&self.config.service, &asked.service);
            return Err(format!("{asker} does not call {service:?}: it calls {}", list(&called)));
        };
        let explanation = channel.explain_to(&self.config.service, asked)?;
        Ok(Explained { called: explanation.is_called(), text: explanation.to_string(), data: json!(explanation) })
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing so far".into() } else { names.join(", ") }
}

/// Returns where operators say how services are called, if they may.
fn source(config: &Config, consul: &Consul, telemetry: &Telemetry) -> Option<feed::Source> {
    let Config { policy, registry, .. } = config;
    let (consul, prefix, wait) = (consul.clone(), policy.prefix.clone(), registry.wait);
    let source = feed::Source { consul, prefix, wait, metrics: telemetry.metrics().clone() };
    Some(source).filter(|source| !source.prefix.is_empty())
}

fn snapshot(config: &Config) -> Result<Option<Arc<Snapshot>>, Error> {
    let Some(folder) = &config.discovery.snapshot else { return Ok(None) };
    let snapshot = Snapshot::open(folder, &config.service, config.registry.datacenter.as_deref())?;
    Ok(Some(Arc::new(snapshot)))
}
