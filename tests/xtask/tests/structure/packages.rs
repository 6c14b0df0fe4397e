//! Rule: packages form levels, and depend only downward.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::repository;

/// The packages by level, lowest first; those of one level do not depend on one another. Nothing depends on the last.
const LEVELS: &[&[&str]] = &[
    &["selvedge", "selvedge-proto"],
    &["selvedge-registry", "selvedge-kit"],
    &["selvedge-gateway", "selvedge-users", "selvedge-catalog", "selvedge-cli"],
    &["selvedge-local"],
    &["selvedge-harness"],
    &["selvedge-integration", "selvedge-bench", "selvedge-xtask"],
];

/// Who must not depend on whom, at any distance, though the levels would allow it.
const APART: &[(&str, &str)] = &[("selvedge-gateway", "selvedge-proto"), ("selvedge-registry", "selvedge")];

/// The packages of the workspace, and those of the workspace that each depends on, for tests too.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the dependencies that do not point down, and the packages that no level has.
pub(crate) fn problems(graph: &Graph) -> Vec<String> {
    let level = |name: &str| LEVELS.iter().position(|names| names.contains(&name));
    let mut problems = Vec::new();
    for (package, dependencies) in graph {
        let Some(own) = level(package) else {
            problems.push(format!("{package} is in no level: give it a place in packages.rs"));
            continue;
        };
        let upward = dependencies.iter().filter(|name| level(name).is_some_and(|other| other >= own));
        problems.extend(upward.map(|name| format!("{package} depends on {name}, which is not below it")));
    }
    let joined = APART.iter().filter(|(from, to)| reaches(graph, from, to));
    problems.extend(joined.map(|(from, to)| format!("{from} depends on {to}, if at a distance")));
    problems
}

/// Tells whether a package depends on another one at any distance.
fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let mut reached = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(dependencies) = open.pop().and_then(|name| graph.get(name)) {
        open.extend(dependencies.iter().map(String::as_str).filter(|name| reached.insert(name)));
    }
    reached.contains(to)
}

/// Asks Cargo, which needs no network for that.
fn workspace() -> Result<Graph> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(repository::root())
        .output()?;
    ensure!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let names: BTreeSet<_> = packages.iter().map(name).collect();
    let dependencies = |package: &Value| package["dependencies"].as_array().cloned().unwrap_or_default();
    let ours = |package: &Value| dependencies(package).iter().map(name).filter(|name| names.contains(name)).collect();
    Ok(packages.iter().map(|package| (name(package), ours(package))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_none;

    fn graph(packages: &[(&str, &[&str])]) -> Graph {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        packages.iter().map(|(name, dependencies)| ((*name).to_owned(), owned(dependencies))).collect()
    }

    #[test]
    fn packages_depend_downward() {
        assert_none("packages", &problems(&workspace().unwrap()));
    }

    #[test]
    fn the_workspace_is_read_with_its_dependencies() {
        let workspace = workspace().unwrap();
        assert!(workspace["selvedge-users"].contains("selvedge-proto"), "{workspace:?}");
        assert!(workspace["selvedge"].is_empty(), "{workspace:?}");
    }

    #[test]
    fn a_gateway_that_reaches_the_protos_is_found() {
        let found = problems(&graph(&[
            ("selvedge-gateway", &["selvedge-kit"]),
            ("selvedge-kit", &["selvedge-proto"]),
            ("selvedge-proto", &[]),
        ]));
        assert_eq!(found, ["selvedge-gateway depends on selvedge-proto, if at a distance"]);
    }

    #[test]
    fn a_mesh_that_knows_a_package_of_ours_is_found() {
        let found = problems(&graph(&[("selvedge", &["selvedge-proto"]), ("selvedge-proto", &[])]));
        assert_eq!(found, ["selvedge depends on selvedge-proto, which is not below it"]);
    }

    #[test]
    fn services_that_know_one_another_and_strangers_are_found() {
        let found = problems(&graph(&[
            ("selvedge-catalog", &["selvedge-users"]),
            ("selvedge-users", &[]),
            ("selvedge-utils", &[]),
        ]));
        assert_eq!(
            found,
            [
                "selvedge-catalog depends on selvedge-users, which is not below it",
                "selvedge-utils is in no level: give it a place in packages.rs"
            ]
        );
    }
}
