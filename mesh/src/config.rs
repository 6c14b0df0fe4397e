//! The settings of one mesh, with their defaults and limits.

mod admin;
mod discovery;
pub(crate) mod duration;
mod env;
mod policy;
mod registry;
mod secret;
mod telemetry;

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    admin::AdminConfig,
    discovery::DiscoveryConfig,
    policy::PolicyConfig,
    registry::{LoginConfig, RegistryConfig},
    secret::Secret,
    telemetry::{OtlpConfig, TelemetryConfig, TracesConfig},
};
use crate::{config::env::Variables, error::Error};

/// Everything that one [`crate::Mesh`] is told at its start.
///
/// Dotted names of settings are paths of this struct: `server.drain.grace` is set by the environment variable
/// `SELVEDGE_SERVER__DRAIN__GRACE`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The name under which the service is registered and called: 1 to 63 of `a-z`, `0-9` and `-`.
    pub service: String,
    /// Where Consul is.
    pub registry: RegistryConfig,
    /// How what was found is held on to.
    pub discovery: DiscoveryConfig,
    /// How the service is served.
    pub server: ServerConfig,
    /// How other services are called.
    pub client: ClientConfig,
    /// Where operators say how services are called.
    pub policy: PolicyConfig,
    /// Where the instance tells of itself.
    pub admin: AdminConfig,
    /// What is measured and traced, and where it is sent.
    pub telemetry: TelemetryConfig,
}

/// How a service is served.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// The host (or `host:port`) that others reach this instance by. Default: the address of `listen`, or the
    /// agent's own when that is unspecified.
    pub advertise: Option<String>,
    /// Tags of the registration. Default `grpc`, `gateway`.
    pub tags: Vec<String>,
    /// Largest request and response message, in bytes. Default 4 MiB.
    pub max_message_bytes: usize,
    /// Largest list of request headers, in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// Calls at once on one connection. Default 1,000.
    pub max_concurrent_streams: u32,
    /// Silence after which a connection is asked whether it lives. Default 60 s.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// How long the answer may take. Default 20 s.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
    /// How old a connection may get, give or take 10 %: then its client is asked for another (GOAWAY), and it ends with
    /// its last call. 0 s for any age. Default 0 s.
    #[serde(with = "duration")]
    pub max_connection_age: Duration,
    /// How long a client may take to begin to speak HTTP/2. Default 10 s.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// How long a caller may leave what it is sent before its call is ended with RESOURCE_EXHAUSTED. Default 60 s.
    #[serde(with = "duration")]
    pub send_stall: Duration,
    /// How an instance leaves.
    pub drain: DrainConfig,
}

/// How an instance leaves: maintenance, wait, GOAWAY, deregistration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DrainConfig {
    /// How long Consul gets to tell everybody that the instance leaves, while it still serves. Default 1 s.
    #[serde(with = "duration")]
    pub propagation: Duration,
    /// How long calls that run get to end after GOAWAY. Default 30 s.
    #[serde(with = "duration")]
    pub grace: Duration,
}

/// How other services are called.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Deadline of a unary call that brings none. Default 15 s.
    #[serde(with = "duration")]
    pub default_deadline: Duration,
    /// How long a call waits for a first instance of a service that has none. Default 2 s.
    #[serde(with = "duration")]
    pub endpoint_wait: Duration,
    /// How long a service may go uncalled until its watch and its connections end; the next call begins anew (gRPC's
    /// IDLE_TIMEOUT). Default 10 min.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// How long one connection attempt may take. Default 5 s.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Largest request and response message, in bytes. Default 4 MiB.
    pub max_message_bytes: usize,
    /// Largest list of response headers, in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// Connections to one endpoint, opened when the peer's limit of streams is reached, or so that each thread has one
    /// when there are many calls at once: 1 to 64. Default 8.
    pub max_connections: usize,
    /// How old a connection may get, give or take 10 %: then another takes its place, and it ends with its last call.
    /// 0 s for any age. Default 30 min.
    #[serde(with = "duration")]
    pub max_connection_age: Duration,
    /// Silence on a connection to another Selvedge after which it is asked whether it lives. Default 10 s. Peers
    /// of other make are asked every 5 minutes at most, as their servers forbid more (gRFC A8).
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// How long the answer may take. Default 5 s.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            tags: vec!["grpc".into(), "gateway".into()],
            max_message_bytes: MIB_4,
            max_header_bytes: KIB_16,
            max_concurrent_streams: 1_000,
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: Duration::ZERO,
            handshake_timeout: Duration::from_secs(10),
            send_stall: Duration::from_secs(60),
            drain: DrainConfig::default(),
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { propagation: Duration::from_secs(1), grace: Duration::from_secs(30) }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            default_deadline: Duration::from_secs(15),
            endpoint_wait: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(5),
            max_message_bytes: MIB_4,
            max_header_bytes: KIB_16,
            max_connections: 8,
            max_connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(5),
        }
    }
}

const MIB_4: usize = 4 * 1024 * 1024;
const KIB_16: u32 = 16 * 1024;

impl Config {
    /// Returns the defaults for a service.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self { service: service.into(), ..Self::default() }
    }

    /// Reads Consul's own variables (`CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`,
    /// `CONSUL_HTTP_SSL`, `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`) and OpenTelemetry's
    /// ([`TelemetryConfig`]), and before those `SELVEDGE_*`: lists with commas between, durations as `1500ms`, `2s`, `5m`, `1h`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the name of a setting that cannot be read. Whether the
    /// settings go together is checked when the mesh is built: options of a program may be laid over them first.
    pub fn from_env(service: &str) -> Result<Self, Error> {
        // One that is not Unicode cannot be a setting of ours.
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self::from_variables(service, &std::env::vars_os().filter_map(text).collect())
    }

    /// Reads settings from variables, as [`Config::from_env`] does from those of the process.
    fn from_variables(service: &str, variables: &Variables) -> Result<Self, Error> {
        env::merge(&Self::new(service), variables)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the name of the setting, what was wrong with it and
    /// what to do.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { service, registry, server, client, .. } = self;
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if service.is_empty() || service.len() > 63 || !service.chars().all(named) {
            return Err(Error::config("service", &format!("{service:?} is not 1 to 63 of a-z, 0-9 and -")));
        }
        registry.validate()?;
        if !(1..=64).contains(&client.max_connections) {
            return Err(Error::config("client.max_connections", "must be 1 to 64"));
        }
        if server.max_concurrent_streams == 0 {
            return Err(Error::config("server.max_concurrent_streams", "must be at least 1"));
        }
        self.policy.validate()?;
        self.telemetry.validate()?;
        validate_sizes(server, client)?;
        validate_durations(server, client)
    }
}

fn validate_sizes(server: &ServerConfig, client: &ClientConfig) -> Result<(), Error> {
    for (key, bytes) in [
        ("client.max_message_bytes", client.max_message_bytes),
        ("client.max_header_bytes", client.max_header_bytes as usize),
        ("server.max_message_bytes", server.max_message_bytes),
        ("server.max_header_bytes", server.max_header_bytes as usize),
    ] {
        if bytes == 0 || u32::try_from(bytes).is_err() {
            return Err(Error::config(key, "must be 1 to 4294967295"));
        }
    }
    Ok(())
}

/// Limits of time that nothing could keep if they were zero.
fn validate_durations(server: &ServerConfig, client: &ClientConfig) -> Result<(), Error> {
    for (key, duration) in [
        ("client.default_deadline", client.default_deadline),
        ("client.idle_timeout", client.idle_timeout),
        ("client.connect_timeout", client.connect_timeout),
        ("client.keepalive_interval", client.keepalive_interval),
        ("client.keepalive_timeout", client.keepalive_timeout),
        ("server.keepalive_interval", server.keepalive_interval),
        ("server.keepalive_timeout", server.keepalive_timeout),
        ("server.handshake_timeout", server.handshake_timeout),
        ("server.send_stall", server.send_stall),
    ] {
        if duration.is_zero() {
            return Err(Error::config(key, "must be more than 0s"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
