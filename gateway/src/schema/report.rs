//! What readiness tells of the schema: which services were read, and what of them is not served.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::schema::honest::clean;

/// How many lines of one kind are told: what a service declares may be wrong in ten thousand places.
const LINES: usize = 100;

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
    /// The schemas that are served: of each version that runs.
    pub(crate) schemas: Vec<SchemaReport>,
    /// The gRPC services that are served.
    pub(crate) grpc_services: Vec<String>,
    /// Bindings that cannot be served, with the reason.
    pub(crate) set_aside: Vec<String>,
    /// Why the last reading failed.
    pub(crate) error: Option<String>,
    /// Whether the schema was read, or could not be read, at least once.
    pub(crate) tried: bool,
}

/// One version of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaReport {
    /// The digest that the registration names, if it does.
    pub(crate) digest: Option<String>,
    /// Where it was read: of an `instance`, or from the `disk` until one answers.
    pub(crate) source: &'static str,
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

    /// Leaves lines that can be read: so many of a kind, each of a bounded length, without control characters.
    pub(crate) fn shorten(&mut self) {
        shorten(&mut self.conflicts);
        self.services.values_mut().for_each(|service| shorten(&mut service.set_aside));
    }
}

fn shorten(lines: &mut Vec<String>) {
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    lines.iter_mut().for_each(|line| *line = clean(line).into_owned());
    lines.extend((more > 0).then(|| format!("and {more} more")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_short() {
        let mut report = Report { conflicts: vec!["a\nb".into(); 10_000], ..Report::default() };
        report.shorten();
        assert_eq!(report.conflicts.len(), LINES + 1);
        assert_eq!((report.conflicts[0].as_str(), report.conflicts[LINES].as_str()), ("a\\nb", "and 9900 more"));
    }
}
