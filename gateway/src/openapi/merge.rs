//! The types of all services under one roof: a type that two services declare differently stands there twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::openapi::{node::Node, types::SCHEMAS};

/// All types so far.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) types: BTreeMap<String, Node>,
}

/// The new names of the types of one service.
#[derive(Debug, Default)]
pub(crate) struct Renamed(BTreeMap<String, String>);

impl Merged {
    /// Adds the types of a service; those that another service declares differently, and all that refer to them, get
    /// the service's name at their end.
    pub(crate) fn add(&mut self, service: &str, types: BTreeMap<String, Node>) -> Renamed {
        let differs = |name: &String, node: &Node| self.types.get(name).is_some_and(|known| known != node);
        let conflicting = types.iter().filter(|(name, node)| differs(name, node)).map(|(name, _)| name.clone());
        let conflicting = with_referrers(conflicting.collect(), &types);
        let mut renamed = Renamed::default();
        for name in conflicting {
            let new = self.free(&name, service);
            renamed.0.insert(name, new);
        }
        for (name, mut node) in types {
            renamed.apply(&mut node);
            let name = renamed.0.get(&name).cloned().unwrap_or(name);
            self.types.entry(name).or_insert(node);
        }
        renamed
    }

    fn free(&self, name: &str, service: &str) -> String {
        let allowed = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
        let mut new = format!("{name}-{}", service.chars().filter(allowed).collect::<String>());
        while self.types.contains_key(&new) {
            new.push('_');
        }
        new
    }
}

impl Renamed {
    /// Changes the references of a node to the new names.
    pub(crate) fn apply(&self, node: &mut Node) {
        if self.0.is_empty() {
            return;
        }
        node.visit_references(&mut |reference| {
            if let Some(new) = reference.strip_prefix(SCHEMAS).and_then(|name| self.0.get(name)) {
                *reference = format!("{SCHEMAS}{new}");
            }
        });
    }
}

/// Adds all types that refer to these, directly or through others.
fn with_referrers(mut these: BTreeSet<String>, types: &BTreeMap<String, Node>) -> BTreeSet<String> {
    if these.is_empty() {
        return these;
    }
    let mut referrers: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (name, node) in types {
        node.clone().visit_references(&mut |reference| {
            let to = reference.strip_prefix(SCHEMAS).unwrap_or(reference);
            referrers.entry(to.to_owned()).or_default().push(name);
        });
    }
    let mut waiting: Vec<String> = these.iter().cloned().collect();
    while let Some(next) = waiting.pop() {
        for referrer in referrers.get(&next).into_iter().flatten() {
            if these.insert((*referrer).clone()) {
                waiting.push((*referrer).clone());
            }
        }
    }
    these
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refers(to: &str) -> Node {
        Node::map().with("items", Node::map().with("$ref", format!("{SCHEMAS}{to}")))
    }

    fn types(list: &[(&str, &Node)]) -> BTreeMap<String, Node> {
        list.iter().map(|(name, node)| ((*name).to_owned(), (*node).clone())).collect()
    }

    #[test]
    fn what_is_the_same_stands_once() {
        let mut merged = Merged::default();
        let all = types(&[("a.A", &refers("a.B")), ("a.B", &Node::from("x"))]);
        merged.add("one", all.clone());
        merged.add("two", all.clone());
        assert_eq!(merged.types, all);
    }

    #[test]
    fn what_differs_stands_twice_with_all_that_refers_to_it() {
        let (outer, leaf, other) = (refers("a.B"), Node::from("x"), Node::from("y"));
        let mut merged = Merged::default();
        merged.add("one", types(&[("a.A", &outer), ("a.B", &leaf), ("a.C", &leaf)]));
        let renamed = merged.add("two", types(&[("a.A", &outer), ("a.B", &other), ("a.C", &leaf)]));
        let names: Vec<_> = merged.types.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.A", "a.A-two", "a.B", "a.B-two", "a.C"]);
        assert_eq!(merged.types["a.A-two"], refers("a.B-two"));
        let mut operation = refers("a.A");
        renamed.apply(&mut operation);
        assert_eq!(operation, refers("a.A-two"));
    }
}
