//! Rules on what no source says: `super::` outside tests, `unsafe`, and in `mesh` the stacks of others.

use proc_macro2::TokenTree;

use crate::{
    imports::paths,
    source::{Crate, Module},
};

/// What `mesh` does itself, on `h2`.
const NOT_IN_MESH: &[&[&str]] = &[&["tonic", "transport"], &["tower", "balance"], &["hyper"], &["hyper_util"]];

/// Returns where `super::` or `unsafe` is said.
pub(crate) fn problems(krate: &Crate) -> Vec<String> {
    let says_super = |module: &&Module| paths(module).iter().any(|path| path[0] == "super");
    let upward = krate.sources().filter(says_super).map(|module| format!("{} says super::", module.file));
    let careless = krate.sources().filter(|module| says_unsafe(&module.tokens));
    upward.chain(careless.map(|module| format!("{} says unsafe", module.file))).collect()
}

/// Returns where a path that is forbidden is said.
pub(crate) fn forbidden(krate: &Crate, paths_forbidden: &[&[&str]]) -> Vec<String> {
    let mut problems = Vec::new();
    for module in krate.sources() {
        for path in paths(module) {
            let is_forbidden = |forbidden: &&&[&str]| {
                path.iter().zip(**forbidden).filter(|(is, not)| is == *not).count() == forbidden.len()
            };
            if paths_forbidden.iter().any(|forbidden| is_forbidden(&forbidden)) {
                problems.push(format!("{} says {}", module.file, path.join("::")));
            }
        }
    }
    problems
}

fn says_unsafe(tokens: &[TokenTree]) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Ident(word) => word == "unsafe",
        TokenTree::Group(group) => says_unsafe(&group.stream().into_iter().collect::<Vec<_>>()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository, source::example};

    #[test]
    fn no_source_says_super_or_unsafe() {
        let mut found = Vec::new();
        for folder in repository::folders().unwrap() {
            found.extend(problems(&repository::read(&folder).unwrap()));
        }
        assert_none("words", &found);
    }

    #[test]
    fn mesh_speaks_http_itself() {
        let mesh = repository::read(&repository::root().join("mesh/src")).unwrap();
        assert_none("paths that do not belong in mesh", &forbidden(&mesh, NOT_IN_MESH));
    }

    #[test]
    fn super_is_found_outside_tests_only() {
        let krate = example(&[
            ("lib.rs", "#[cfg(test)] mod tests { use super::*; }"),
            ("a.rs", "pub(super) fn f() { super::g() }"),
            ("b.rs", "pub(super) fn f() {}"),
        ]);
        assert_eq!(problems(&krate), ["a.rs says super::"]);
    }

    #[test]
    fn unsafe_is_found_wherever_it_hides() {
        let krate = example(&[
            ("lib.rs", "fn f() { if x { unsafe { y() } } } // unsafe\n fn g() { \"unsafe\" }"),
            ("a.rs", ""),
        ]);
        assert_eq!(problems(&krate), ["lib.rs says unsafe"]);
        assert!(problems(&example(&[("lib.rs", "// unsafe\nfn g() { \"unsafe\" }")])).is_empty());
    }

    #[test]
    fn a_forbidden_path_is_found_in_braces_too() {
        let krate = example(&[
            ("lib.rs", "use tonic::{Status, transport::{Channel, Server}}; use tower::Service;"),
            ("a.rs", "fn f() { hyper::client::conn::x() } use tonic::body::Body;"),
        ]);
        let found = forbidden(&krate, NOT_IN_MESH);
        assert_eq!(
            found,
            [
                "lib.rs says tonic::transport::Channel",
                "lib.rs says tonic::transport::Server",
                "a.rs says hyper::client::conn::x"
            ]
        );
    }
}
