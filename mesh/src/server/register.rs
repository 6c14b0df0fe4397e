//! The instance in Consul's catalog: what is registered of it, and the heartbeat that keeps it there.

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
    error::Error,
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
}

impl Description {
    pub(crate) fn new(service: &str, tags: &[String], served: &[&[u8]]) -> Self {
        let mut tags = tags.to_vec();
        tags.extend(schema_tag(served));
        Self { service: service.into(), tags }
    }

    /// `reached` is the host by which the agent reaches the instance.
    fn registration(&self, advertised: &Advertised, reached: &str) -> Registration {
        let Advertised { host, port } = advertised;
        let id = format!("{}-{reached}-{port}", self.service);
        let target = if reached.contains(':') { format!("[{reached}]:{port}") } else { format!("{reached}:{port}") };
        let lease = Check {
            check_id: lease_id(&id),
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
            deregister_critical_service_after: Some(REAP_AFTER),
            failures_before_critical: Some(PROBE_FAILURES),
            ..Check::default()
        };
        Registration {
            id,
            name: self.service.clone(),
            tags: self.tags.clone(),
            address: host.clone().unwrap_or_default(),
            port: *port,
            meta: BTreeMap::from([("selvedge".into(), env!("CARGO_PKG_VERSION").into())]),
            checks: vec![lease, probe],
        }
    }
}

fn lease_id(id: &str) -> String {
    format!("{id}:ttl")
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
    /// It was asked to register this id, and may have done so.
    Asked(Arc<str>),
    /// It registered this id.
    Registered(Arc<str>),
}

/// Keeps the instance registered.
#[derive(Debug)]
pub(crate) struct Lease {
    consul: Consul,
    description: Description,
    advertised: Advertised,
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
        (Self { consul, description, advertised, standing, stop, beat: BEAT, failing: false, healing: false }, seen)
    }

    #[cfg(test)]
    pub(crate) fn with_beat(self, beat: Duration) -> Self {
        Self { beat, ..self }
    }

    /// Registers, however long it takes, and beats; registers again when the agent lost it.
    pub(crate) async fn run(mut self) {
        while let Some(id) = self.registered().await {
            while self.waited(self.beat).await && self.beat(&id).await == Beat::Ok {}
        }
    }

    /// Returns the id, or nothing if it was stopped before.
    async fn registered(&mut self) -> Option<Arc<str>> {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        while !self.stop.is_cancelled() {
            match self.register().await {
                Ok(id) => return Some(id),
                Err(error) => self.failed(&error, "not registered: serving all the same, and trying again"),
            }
            let delay = backoff.next(rand::rng().random());
            self.waited(delay).await;
        }
        None
    }

    async fn register(&mut self) -> Result<Arc<str>, Error> {
        let reached = match &self.advertised.host {
            Some(host) => host.clone(),
            None => self.consul.agent_address().await?,
        };
        let registration = self.description.registration(&self.advertised, &reached);
        let id: Arc<str> = registration.id.as_str().into();
        self.standing.send_replace(Standing::Asked(Arc::clone(&id)));
        self.consul.register(&registration, !self.healing).await?;
        self.standing.send_replace(Standing::Registered(Arc::clone(&id)));
        self.failing = false;
        self.healing = true;
        info!(%id, registry = %self.consul.describe(), "registered");
        Ok(id)
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
    async fn beat(&mut self, id: &Arc<str>) -> Beat {
        match self.consul.pass(&lease_id(id)).await {
            Ok(Beat::Ok) => {
                self.failing = false;
                Beat::Ok
            }
            Ok(Beat::Lost) => {
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
mod tests {
    use super::*;
    use crate::consul::{fake::Fake, logs::Logs};

    /// A lease of an agent that says no to whatever it is asked, after one that was not there.
    async fn refused(logs: &Logs) -> (Lease, Fake) {
        let gone = Fake::start();
        let consul = Consul::new(&gone.config()).unwrap();
        let address = gone.stop().await;
        let advertised = Advertised::new(None, SocketAddr::from(([127, 0, 0, 1], 50))).unwrap();
        let description = Description::new("echo", &[], &[]);
        let (mut lease, _) = Lease::new(consul, description, advertised, CancellationToken::new());
        for _ in 0..2 {
            let error = lease.register().await.unwrap_err();
            lease.failed(&error, "not registered");
        }
        assert_eq!(logs.lines("WARN").len(), 1, "{:?}", logs.lines("WARN"));
        assert!(logs.lines("WARN")[0].contains("gone"));
        let fake = Fake::start_at(&address);
        for _ in 0..3 {
            fake.script(403, None, "no");
        }
        (lease, fake)
    }

    #[tokio::test]
    async fn an_agent_that_is_gone_is_told_of_once_and_a_refusal_once() {
        let logs = Logs::capture();
        let (mut lease, _fake) = refused(&logs).await;
        for _ in 0..3 {
            let error = lease.register().await.unwrap_err();
            lease.failed(&error, "not registered");
        }
        assert_eq!(logs.lines("WARN").len(), 2, "{:?}", logs.lines("WARN"));
        assert!(logs.lines("WARN")[1].contains("not registered"));
        lease.register().await.unwrap();
        assert!(!lease.failing, "the next refusal is told again");
    }

    #[tokio::test]
    async fn heartbeats_that_are_refused_are_told_of_once() {
        let logs = Logs::capture();
        let (mut lease, _fake) = refused(&logs).await;
        let id = "echo-1".into();
        for _ in 0..3 {
            assert_eq!(lease.beat(&id).await, Beat::Ok);
        }
        assert_eq!(logs.lines("WARN").len(), 2, "{:?}", logs.lines("WARN"));
        assert!(logs.lines("WARN")[1].contains("heartbeat"));
        lease.beat(&id).await;
        assert!(!lease.failing, "the next refusal is told again");
    }

    #[tokio::test]
    async fn a_registration_that_was_lost_is_made_again_without_ending_maintenance() {
        let fake = Fake::start();
        let consul = Consul::new(&fake.config()).unwrap();
        let advertised = Advertised::new(None, SocketAddr::from(([127, 0, 0, 1], 50))).unwrap();
        let (mut lease, _) =
            Lease::new(consul, Description::new("echo", &[], &[]), advertised, CancellationToken::new());
        for _ in 0..2 {
            lease.register().await.unwrap();
        }
        let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
        let plain = "PUT /v1/agent/service/register";
        assert_eq!(lines, [&format!("{plain}?replace-existing-checks=true"), plain]);
    }

    fn advertised(text: Option<&str>, listening: &str) -> Result<(Option<String>, u16), String> {
        let advertised = Advertised::new(text, listening.parse().unwrap());
        advertised.map(|found| (found.host, found.port)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_instance_is_reached_by_what_it_advertises_else_by_where_it_listens() {
        for (text, listening, host, port) in [
            (None, "127.0.0.1:50", Some("127.0.0.1"), 50),
            (None, "[::1]:50", Some("::1"), 50),
            (None, "0.0.0.0:50", None, 50),
            (None, "[::]:50", None, 50),
            (Some("echo.example"), "0.0.0.0:50", Some("echo.example"), 50),
            (Some("echo.example:60"), "0.0.0.0:50", Some("echo.example"), 60),
            (Some("10.0.0.7"), "127.0.0.1:50", Some("10.0.0.7"), 50),
            (Some("fd00::7"), "[::]:50", Some("fd00::7"), 50),
            (Some("[fd00::7]:60"), "[::]:50", Some("fd00::7"), 60),
            (Some("[fd00::7]"), "[::]:50", Some("fd00::7"), 50),
        ] {
            assert_eq!(advertised(text, listening), Ok((host.map(Into::into), port)), "{text:?} {listening}");
        }
    }

    #[test]
    fn an_address_that_nobody_reaches_is_named() {
        for bad in ["", ":80", "http://echo", "echo:", "echo:0", "echo:70000", "a b", "0.0.0.0", "[::]:5", "[echo]:5"] {
            let error = advertised(Some(bad), "127.0.0.1:50").unwrap_err();
            assert!(error.starts_with(&format!("server.advertise: {bad:?} ")), "{error}");
        }
    }

    #[test]
    fn a_schema_tag_changes_with_the_schema_only() {
        assert_eq!(schema_tag(&[]), None);
        // sha256("abc") begins with ba7816bf8f01cfea.
        assert_eq!(schema_tag(&[b"ab", b"c"]).unwrap(), "schema-ba7816bf8f01");
        assert_ne!(schema_tag(&[b"abd"]), schema_tag(&[b"abc"]));
    }

    #[test]
    fn the_agent_probes_an_ipv6_address_in_brackets() {
        let advertised = Advertised::new(Some("fd00::7"), SocketAddr::from(([0, 0, 0, 0], 50))).unwrap();
        let registration = Description::new("echo", &[], &[]).registration(&advertised, "fd00::7");
        assert_eq!(registration.checks[1].grpc.as_deref(), Some("[fd00::7]:50"));
        assert_eq!(registration.address, "fd00::7");
    }
}
