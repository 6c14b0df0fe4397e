//! One service instance in the mesh: who it is, whom it calls, how it is served.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::service::Routes;

use crate::{
    channel::{Channel, Channels},
    config::Config,
    consul::Consul,
    discovery::{Instances, Resolve, Services, consul::ConsulResolver},
    error::Error,
    server::{self, Serve},
    telemetry::Telemetry,
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
    resolver: Arc<dyn Resolve>,
    telemetry: Telemetry,
    /// Descriptor sets of what this instance serves.
    served: Vec<&'static [u8]>,
    channels: Channels,
}

/// Makes a [`Mesh`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    served: Vec<&'static [u8]>,
    called: Vec<&'static [u8]>,
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
        Builder { config, served: Vec::new(), called: Vec::new(), telemetry: None }
    }

    /// Returns the way to a service. All channels of one name share their endpoints.
    ///
    /// It never fails and connects to nothing: a service that nobody registered answers UNAVAILABLE when called.
    #[must_use]
    pub fn channel(&self, service: &str) -> Channel {
        self.parts.channels.get(service)
    }

    /// Serves gRPC services with health and reflection, registered with Consul, until SIGTERM or Ctrl-C
    /// (or what [`Serve::until`] says), and then drains: maintenance, wait, GOAWAY, deregistration.
    pub fn serve(&self, routes: Routes) -> Serve {
        let Parts { config, consul, telemetry, served, .. } = &*self.parts;
        let parts = server::Parts {
            service: config.service.clone(),
            config: config.server.clone(),
            consul: consul.clone(),
            telemetry: telemetry.clone(),
            served: served.clone(),
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

    /// Shares the instruments of the process.
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
        let Self { config, served, called, telemetry } = self;
        config.validate()?;
        let telemetry = telemetry.map_or_else(Telemetry::new, Ok)?;
        let consul = Consul::new(&config.registry)?;
        let resolver: Arc<dyn Resolve> = Arc::new(ConsulResolver::new(consul.clone(), config.registry.wait));
        let known: Vec<_> = served.iter().chain(&called).copied().collect();
        let channels = Channels::new(&config, &known, Arc::clone(&resolver), telemetry.clone())?;
        let parts = Parts { config, consul, resolver, telemetry, served, channels };
        Ok(Mesh { parts: Arc::new(parts) })
    }
}
