//! The HTTP client, made anew when a file of its TLS settings changes.

use std::{error::Error as StdError, fs, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use reqwest::{Certificate, Client, Identity, redirect::Policy};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};
use tracing::{info, warn};

use crate::{config::RegistryConfig, error::Error};

/// Consul closes idle connections after 120 s.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Connections that are kept for the next question: with those in use no more than 16.
const IDLE: usize = 2;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The client of the day. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    config: Arc<RegistryConfig>,
    present: Arc<ArcSwap<Client>>,
    looked: Arc<Mutex<Looked>>,
}

/// When the files were looked at, and what was in them: no key is kept.
#[derive(Debug)]
struct Looked {
    at: Instant,
    digest: Digest,
}

type Digest = Option<[u8; 32]>;

impl Clients {
    pub(crate) fn new(config: &RegistryConfig) -> Result<Self, Error> {
        // First: what changes meanwhile is a change.
        let looked = Looked { at: Instant::now(), digest: digest(config) };
        let present = Arc::new(ArcSwap::from_pointee(client(config)?));
        Ok(Self { config: Arc::new(config.clone()), present, looked: Arc::new(Mutex::new(looked)) })
    }

    /// Returns the client for one request. Requests that are under way keep theirs, and its connections.
    pub(crate) async fn get(&self) -> Client {
        if files(&self.config).next().is_some() {
            self.look().await;
        }
        Client::clone(&self.present.load())
    }

    /// Makes another client if the files changed. While they do not go together the one that works stays.
    async fn look(&self) {
        // Who comes while somebody looks goes on with what there is.
        let Ok(mut looked) = self.looked.try_lock() else { return };
        if looked.at.elapsed() < LOOK {
            return;
        }
        looked.at = Instant::now();
        let (config, before) = (Arc::clone(&self.config), looked.digest);
        let made = spawn_blocking(move || {
            let now = digest(&config);
            (now != before).then(|| (now, client(&config)))
        });
        // Nothing, but when the runtime ends.
        let Ok(Some((digest, made))) = made.await else { return };
        looked.digest = digest;
        match made {
            Ok(client) => {
                self.present.store(Arc::new(client));
                info!("the TLS files of the registry changed: used from now on");
            }
            Err(error) => warn!(%error, "the TLS files of the registry changed and cannot be used: going on without"),
        }
    }
}

fn files(config: &RegistryConfig) -> impl Iterator<Item = &Path> {
    let RegistryConfig { ca_cert, client_cert, client_key, .. } = config;
    [ca_cert, client_cert, client_key].into_iter().filter_map(Option::as_deref)
}

/// Tells contents from others; nothing while a file cannot be read.
fn digest(config: &RegistryConfig) -> Digest {
    let mut digest = Sha256::new();
    for path in files(config) {
        digest.update(Sha256::digest(fs::read(path).ok()?));
    }
    Some(digest.finalize().into())
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
    } else if config.urls()?.iter().all(|url| url.scheme() == "http") {
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

/// The error that caused all others; those above it only say that there was one.
pub(crate) fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::logs::Logs;

    /// An authority that nobody has the key of.
    const CA: &str = "-----BEGIN CERTIFICATE-----
MIIC6jCCApGgAwIBAgIQMKaSXdshJqaKU4WR0bDvujAKBggqhkjOPQQDAjCBuDEL
MAkGA1UEBhMCVVMxCzAJBgNVBAgTAkNBMRYwFAYDVQQHEw1TYW4gRnJhbmNpc2Nv
MRowGAYDVQQJExExMDEgU2Vjb25kIFN0cmVldDEOMAwGA1UEERMFOTQxMDUxFzAV
BgNVBAoTDkhhc2hpQ29ycCBJbmMuMT8wPQYDVQQDEzZDb25zdWwgQWdlbnQgQ0Eg
NjQ2Njc4MzM3NDQwMzEyODQ0ODExNTkyNjkxMzk4MTQwODQ1MzgwHhcNMjYxMTIx
MTAwNTMyWhcNMzYxMTE4MTAwNTMyWjCBuDELMAkGA1UEBhMCVVMxCzAJBgNVBAgT
AkNBMRYwFAYDVQQHEw1TYW4gRnJhbmNpc2NvMRowGAYDVQQJExExMDEgU2Vjb25k
IFN0cmVldDEOMAwGA1UEERMFOTQxMDUxFzAVBgNVBAoTDkhhc2hpQ29ycCBJbmMu
MT8wPQYDVQQDEzZDb25zdWwgQWdlbnQgQ0EgNjQ2Njc4MzM3NDQwMzEyODQ0ODEx
NTkyNjkxMzk4MTQwODQ1MzgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQnPby2
6Ezho4mEX5ZKhEr1xecDduF+rXSQa06MCvupcwNH3HuGQpJNgCXuQwok8TI7TDfE
MqeHnzwW1b1T1AYRo3sweTAOBgNVHQ8BAf8EBAMCAYYwDwYDVR0TAQH/BAUwAwEB
/zApBgNVHQ4EIgQgOlj7LRb4VYifyw9KC6akYYZzRnbbBdD0PZs9URYBvEIwKwYD
VR0jBCQwIoAgOlj7LRb4VYifyw9KC6akYYZzRnbbBdD0PZs9URYBvEIwCgYIKoZI
zj0EAwIDRwAwRAIgFhn3LGD62aO1Yth2oTGwM/gLd4V4FSEaU4Oc4Df8NX4CICrq
eCzrIyoTI20Hhhk5PcwM8DBScGN0sDRXYpr7ZOpe
-----END CERTIFICATE-----";

    #[tokio::test(start_paused = true)]
    async fn files_that_cannot_be_used_are_left_alone_until_they_can() {
        let (logs, folder) = (Logs::capture(), tempfile::tempdir().unwrap());
        let path = folder.path().join("ca.pem");
        fs::write(&path, CA).unwrap();
        let config = RegistryConfig { ca_cert: Some(path.clone()), ..RegistryConfig::default() };
        let clients = Clients::new(&config).unwrap();
        let told = || (logs.lines("WARN").len(), logs.lines("INFO").len());
        for (text, expected) in [(CA, (0, 0)), ("half a", (1, 0)), ("half a", (1, 0)), (CA, (1, 1))] {
            fs::write(&path, text).unwrap();
            tokio::time::advance(LOOK).await;
            clients.get().await;
            assert_eq!(told(), expected, "{text}");
        }
        fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK).await;
        clients.get().await;
        assert_eq!(told(), (2, 1), "what is gone is no reason to go on without");
    }
}
