//! Rule: the modules of a crate import one another in no circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{imports::imports, source::Crate};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns one problem for each circle: the modules in it, in the order of their imports.
pub(crate) fn problems(krate: &Crate) -> Vec<String> {
    let mut graph: Graph = krate.sources().map(|module| (module.name.clone(), imports(krate, module))).collect();
    let mut problems = Vec::new();
    // Each circle found is cut at one place, so that the next one shows.
    while let Some(circle) = circle(&graph) {
        let names: Vec<_> = circle.iter().chain(&circle[..1]).map(|name| shown(name)).collect();
        problems.push(names.join(" → "));
        let second = circle.get(1).unwrap_or(&circle[0]).clone();
        graph.entry(circle[0].clone()).or_default().remove(&second);
    }
    problems
}

/// Returns a circle, if there is one: leaves out what imports nothing that is left, until nothing or circles remain.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    let mut left: BTreeSet<&String> = graph.keys().collect();
    loop {
        let before = left.len();
        let keeps = |name: &&String| graph[*name].iter().any(|import| left.contains(import));
        left = left.iter().copied().filter(keeps).collect();
        if left.len() == before {
            break;
        }
    }
    let mut way = vec![(*left.first()?).clone()];
    loop {
        let next = graph[way.last()?].iter().find(|import| left.contains(import))?.clone();
        if let Some(start) = way.iter().position(|name| *name == next) {
            return Some(way.split_off(start));
        }
        way.push(next);
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "the root" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository, source::example};

    #[test]
    fn no_crate_has_a_circle_of_modules() {
        let mut found = Vec::new();
        for folder in repository::folders().unwrap() {
            let problems = problems(&repository::read(&folder).unwrap());
            found.extend(problems.into_iter().map(|problem| format!("{}: {problem}", folder.display())));
        }
        assert_none("circles of modules", &found);
    }

    #[test]
    fn a_circle_is_found_wherever_it_begins() {
        let krate = example(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::{b::B, d::D};"),
            ("d.rs", ""),
        ]);
        assert_eq!(problems(&krate), ["b → c → b"]);
    }

    #[test]
    fn a_parent_and_its_child_that_import_each_other_are_a_circle() {
        let krate = example(&[("lib.rs", ""), ("a.rs", "mod b; use self::b::B;"), ("a/b.rs", "use crate::a::A;")]);
        assert_eq!(problems(&krate), ["a → a::b → a"]);
    }

    #[test]
    fn every_circle_is_told() {
        let krate = example(&[
            ("lib.rs", ""),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A;"),
            ("c.rs", "use crate::d::D;"),
            ("d.rs", "use crate::c::C;"),
        ]);
        assert_eq!(problems(&krate), ["a → b → a", "c → d → c"]);
    }

    #[test]
    fn tests_may_import_what_they_test() {
        let krate = example(&[("lib.rs", ""), ("a.rs", "#[cfg(test)] mod tests;"), ("a/tests.rs", "use crate::a::A;")]);
        assert!(problems(&krate).is_empty());
    }
}
