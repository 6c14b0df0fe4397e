//! Sends requests to the agent: its URL, TLS, the token, and what is said when it fails.

use std::{
    error::Error as StdError,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Certificate, Client, Identity, Response, Url, redirect::Policy};

use crate::{
    config::{RegistryConfig, Secret},
    consul::{
        polls::Polls,
        request::{Answer, Cause, Failure, Request},
        watch::Source,
    },
    error::{Error, ErrorKind},
};

/// Consul closes idle connections after 120 s.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Connections that are kept for the next question: with those in use no more than 16.
const IDLE: usize = 2;

/// More than this of an error's text is left out.
const LONGEST_TEXT: usize = 300;

/// The agent's HTTP server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    base: Url,
    client: Client,
    token: Token,
    polls: Polls,
}

/// Where the ACL token comes from. A file goes before a value, as in Consul's own tools.
#[derive(Clone, Debug)]
enum Token {
    None,
    Value(Secret),
    File(Arc<TokenFile>),
}

/// A file that somebody may replace; the last token that could be read stays in use.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    last: ArcSwap<Secret>,
}

impl Http {
    pub(crate) fn new(config: &RegistryConfig, polls: Polls) -> Result<Self, Error> {
        Ok(Self { base: config.url()?, client: client(config)?, token: Token::new(config)?, polls })
    }

    /// `consul at http://127.0.0.1:8500`.
    pub(crate) fn describe(&self) -> String {
        format!("consul at {}", self.base.as_str().trim_end_matches('/'))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let token = self.token.get().await;
        let mut builder = self.client.request(request.method.clone(), self.url(request)).timeout(request.timeout);
        if let Some(token) = &token {
            builder = builder.header("X-Consul-Token", token.expose());
        }
        if let Some(body) = &request.body {
            builder = builder.header("Content-Type", "application/json").body(body.clone());
        }
        let response = builder.send().await.map_err(|error| self.lost(request, &error))?;
        self.polls.note(response.version());
        if response.status() != StatusCode::OK {
            return Err(self.refused(request, response, token.is_some()).await);
        }
        let (index, filtered) = read_headers(response.headers());
        let body = response.bytes().await.map_err(|error| self.lost(request, &error))?;
        Ok(Answer { index, filtered, body })
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("v1").extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    fn lost(&self, request: &Request, error: &reqwest::Error) -> Failure {
        let name = self.describe();
        let told = if error.is_timeout() && !error.is_connect() {
            let seconds = request.timeout.as_secs();
            format!("{name} did not answer {} within {seconds} s", title(request))
        } else if error.is_connect() || error.is_builder() {
            format!("{name} cannot be reached ({}): {}", innermost(error), self.advice())
        } else {
            format!("{name} ended the connection before its answer to {} ({})", title(request), innermost(error))
        };
        let cut = !error.is_timeout() && !error.is_connect() && !error.is_builder();
        let cause = if cut { Cause::Cut } else { Cause::Unreachable };
        Failure { cause, error: Error::new(ErrorKind::Registry, told) }
    }

    /// What to do when there is no connection.
    fn advice(&self) -> &'static str {
        match self.base.scheme() {
            "https" => "start it, or set registry.address (CONSUL_HTTP_ADDR) and registry.ca_cert (CONSUL_CACERT)",
            _ => "start it, or set registry.address (CONSUL_HTTP_ADDR)",
        }
    }

    async fn refused(&self, request: &Request, response: Response, with_token: bool) -> Failure {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let text = one_line(&text);
        let name = self.describe();
        let told = match (status, with_token) {
            (StatusCode::FORBIDDEN, true) => format!("{name} refused the token for {}: {text}", title(request)),
            (StatusCode::FORBIDDEN, false) => format!(
                "{name} refused {} without a token: {text}; set registry.token (CONSUL_HTTP_TOKEN)",
                title(request)
            ),
            _ => format!("{name} answered {} to {}: {text}", status.as_u16(), title(request)),
        };
        Failure { cause: Cause::Status(status), error: Error::new(ErrorKind::Registry, told) }
    }
}

impl Source for Http {
    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        self.send(&request).await
    }

    fn describe(&self) -> String {
        self.describe()
    }
}

impl Token {
    fn new(config: &RegistryConfig) -> Result<Self, Error> {
        if let Some(path) = &config.token_file {
            let text = fs::read_to_string(path).map_err(|error| unreadable("registry.token_file", path, &error))?;
            let last = ArcSwap::from_pointee(Secret::new(text.trim()));
            return Ok(Self::File(Arc::new(TokenFile { path: path.clone(), last })));
        }
        Ok(config.token.clone().map_or(Self::None, Self::Value))
    }

    async fn get(&self) -> Option<Secret> {
        let token = match self {
            Self::None => return None,
            Self::Value(token) => token.clone(),
            Self::File(file) => file.read().await,
        };
        Some(token).filter(|token| !token.expose().is_empty())
    }
}

impl TokenFile {
    /// Reads it each time: a request to Consul is rare, and a stale token would be refused.
    async fn read(&self) -> Secret {
        match tokio::fs::read_to_string(&self.path).await {
            Ok(text) if !text.trim().is_empty() => self.last.store(Arc::new(Secret::new(text.trim()))),
            Ok(_) => {}
            Err(error) => tracing::debug!(path = %self.path.display(), %error, "token file cannot be read"),
        }
        Secret::clone(&self.last.load())
    }
}

/// Makes the client: HTTP/1.1, or HTTP/2 if TLS agrees on it; of certificate authorities only those that it is told.
fn client(config: &RegistryConfig) -> Result<Client, Error> {
    let mut builder = Client::builder()
        // One connection for all must not be dead unseen.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        // The agent is a neighbour; and a token is not sent to where an answer points.
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(IDLE);
    if let Some(path) = &config.ca_cert {
        builder = builder.tls_certs_only(authorities(path)?);
    } else if config.url()?.scheme() == "http" {
        // The system's authorities are neither needed nor, in a bare container, there.
        builder = builder.tls_certs_only([]).http1_only();
    }
    if let (Some(cert), Some(key)) = (&config.client_cert, &config.client_key) {
        builder = builder.identity(identity(cert, key)?);
    }
    builder.build().map_err(|error| Error::config("registry", &format!("no TLS client: {}", innermost(&error))))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Error> {
    let bad = |why: &str| Error::config("registry.ca_cert", &format!("{} {why}", path.display()));
    let pem = fs::read(path).map_err(|error| unreadable("registry.ca_cert", path, &error))?;
    let certs =
        Certificate::from_pem_bundle(&pem).map_err(|error| bad(&format!("is no PEM: {}", innermost(&error))))?;
    if certs.is_empty() {
        return Err(bad("holds no certificate: expected PEM with BEGIN CERTIFICATE"));
    }
    Ok(certs)
}

fn identity(cert: &Path, key: &Path) -> Result<Identity, Error> {
    let mut pem = fs::read(cert).map_err(|error| unreadable("registry.client_cert", cert, &error))?;
    pem.push(b'\n');
    pem.extend(fs::read(key).map_err(|error| unreadable("registry.client_key", key, &error))?);
    Identity::from_pem(&pem).map_err(|error| {
        let files = format!("{} and {}", cert.display(), key.display());
        Error::config(
            "registry.client_cert",
            &format!("{files} hold no PEM certificate and key: {}", innermost(&error)),
        )
    })
}

fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::config(key, &format!("cannot read {}: {error}", path.display()))
}

/// Reads `X-Consul-Index`, and whether ACLs left something out.
fn read_headers(headers: &HeaderMap) -> (Option<u64>, bool) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let index = text("X-Consul-Index").and_then(|value| value.parse().ok());
    (index, text("X-Consul-Results-Filtered-By-ACLs") == Some("true"))
}

/// `PUT /v1/agent/service/register`, as errors name it.
fn title(request: &Request) -> String {
    let method: &Method = &request.method;
    format!("{method} /v1/{}", request.path.join("/"))
}

/// The error that caused all others; those above it only say that there was one.
fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_TEXT) {
        line.truncate(end);
        line.push('…');
    }
    if line.is_empty() { "(no text)".into() } else { line }
}
