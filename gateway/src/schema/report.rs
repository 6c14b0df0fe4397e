//! What readiness tells of the schema: which services were read, and what of them is not served.

use std::collections::BTreeMap;

use serde::Serialize;

/// The state of the schema, as readiness shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Whether the registry has answered.
    pub(crate) registry_answered: bool,
    /// By name in the registry.
    pub(crate) services: BTreeMap<String, ServiceReport>,
    /// Names and routes that two services claim; the older keeps them.
    pub(crate) conflicts: Vec<String>,
}

/// The state of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceReport {
    /// The digest of the schema that is served, if the registration names one.
    pub(crate) schema: Option<String>,
    /// The gRPC services that are served.
    pub(crate) grpc_services: Vec<String>,
    /// Bindings that cannot be served, with the reason.
    pub(crate) set_aside: Vec<String>,
    /// Why the last reading failed.
    pub(crate) error: Option<String>,
    /// Whether the schema was read, or could not be read, at least once.
    pub(crate) tried: bool,
}

impl Report {
    /// Tells whether the gateway can serve what there is: the registry answered, and every schema was read or failed.
    pub(crate) fn is_ready(&self) -> bool {
        self.registry_answered && self.services.values().all(|service| service.tried)
    }

    /// Returns what is wrong, one line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let of_services = self.services.iter().flat_map(|(name, service)| {
            let failed = service.error.iter().map(move |error| format!("the schema of {name} was not read: {error}"));
            let aside =
                service.set_aside.iter().map(move |why| format!("{name} has a route that is not served: {why}"));
            failed.chain(aside)
        });
        of_services.chain(self.conflicts.iter().cloned()).collect()
    }
}
