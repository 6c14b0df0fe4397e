//! Where Consul is, and who we are to it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{
    config::{duration, secret::Secret},
    error::Error,
};

/// Where Consul (or the embedded registry) is, and who we are to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// The agent's address as Consul's own tools take it: `host:port`, `http://host:port` or `https://host:port`; or
    /// several with commas between, of which the next is asked when one gives no answer. `CONSUL_HTTP_ADDR`; default
    /// `http://127.0.0.1:8500`.
    pub address: String,
    /// An ACL token. `CONSUL_HTTP_TOKEN`.
    pub token: Option<Secret>,
    /// A file that holds the ACL token, read again when it changes; it goes before `token`.
    /// `CONSUL_HTTP_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// How an ACL token is had by login, in place of `token` and `token_file`.
    pub login: LoginConfig,
    /// A PEM file of certificate authorities that sign the agent's certificate, read again when it changes.
    /// `CONSUL_CACERT`.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with a client certificate for the agent, read again when it changes. `CONSUL_CLIENT_CERT`.
    pub client_cert: Option<PathBuf>,
    /// The PEM file with the key of `client_cert`, read again when it changes. `CONSUL_CLIENT_KEY`.
    pub client_key: Option<PathBuf>,
    /// The datacenter whose services are called; default: the agent's own.
    pub datacenter: Option<String>,
    /// The zone that this instance is in. It is registered with it (metadata `zone`), and what calls others prefers
    /// those of the same zone. Default none.
    pub zone: Option<String>,
    /// What this instance is known by where calls go by hash (metadata `hash-key`), such as its ordinal: so it keeps its
    /// keys at another address. Default: its id, which has the address in it.
    pub hash_key: Option<String>,
    /// How long a blocking query asks the agent to wait: 1 s to 10 min, default 55 s.
    #[serde(with = "duration")]
    pub wait: Duration,
}

/// How an ACL token is had from one of Consul's auth methods (Consul API `/v1/acl/login`). It is renewed before it
/// expires, and given up at the end of a drain.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LoginConfig {
    /// The name of the auth method. Default: none, nobody logs in.
    pub method: String,
    /// A file with the token that the method knows us by (a JWT, a service account's token), read at each login.
    pub bearer_token_file: Option<PathBuf>,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:8500".into(),
            token: None,
            token_file: None,
            login: LoginConfig::default(),
            ca_cert: None,
            client_cert: None,
            client_key: None,
            datacenter: None,
            zone: None,
            hash_key: None,
            wait: Duration::from_secs(55),
        }
    }
}

impl RegistryConfig {
    /// Returns what an instance is registered with, for those who call it.
    pub(crate) fn meta(&self) -> BTreeMap<String, String> {
        let Self { zone, hash_key, .. } = self;
        let said = [("zone", zone), ("hash-key", hash_key)];
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }

    /// Returns the base URL of the agent that is asked first, without a path.
    ///
    /// # Errors
    ///
    /// As [`RegistryConfig::urls`].
    pub fn url(&self) -> Result<Url, Error> {
        Ok(self.urls()?.swap_remove(0))
    }

    /// Returns the base URLs of the agents, at least one, without a path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an address that is no URL of an HTTP server.
    pub fn urls(&self) -> Result<Vec<Url>, Error> {
        self.address.split(',').map(|address| url(address.trim())).collect()
    }

    /// Checks what types cannot say.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.urls()?;
        if self.wait < Duration::from_secs(1) || self.wait > Duration::from_secs(600) {
            return Err(Error::config("registry.wait", "must be 1s to 600s"));
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err(Error::config(
                "registry.client_cert",
                "goes together with registry.client_key: set both or none",
            ));
        }
        let LoginConfig { method, bearer_token_file } = &self.login;
        if method.is_empty() != bearer_token_file.is_none() {
            return Err(Error::config(
                "registry.login",
                "needs both registry.login.method and registry.login.bearer_token_file: set both or none",
            ));
        }
        if !method.is_empty() && (self.token.is_some() || self.token_file.is_some()) {
            return Err(Error::config(
                "registry.login",
                "stands in place of registry.token and registry.token_file: set one of them",
            ));
        }
        Ok(())
    }
}

fn url(address: &str) -> Result<Url, Error> {
    let bad = |why: &str| {
        // What stands before an @ may be a password.
        let address = address.rsplit('@').next().unwrap_or_default();
        let expected = "expected http://host:port or https://host:port, or several with commas between";
        Error::config("registry.address", &format!("{address:?} {why}: {expected}"))
    };
    if address.contains('@') {
        return Err(bad("has a user before it (a token goes into registry.token)"));
    }
    let text = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&text).map_err(|error| bad(&format!("is no URL ({error})")))?;
    match url.scheme() {
        "http" | "https" => {}
        other => return Err(bad(&format!("has the scheme {other}, which is not supported"))),
    }
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || url.host().is_none() {
        return Err(bad("has more than a host and a port"));
    }
    Ok(url)
}
