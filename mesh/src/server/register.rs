//! The instance in Consul's catalog: what is registered of it, and the heartbeat that keeps it there.

pub(crate) mod claim;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    backoff::Backoff,
    consul::{
        Consul,
        agent::{Beat, Check, Registration},
    },
    discovery::place::host_with_port,
    error::Error,
    server::register::claim::{Claim, Finding, OWNER},
};

/// The agent gives up an instance that was silent for so long.
const TTL: Duration = Duration::from_secs(15);

/// Three beats in a TTL: one may be lost and another late.
const BEAT: Duration = Duration::from_secs(5);

/// The agent asks the instance itself as well, and believes the second failure.
const PROBE: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const PROBE_FAILURES: u32 = 2;

/// Consul takes no less.
const REAP_AFTER: Duration = Duration::from_secs(60);

/// How others reach an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// Name or IP address (IPv6 without brackets); nothing means the address of the agent's node.
    host: Option<String>,
    port: u16,
}

impl Advertised {
    /// Takes what `server.advertise` says, and the listener's address for what it leaves out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for what is neither a host nor `host:port`.
    pub(crate) fn new(advertise: Option<&str>, listening: SocketAddr) -> Result<Self, Error> {
        let Some(text) = advertise else {
            let specified = !listening.ip().is_unspecified();
            return Ok(Self { host: specified.then(|| listening.ip().to_string()), port: listening.port() });
        };
        let bad = |why: &str| {
            let expected = "write a host name or an IP address that others reach, with or without :port";
            Error::config("server.advertise", &format!("{text:?} {why}: {expected}"))
        };
        let (host, port) = split(text, listening.port()).ok_or_else(|| bad("is neither host nor host:port"))?;
        if host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()) {
            return Err(bad("is no address that anybody can connect to"));
        }
        Ok(Self { host: Some(host), port })
    }
}

/// Splits `host`, `host:port`, `::1` or `[::1]:port`.
fn split(text: &str, default_port: u16) -> Option<(String, u16)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_string(), default_port));
    }
    let (host, port) = match text.rsplit_once(':') {
        _ if text.ends_with(']') => (text, default_port),
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, default_port),
    };
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse().ok().map(|ip: IpAddr| (ip.to_string(), port));
    }
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let valid = !host.is_empty() && host.len() <= 253 && host.chars().all(named);
    valid.then(|| (host.into(), port))
}

/// What does not depend on where the instance is.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    service: String,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
}

impl Description {
    pub(crate) fn new(service: &str, tags: &[String], served: &[&[u8]]) -> Self {
        let mut tags = tags.to_vec();
        tags.extend(schema_tag(served));
        let meta = BTreeMap::from([("selvedge".into(), env!("CARGO_PKG_VERSION").into())]);
        Self { service: service.into(), tags, meta }
    }

    /// Adds what else callers are to know of the instance.
    pub(crate) fn with_meta(mut self, meta: BTreeMap<String, String>) -> Self {
        self.meta.extend(meta);
        self
    }

    /// `reached` is the host by which the agent reaches the instance.
    fn registration(&self, advertised: &Advertised, reached: &str, claim: &Claim) -> Registration {
        let Advertised { host, port } = advertised;
        let id = claim.id.to_string();
        let mut meta = self.meta.clone();
        meta.insert(OWNER.into(), claim.owner.to_string());
        let target = host_with_port(reached, *port);
        let lease = Check {
            check_id: claim.lease(),
            name: "lease".into(),
            ttl: Some(TTL),
            status: "passing",
            deregister_critical_service_after: Some(REAP_AFTER),
            ..Check::default()
        };
        let probe = Check {
            check_id: format!("{id}:grpc"),
            name: "grpc health".into(),
            grpc: Some(target),
            interval: Some(PROBE),
            timeout: Some(PROBE_TIMEOUT),
            status: "passing",
            // Nor reaped by: an instance that cannot work for a while, and says so, is alive.
            failures_before_critical: Some(PROBE_FAILURES),
            ..Check::default()
        };
        Registration {
            id,
            name: self.service.clone(),
            tags: self.tags.clone(),
            address: host.clone().unwrap_or_default(),
            port: *port,
            meta,
            checks: vec![lease, probe],
        }
    }
}

/// Returns the tag by which a gateway knows whether it has seen this schema before.
fn schema_tag(served: &[&[u8]]) -> Option<String> {
    if served.is_empty() {
        return None;
    }
    let digest = served.iter().fold(Sha256::new(), |digest, set| digest.chain_update(set)).finalize();
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("schema-{hex}"))
}

/// What Consul knows of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It was asked to register this, and may have done so.
    Asked(Claim),
    /// It registered this.
    Registered(Claim),
}

/// Keeps the instance registered.
#[derive(Debug)]
pub(crate) struct Lease {
    consul: Consul,
    description: Description,
    advertised: Advertised,
    /// Tells this instance from others with its id.
    owner: Arc<str>,
    /// The id that its place gives it is another's: it has one of its own.
    apart: bool,
    standing: watch::Sender<Standing>,
    /// Ends the lease between two requests, never in one: what the agent was told must be known to the drain.
    stop: CancellationToken,
    beat: Duration,
    /// The last request failed, and that was told.
    failing: bool,
    /// It was registered once: what the agent knows since then, maintenance too, is to stay.
    healing: bool,
}

impl Lease {
    pub(crate) fn new(
        consul: Consul,
        description: Description,
        advertised: Advertised,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Standing>) {
        let (standing, seen) = watch::channel(Standing::Unknown);
        let owner = format!("{:016x}", rand::rng().random::<u64>()).into();
        let lease = Self {
            consul,
            description,
            advertised,
            owner,
            apart: false,
            standing,
            stop,
            beat: BEAT,
            failing: false,
            healing: false,
        };
        (lease, seen)
    }

    #[cfg(test)]
    pub(crate) fn with_beat(self, beat: Duration) -> Self {
        Self { beat, ..self }
    }

    /// Registers, however long it takes, and beats; registers again when the agent lost it.
    pub(crate) async fn run(mut self) {
        while let Some(claim) = self.registered().await {
            while self.waited(self.beat).await && self.beat(&claim).await == Beat::Ok {}
        }
    }

    /// Returns what was registered, or nothing if it was stopped before.
    async fn registered(&mut self) -> Option<Claim> {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        while !self.stop.is_cancelled() {
            match self.register().await {
                Ok(claim) => return Some(claim),
                Err(error) => self.failed(&error, "not registered: serving all the same, and trying again"),
            }
            let delay = backoff.next(rand::rng().random());
            self.waited(delay).await;
        }
        None
    }

    async fn register(&mut self) -> Result<Claim, Error> {
        let reached = match &self.advertised.host {
            Some(host) => host.clone(),
            None => self.consul.agent_address().await?,
        };
        let claim = self.claim(&reached).await?;
        let registration = self.description.registration(&self.advertised, &reached, &claim);
        self.standing.send_replace(Standing::Asked(claim.clone()));
        self.consul.register(&registration, !self.healing).await?;
        self.standing.send_replace(Standing::Registered(claim.clone()));
        self.failing = false;
        self.healing = true;
        info!(id = %claim.id, registry = %self.consul.describe(), "registered");
        Ok(claim)
    }

    /// Chooses the id: that of its place, unless another live instance has it.
    async fn claim(&mut self, reached: &str) -> Result<Claim, Error> {
        let Advertised { host, port } = &self.advertised;
        let service = &self.description.service;
        let own = Claim::new(format!("{service}-{reached}-{port}"), &self.owner);
        if self.apart {
            return Ok(own.apart());
        }
        let found = self.consul.registered(&own.id).await?;
        let Some(found) = found else { return Ok(own) };
        let here = found.service == *service && found.address == *host.as_deref().unwrap_or("") && found.port == *port;
        let (id, address) = (&own.id, host_with_port(&found.address, found.port));
        match own.compare(found.owner(OWNER), here, self.healing) {
            Finding::Own => Ok(own),
            Finding::Earlier => {
                info!(%id, "taking over from an earlier process at the same address");
                Ok(own)
            }
            Finding::Another => {
                self.apart = true;
                let apart = own.apart();
                let (service, own_id) = (&found.service, &apart.id);
                warn!(%id, %address, service, %own_id, "another live instance has this id: registering under one of its own; give each its own server.advertise");
                Ok(apart)
            }
        }
    }

    /// Warns of the first failure in a row, unless nobody was there: that is told for all requests together.
    fn failed(&mut self, error: &Error, what: &str) {
        let service = &self.description.service;
        if self.consul.is_gone() || std::mem::replace(&mut self.failing, true) {
            return debug!(%error, service, "{what}");
        }
        warn!(%error, service, "{what}");
    }

    /// An error is no proof of loss: the agent may be slow, and the next beat is near.
    async fn beat(&mut self, claim: &Claim) -> Beat {
        match self.consul.pass(&claim.lease()).await {
            Ok(Beat::Ok) => {
                self.failing = false;
                Beat::Ok
            }
            Ok(Beat::Lost) => {
                let id = &claim.id;
                warn!(%id, registry = %self.consul.describe(), "the agent lost the registration: registering again");
                Beat::Lost
            }
            Err(error) => {
                self.failed(&error, "a heartbeat failed: without one the agent soon holds the instance for dead");
                Beat::Ok
            }
        }
    }

    /// Waits; `false` if the lease is to stop.
    async fn waited(&self, delay: Duration) -> bool {
        self.stop.run_until_cancelled(sleep(delay)).await.is_some()
    }
}

#[cfg(test)]
mod tests;
