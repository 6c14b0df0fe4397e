//! The settings of one mesh, with their defaults and limits.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use figment::{
    Figment,
    providers::{Env, Serialized},
};
use serde::{Deserialize, Serialize};

use crate::error::Error;

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
    /// How the service is served.
    pub server: ServerConfig,
    /// How other services are called.
    pub client: ClientConfig,
}

/// Where Consul (or the embedded registry) is, and who we are to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// The agent's address as Consul's own tools take it: `host:port`, `http://host:port` or `https://host:port`.
    /// `CONSUL_HTTP_ADDR`; default `http://127.0.0.1:8500`.
    pub address: String,
    /// An ACL token. `CONSUL_HTTP_TOKEN`.
    pub token: Option<Secret>,
    /// A file that holds the ACL token, read again when it changes. `CONSUL_HTTP_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// A PEM file of certificate authorities that sign the agent's certificate. `CONSUL_CACERT`.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with a client certificate for the agent. `CONSUL_CLIENT_CERT`.
    pub client_cert: Option<PathBuf>,
    /// The PEM file with the key of `client_cert`. `CONSUL_CLIENT_KEY`.
    pub client_key: Option<PathBuf>,
    /// How long a blocking query asks the agent to wait: 1 s to 10 min, default 55 s.
    #[serde(with = "duration")]
    pub wait: Duration,
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
    /// How long a client may take to begin to speak HTTP/2. Default 10 s.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
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
    /// How long one connection attempt may take. Default 5 s.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Largest request and response message, in bytes. Default 4 MiB.
    pub max_message_bytes: usize,
    /// Largest list of response headers, in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// Connections to one endpoint, opened when the peer's limit of streams is reached: 1 to 64. Default 8.
    pub max_connections: usize,
    /// Silence on a connection to another Selvedge after which it is asked whether it lives. Default 10 s. Peers
    /// of other make are asked every 5 minutes at most, as their servers forbid more (gRFC A8).
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// How long the answer may take. Default 5 s.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:8500".into(),
            token: None,
            token_file: None,
            ca_cert: None,
            client_cert: None,
            client_key: None,
            wait: Duration::from_secs(55),
        }
    }
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
            handshake_timeout: Duration::from_secs(10),
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
            connect_timeout: Duration::from_secs(5),
            max_message_bytes: MIB_4,
            max_header_bytes: KIB_16,
            max_connections: 8,
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

    /// Reads `SELVEDGE_*` and Consul's own variables (`CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`,
    /// `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_SSL`, `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the name of the setting.
    pub fn from_env(service: &str) -> Result<Self, Error> {
        let mut config: Self = Figment::from(Serialized::defaults(Self::new(service)))
            .merge(Env::prefixed("SELVEDGE_").split("__").filter(is_setting))
            .extract()
            .map_err(|error| Error::config(&setting_of(&error), &error.to_string()))?;
        config.registry.merge_consul_env();
        config.validate()?;
        Ok(config)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the name of the setting, what was wrong with it and
    /// what to do.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { service, registry, server, client } = self;
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if service.is_empty() || service.len() > 63 || !service.chars().all(named) {
            return Err(Error::config("service", &format!("{service:?} is not 1 to 63 of a-z, 0-9 and -")));
        }
        registry.url()?;
        if registry.wait < Duration::from_secs(1) || registry.wait > Duration::from_secs(600) {
            return Err(Error::config("registry.wait", "must be 1s to 600s"));
        }
        if registry.client_cert.is_some() != registry.client_key.is_some() {
            return Err(Error::config(
                "registry.client_cert",
                "a certificate and its key go together: set both or none",
            ));
        }
        if !(1..=64).contains(&client.max_connections) {
            return Err(Error::config("client.max_connections", "must be 1 to 64"));
        }
        for (key, limit) in [
            ("client.max_message_bytes", client.max_message_bytes),
            ("server.max_message_bytes", server.max_message_bytes),
        ] {
            if limit == 0 || u32::try_from(limit).is_err() {
                return Err(Error::config(key, "must be 1 to 4294967295"));
            }
        }
        Ok(())
    }
}

impl RegistryConfig {
    /// Takes over what Consul's own variables say.
    fn merge_consul_env(&mut self) {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| text(name).map(PathBuf::from);
        self.address = text("CONSUL_HTTP_ADDR").unwrap_or_else(|| self.address.clone());
        self.token = text("CONSUL_HTTP_TOKEN").map(|token| Secret::new(&token)).or_else(|| self.token.take());
        self.token_file = path("CONSUL_HTTP_TOKEN_FILE").or_else(|| self.token_file.take());
        self.ca_cert = path("CONSUL_CACERT").or_else(|| self.ca_cert.take());
        self.client_cert = path("CONSUL_CLIENT_CERT").or_else(|| self.client_cert.take());
        self.client_key = path("CONSUL_CLIENT_KEY").or_else(|| self.client_key.take());
        if text("CONSUL_HTTP_SSL").is_some_and(|value| value == "true" || value == "1") {
            self.address = with_https(&self.address);
        }
    }

    /// Returns the agent's base URL, without a path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an address that is no URL of an HTTP server.
    pub fn url(&self) -> Result<reqwest::Url, Error> {
        let bad = |why: &str| {
            let address = &self.address;
            Error::config(
                "registry.address",
                &format!("{address:?} {why}: expected http://host:port or https://host:port"),
            )
        };
        let text = if self.address.contains("://") { self.address.clone() } else { format!("http://{}", self.address) };
        let url = reqwest::Url::parse(&text).map_err(|error| bad(&format!("is no URL ({error})")))?;
        match url.scheme() {
            "http" | "https" => {}
            other => return Err(bad(&format!("has the scheme {other}, which is not supported"))),
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
        if !bare || url.host().is_none() {
            return Err(bad("has more than a host and a port"));
        }
        Ok(url)
    }
}

/// Text that is never shown: its `Debug` and `Serialize` print `<secret>`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into keeping.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

/// Variables such as `SELVEDGE_LOG` belong to programs: only those with a path are the mesh's.
fn is_setting(name: &figment::value::UncasedStr) -> bool {
    ["registry", "server", "client"]
        .iter()
        .any(|part| name.as_str().to_ascii_lowercase().starts_with(&format!("{part}.")))
}

fn setting_of(error: &figment::Error) -> String {
    if error.path.is_empty() { "environment".into() } else { error.path.join(".") }
}

fn with_https(address: &str) -> String {
    match address.split_once("://") {
        Some(("http", rest)) => format!("https://{rest}"),
        Some(_) => address.into(),
        None => format!("https://{address}"),
    }
}

/// Durations as people write them: `1500ms`, `2s`, `5m`, `1h`, or a plain number of seconds.
mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}ms", value.as_millis()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Seconds(u64),
            Text(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
            Raw::Text(text) => parse(&text).ok_or_else(|| {
                D::Error::custom(format!("{text:?} is no duration: write a number with ms, s, m or h, such as 1500ms"))
            }),
        }
    }

    fn parse(text: &str) -> Option<Duration> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let number: u64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => return Some(Duration::from_millis(number)),
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        number.checked_mul(seconds).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_consuls_tools_take_it() {
        let url = |address: &str| RegistryConfig { address: address.into(), ..RegistryConfig::default() }.url();
        assert_eq!(url("127.0.0.1:8500").unwrap().as_str(), "http://127.0.0.1:8500/");
        assert_eq!(url("https://consul.example:8501").unwrap().as_str(), "https://consul.example:8501/");
        for bad in ["ftp://127.0.0.1", "http://127.0.0.1:8500/v1", "http://", "http://a b"] {
            let error = url(bad).unwrap_err().to_string();
            assert!(error.contains("registry.address"), "{error}");
        }
    }

    #[test]
    fn a_bad_setting_is_named() {
        let mut config = Config::new("users");
        config.client.max_connections = 0;
        assert!(config.validate().unwrap_err().to_string().contains("client.max_connections"));
        assert!(Config::new("Users!").validate().unwrap_err().to_string().contains("service"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let mut config = Config::new("users");
        config.registry.token = Some(Secret::new("opensesame"));
        assert!(!format!("{config:?}").contains("opensesame"));
    }
}
