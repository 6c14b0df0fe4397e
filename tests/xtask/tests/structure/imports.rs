//! What a module names of its own crate, and of others.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenTree};

use crate::source::{Crate, Module, join};

/// A path as it is written, in segments: `["crate", "client", "Call"]`.
pub(crate) type Path = Vec<String>;

/// Returns all paths of at least two segments, with those in braces written out.
pub(crate) fn paths(module: &Module) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    walk(&module.tokens, &mut paths);
    paths
}

/// Returns the modules of the crate that a module names, without itself.
pub(crate) fn imports(krate: &Crate, module: &Module) -> BTreeSet<String> {
    let names: BTreeSet<_> = krate.modules.iter().map(|module| module.name.as_str()).collect();
    let absolute = paths(module).into_iter().filter_map(|path| absolute(&path, &module.name, &names));
    let imported = absolute.map(|path| nearest_module(&path, &names));
    imported.filter(|import| *import != module.name).collect()
}

/// Returns a path below the root of the crate, if it is of the crate.
fn absolute(path: &[String], module: &str, names: &BTreeSet<&str>) -> Option<Path> {
    let own = || module.split("::").filter(|segment| !segment.is_empty()).map(str::to_owned);
    match path[0].as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some(own().chain(path[1..].iter().cloned()).collect()),
        child if names.contains(join(module, child).as_str()) => Some(own().chain(path.iter().cloned()).collect()),
        _ => None,
    }
}

/// Returns the module in which a path ends: what follows are its items.
fn nearest_module(path: &[String], names: &BTreeSet<&str>) -> String {
    let candidates = (1..=path.len()).rev().map(|length| path[..length].join("::"));
    candidates.into_iter().find(|name| names.contains(name.as_str())).unwrap_or_default()
}

fn walk(tokens: &[TokenTree], paths: &mut BTreeSet<Path>) {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => walk(&group.stream().into_iter().collect::<Vec<_>>(), paths),
            TokenTree::Ident(_) if begins_a_path(tokens, at) => tree(&tokens[at..], &[], paths),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Tells whether a path begins here: an ident before `::`, but not after one.
fn begins_a_path(tokens: &[TokenTree], at: usize) -> bool {
    let follows = at >= 2 && is_path_separator(&tokens[at - 2..]);
    is_path_separator(&tokens[at + 1..]) && !follows
}

/// Adds the paths of one use tree, such as `crate::{a::B, c}`, to those found.
fn tree(tokens: &[TokenTree], before: &[String], paths: &mut BTreeSet<Path>) {
    let mut path = before.to_vec();
    let mut rest = tokens;
    while let [TokenTree::Ident(segment), after @ ..] = rest {
        path.push(segment.to_string());
        if !is_path_separator(after) {
            break;
        }
        rest = &after[2..];
    }
    let braces = match rest.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    };
    let Some(braces) = braces else {
        paths.insert(path);
        return;
    };
    let inside: Vec<_> = braces.into_iter().collect();
    for branch in inside.split(is_comma).filter(|branch| !branch.is_empty()) {
        tree(branch, &path, paths);
    }
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(one), TokenTree::Punct(two), ..] if one.as_char() == ':' && two.as_char() == ':')
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(sign) if sign.as_char() == ',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::example;

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        let text = "
            use crate::{a::{self, Thing}, b as other};
            use self::child::Helper;
            /// crate::unseen
            fn f() -> Vec<crate::c::X> { child::deep::go(); format!(\"crate::unseen\", crate::macros::y()) }";
        let files = [
            ("lib.rs", ""),
            ("a.rs", ""),
            ("b.rs", ""),
            ("c.rs", ""),
            ("macros.rs", ""),
            ("unseen.rs", ""),
            ("own.rs", text),
            ("own/child.rs", ""),
            ("own/child/deep.rs", ""),
        ];
        let krate = example(&files);
        let own = krate.modules.iter().find(|module| module.name == "own").unwrap();
        let imports: Vec<_> = imports(&krate, own).into_iter().collect();
        assert_eq!(imports, ["a", "b", "c", "macros", "own::child", "own::child::deep"]);
    }

    #[test]
    fn an_item_of_the_root_is_an_import_of_the_root() {
        let krate = example(&[("lib.rs", ""), ("a.rs", "use crate::Error;")]);
        assert_eq!(imports(&krate, &krate.modules[1]).into_iter().collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn other_crates_are_no_modules_of_ours() {
        let krate =
            example(&[("lib.rs", ""), ("a.rs", "use tokio::time; fn f() { std::mem::take(x); pub(crate) fn g() {} }")]);
        assert!(imports(&krate, &krate.modules[1]).is_empty());
    }
}
