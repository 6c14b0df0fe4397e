//! Rule: the modules of `mesh` form levels, and `use crate::…` points only down.

use crate::{
    imports::imports,
    source::{Crate, is_within},
};

/// The levels of `mesh`, lowest first. A unit is a module with all that is below it; `client::*` is each child of
/// `client` as a unit of its own. Units of one level do not know one another; within a unit anything goes but circles.
const LEVELS: &[&[&str]] = &[
    &["error", "random", "thread"],
    // Both walks use `batch`, `context`, `keepalive` and `message_limit`, so that neither imports the other.
    &["config", "grpc_timeout", "backoff", "context", "keepalive", "message_limit", "batch"],
    &["consul", "telemetry"],
    &["policy", "snapshot"],
    // Plain data of the two walks.
    &["client::call", "server::connect_info", "server::phase"],
    &["client::outcome", "client::observe"],
    // `client` holds the trait of its stops; the others are what one stop is made of.
    &[
        "client",
        "client::socket",
        "client::changes",
        "client::key",
        "client::budget",
        "client::latency",
        "client::pushback",
        "client::replay",
        "client::pump",
        "client::breaker",
        "client::outlier",
    ],
    // The stops, and who finds instances.
    &["client::*", "server::*", "discovery"],
    // What composes several, from the wire upwards.
    &["client::pool", "client::stream", "client::judge", "server::builtin", "server::connection"],
    &["client::endpoint", "server::accept", "server::register"],
    &["client::cluster", "server::drain"],
    &["channel", "server", "testing"],
    &["mesh"],
    // The root: its `pub use` names what is public.
    &[""],
];

/// Returns the imports that do not point down, and the modules that no level has.
pub(crate) fn problems(krate: &Crate, levels: &[&[&str]]) -> Vec<String> {
    let mut problems = Vec::new();
    for module in krate.sources() {
        let Some(own) = place(&module.name, levels) else {
            problems.push(format!("{} is in no level: give it a place in layers.rs", module.file));
            continue;
        };
        for import in imports(krate, module) {
            let Some(other) = place(&import, levels) else { continue };
            let down = other.level < own.level || other.unit == own.unit;
            if !down {
                problems.push(format!("{} imports crate::{import}, which is not below it", module.file));
            }
        }
    }
    problems
}

#[derive(Debug, PartialEq, Eq)]
struct Place {
    level: usize,
    unit: String,
}

/// Returns the level and the unit of a module: those of the longest name in the table that holds it.
fn place(module: &str, levels: &[&[&str]]) -> Option<Place> {
    let named = levels.iter().enumerate().flat_map(|(level, names)| names.iter().map(move |name| (level, *name)));
    let holding = named.filter_map(|(level, name)| Some((name, Place { level, unit: unit(module, name)? })));
    // A name says more than `::*`, which may make the same unit.
    let nearest = holding.max_by_key(|(name, place)| (place.unit.len(), !name.ends_with("::*")));
    nearest.map(|(_, place)| place)
}

/// Returns the unit that a name of the table makes of a module, if it holds it.
fn unit(module: &str, name: &str) -> Option<String> {
    let Some(parent) = name.strip_suffix("::*") else {
        let holds = if name.is_empty() { module.is_empty() } else { is_within(module, name) };
        return holds.then(|| name.to_owned());
    };
    let child = module.strip_prefix(parent)?.strip_prefix("::")?.split("::").next()?;
    Some(format!("{parent}::{child}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository, source::example};

    #[test]
    fn imports_in_mesh_point_down() {
        let mesh = repository::read(&repository::root().join("mesh/src")).unwrap();
        assert_none("imports of mesh that do not point down", &problems(&mesh, LEVELS));
    }

    #[test]
    fn every_name_in_the_table_is_a_module_of_mesh() {
        let mesh = repository::read(&repository::root().join("mesh/src")).unwrap();
        let is_module = |name: &str| mesh.sources().any(|module| module.name == name.trim_end_matches("::*"));
        let gone: Vec<_> = LEVELS.iter().copied().flatten().filter(|name| !is_module(name)).collect();
        assert!(gone.is_empty(), "not in mesh: {gone:?}");
    }

    #[test]
    fn an_import_that_points_up_is_found() {
        let krate = example(&[
            ("lib.rs", ""),
            ("error.rs", "use crate::config::Config;"),
            ("config.rs", "use crate::error::E;"),
        ]);
        assert_eq!(problems(&krate, LEVELS), ["error.rs imports crate::config, which is not below it"]);
    }

    #[test]
    fn neighbours_that_know_one_another_are_found() {
        let krate = example(&[
            ("lib.rs", ""),
            ("client.rs", "mod retry; mod balance; mod call;"),
            ("client/retry.rs", "use crate::client::{balance::Pick, call::Call};"),
            ("client/balance.rs", "use crate::client::call::Call;"),
            ("client/call.rs", ""),
        ]);
        assert_eq!(problems(&krate, LEVELS), ["client/retry.rs imports crate::client::balance, which is not below it"]);
    }

    #[test]
    fn the_two_walks_do_not_know_one_another() {
        let krate = example(&[
            ("lib.rs", ""),
            ("client.rs", "mod retry;"),
            ("client/retry.rs", "fn f() { crate::server::accept::x() }"),
            ("server.rs", "mod accept;"),
            ("server/accept.rs", ""),
            ("channel.rs", "use crate::server::Serve;"),
        ]);
        let found = problems(&krate, LEVELS);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_module_without_a_level_is_found() {
        let krate = example(&[("lib.rs", ""), ("utils.rs", "")]);
        assert_eq!(problems(&krate, LEVELS), ["utils.rs is in no level: give it a place in layers.rs"]);
    }

    #[test]
    fn a_unit_may_import_its_own_children() {
        let krate = example(&[("lib.rs", ""), ("config.rs", "mod env; use self::env::V;"), ("config/env.rs", "")]);
        assert!(problems(&krate, LEVELS).is_empty());
    }
}
