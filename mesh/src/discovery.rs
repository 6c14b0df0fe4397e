//! Who serves what: instances as a source of discovery tells them.

pub(crate) mod consul;

pub(crate) mod ages;
pub(crate) mod by_url;
mod dns;
mod feed;
pub(crate) mod fixed;
mod hold;
mod memory;
pub(crate) mod place;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::consul::polls::Usage;

/// One registered instance of a service that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Its id, unique in the registry.
    pub id: String,
    /// Name or IP address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Tags of the registration.
    pub tags: Vec<String>,
    /// Metadata of the registration.
    pub meta: BTreeMap<String, String>,
    /// Its share of the calls, relative to the weights of others: of Consul's `Weights` the one for its health. At
    /// least 1.
    pub weight: u32,
    /// The zone that it is in, if that is known.
    pub zone: Option<String>,
    /// It vanished from the registry together with more than half of its service, and may be called for a while
    /// (`discovery.hold`) when no other can, if a connection to it still works.
    pub last_resort: bool,
}

impl Instance {
    /// Returns an instance of which nothing is known but where it is.
    pub(crate) fn at(id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        let (tags, meta, zone) = (Vec::new(), BTreeMap::new(), None);
        Self { id: id.into(), host: host.into(), port, tags, meta, weight: 1, zone, last_resort: false }
    }
}

/// What discovery knows of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// The registry has not answered yet.
    #[default]
    Unknown,
    /// The last answer: the instances that may be called (not critical, not in maintenance), possibly none; and
    /// those that are kept as a last resort.
    Known(Arc<[Instance]>),
}

/// Names of all registered services with their tags, or nothing before the registry's first answer.
pub type Services = Option<Arc<BTreeMap<String, Vec<String>>>>;

/// A source of instances. Watching costs nothing until it is asked for; a watch ends when its last receiver is
/// dropped.
pub(crate) trait Resolve: Send + Sync + std::fmt::Debug {
    /// Follows the instances of a service. Errors of the source never empty what was known.
    fn instances(&self, service: &str) -> watch::Receiver<Instances>;

    /// Follows the names and tags of all services.
    fn services(&self) -> watch::Receiver<Services>;

    /// Says where it looks, for errors: `consul at http://127.0.0.1:8500`.
    fn describe(&self) -> String;

    /// Returns how long ago the source answered about a service last, while that is followed.
    fn age(&self, _service: &str) -> Option<Duration> {
        None
    }

    /// Returns where to note that a service was called.
    fn usage(&self, _service: &str) -> Usage {
        Usage::default()
    }

    /// Says where it looks for one service.
    fn describe_source(&self, _service: &str) -> String {
        self.describe()
    }
}
