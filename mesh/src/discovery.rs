//! Who serves what: instances as a source of discovery tells them.

pub(crate) mod consul;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

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
}

/// What discovery knows of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// The registry has not answered yet.
    #[default]
    Unknown,
    /// The last answer: the instances that may be called (not critical, not in maintenance), possibly none.
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
}
