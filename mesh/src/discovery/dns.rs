//! Discovery through DNS: `dns://host:port` asks for addresses (A, AAAA), `dns://_service._proto.name` for SRV records.
//! A server may be named before, as in `dns://10.0.0.2:53/host:port`; else the system's are asked.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, rdata::SRV},
};
use rand::Rng as _;
use tokio::{
    sync::watch::{self, Receiver},
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::{
    backoff::Backoff,
    discovery::{
        Instance, Instances, Resolve, Services,
        feed::{Feed, Feeds, View as _},
        hold::{Hold, Told},
        place::host_and_port,
    },
};

/// How long an answer is believed at least, and at most (`/etc/hosts` knows no end).
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// When a name that does not exist is asked for again.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);

/// The instances behind one name.
#[derive(Debug)]
pub(crate) struct Dns {
    text: String,
    target: Option<Target>,
    hold: Duration,
    instances: Feeds<(), Instances>,
    services: watch::Sender<Services>,
    tasks: TaskTracker,
}

/// What is asked, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    server: Option<SocketAddr>,
    /// A name, or an IP address.
    name: String,
    /// None: SRV records tell it.
    port: Option<u16>,
}

/// Where a name leads, and for how long.
#[derive(Debug, Default)]
struct Found {
    places: Vec<(String, u16)>,
    ttl: Duration,
}

impl Dns {
    /// Reads what stands behind `dns://`. What cannot be read has no instances: calls say so.
    pub(crate) fn new(text: &str, hold: Duration) -> Self {
        let (instances, services, tasks) = (Feeds::default(), watch::Sender::new(None), TaskTracker::new());
        Self { text: text.to_owned(), target: target(text), hold, instances, services, tasks }
    }
}

impl Resolve for Dns {
    fn instances(&self, _: &str) -> Receiver<Instances> {
        self.instances.follow((), |feed| match self.target.clone() {
            Some(target) => drop(self.tasks.spawn(run(target, feed, Hold::new(self.hold)))),
            None => drop(feed.publish(Instances::Known([].into()))),
        })
    }

    fn services(&self) -> Receiver<Services> {
        self.services.subscribe()
    }

    fn describe(&self) -> String {
        let hint = match self.target {
            Some(_) => "",
            None => " (expected dns://host:port or dns://_service._proto.name)",
        };
        format!("dns by {:?}{hint}", self.text)
    }
}

/// Publishes where a name leads, until nobody wants to know. Errors keep what is known.
async fn run(target: Target, feed: Feed<(), Instances>, mut hold: Hold) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut failing = false;
    let mut resolver = None;
    loop {
        let asked = async {
            if resolver.is_none() {
                resolver = Some(client(target.server)?);
            }
            let resolver = resolver.as_ref().ok_or(NetError::Timeout)?;
            ask(resolver, &target).await
        };
        let Some(found) = feed.meanwhile(asked, &mut hold).await else { return };
        let name = &target.name;
        let pause = match found {
            Ok(found) => {
                if std::mem::take(&mut failing) {
                    info!(%name, "dns answers again");
                }
                backoff.reset();
                let pause = found.ttl;
                feed.publish(hold.see(told(found.places), Instant::now()));
                pause
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(%name, %error, "dns does not answer: going on with what is known");
                }
                backoff.next(rand::rng().random())
            }
        };
        if feed.meanwhile(sleep(pause), &mut hold).await.is_none() {
            return;
        }
    }
}

fn client(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let over = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![over(ConnectionConfig::udp()), over(ConnectionConfig::tcp())];
            let server = NameServerConfig::new(server.ip(), true, connections);
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // It is kept here, for as long as the answer says.
    options.cache_size = 0;
    builder.build()
}

/// Asks once. A name that does not exist is an answer: nobody is there.
async fn ask(resolver: &TokioResolver, target: &Target) -> Result<Found, NetError> {
    let asked = match target.port {
        Some(port) => addresses(resolver, &target.name, port).await,
        None => services(resolver, &target.name).await,
    };
    match asked {
        Err(error) if error.is_no_records_found() => Ok(Found { places: Vec::new(), ttl: NEGATIVE_TTL }),
        Ok(Found { places, ttl }) => Ok(Found { places, ttl: ttl.clamp(TTL.0, TTL.1) }),
        failed => failed,
    }
}

async fn addresses(resolver: &TokioResolver, name: &str, port: u16) -> Result<Found, NetError> {
    let found = resolver.lookup_ip(name).await?;
    let ttl = shortest(found.as_lookup().answers().iter().map(|record| record.ttl));
    Ok(Found { places: found.iter().map(|ip| (ip.to_string(), port)).collect(), ttl })
}

/// Looks up the targets of the lowest priority (RFC 2782); weights are for those who know nothing of load.
async fn services(resolver: &TokioResolver, name: &str) -> Result<Found, NetError> {
    let records = resolver.srv_lookup(name).await?;
    let mut found = Found { places: Vec::new(), ttl: shortest(records.answers().iter().map(|record| record.ttl)) };
    let offered = records.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(offered) => Some(offered),
        _ => None,
    });
    for SRV { target, port, .. } in preferred(offered.collect()) {
        match addresses(resolver, &target.to_utf8(), *port).await {
            Ok(more) => {
                found.places.extend(more.places);
                found.ttl = found.ttl.min(more.ttl);
            }
            Err(error) if error.is_no_records_found() => {}
            // Half an answer would take the other half for gone.
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn preferred(mut offered: Vec<&SRV>) -> Vec<&SRV> {
    let lowest = offered.iter().map(|one| one.priority).min();
    // The root as target says that there is no such service.
    offered.retain(|one| Some(one.priority) == lowest && !one.target.is_root());
    offered
}

fn shortest(ttls: impl Iterator<Item = u32>) -> Duration {
    ttls.min().map_or(NEGATIVE_TTL, |seconds| Duration::from_secs(seconds.into()))
}

/// Instances by their places, sorted: DNS turns its answers round.
fn told(mut places: Vec<(String, u16)>) -> Told {
    places.sort();
    places.dedup();
    let callable = places.into_iter().map(|(host, port)| Instance::at(format!("{host}-{port}"), host, port));
    Told { callable: callable.collect(), ..Told::default() }
}

fn target(text: &str) -> Option<Target> {
    let (server, asked) = match text.split_once('/') {
        Some(("", asked)) => (None, asked),
        Some((server, asked)) => (Some(server.parse().ok()?), asked),
        None => (None, text),
    };
    if let Some((name, port)) = host_and_port(asked) {
        return Some(Target { server, name, port: Some(port) });
    }
    let srv = asked.starts_with('_') && !asked.contains([':', '/', ' ']);
    srv.then(|| Target { server, name: asked.to_owned(), port: None })
}

#[cfg(test)]
mod tests;
