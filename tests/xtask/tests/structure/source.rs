//! The modules of one crate: their names, their text, their tokens.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The modules of one crate.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
}

/// One file of a crate.
#[derive(Debug)]
pub(crate) struct Module {
    /// As in `client::retry`; the root is empty.
    pub(crate) name: String,
    /// Where it is, for people.
    pub(crate) file: String,
    pub(crate) text: String,
    /// What it is made of, without comments and without what only tests have.
    pub(crate) tokens: Vec<TokenTree>,
    /// Whether only tests have it.
    pub(crate) test: bool,
}

impl Crate {
    /// Reads files, each a path as people write it, its path below the root of the crate, and its text.
    pub(crate) fn new(files: Vec<(String, String, String)>) -> Result<Self> {
        let mut modules = Vec::new();
        let mut for_tests = BTreeSet::new();
        for (file, path, text) in files {
            let name = module_name(&path);
            let parsed: TokenStream = text.parse().map_err(|error| anyhow!("{file} is not Rust: {error}"))?;
            let parsed = split(parsed.into_iter().collect());
            for_tests.extend(parsed.test_modules.iter().map(|module| join(&name, module)));
            modules.push(Module { name, file, text, tokens: parsed.kept, test: false });
        }
        for module in &mut modules {
            module.test = for_tests.iter().any(|test| is_within(&module.name, test));
        }
        Ok(Self { modules })
    }

    /// Returns the modules that are not for tests.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter().filter(|module| !module.test)
    }
}

/// Tells whether a module is another one, or below it.
pub(crate) fn is_within(module: &str, outer: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with("::");
    outer.is_empty() || module.strip_prefix(outer).is_some_and(below)
}

/// Returns the name of a module below another one.
pub(crate) fn join(outer: &str, inner: &str) -> String {
    if outer.is_empty() { inner.to_owned() } else { format!("{outer}::{inner}") }
}

/// `client/retry.rs` is `client::retry`; `lib.rs` and `main.rs` are the root.
fn module_name(path: &str) -> String {
    match path.strip_suffix(".rs").unwrap_or(path) {
        "lib" | "main" => String::new(),
        path => path.replace('/', "::"),
    }
}

#[derive(Debug, Default)]
struct Split {
    kept: Vec<TokenTree>,
    /// Files that belong to tests, as `#[cfg(test)] mod fake;` says.
    test_modules: Vec<String>,
}

/// Leaves out the items that only tests have.
fn split(tokens: Vec<TokenTree>) -> Split {
    let mut split = Split::default();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let attribute = is_hash(&token) && rest.peek().is_some_and(is_cfg_test);
        if !attribute {
            split.kept.push(token);
            continue;
        }
        let item: Vec<_> = item(&mut rest);
        split.test_modules.extend(declared_module(&item));
    }
    split
}

/// Takes an item with its attributes: up to its semicolon or its braces.
fn item(rest: &mut impl Iterator<Item = TokenTree>) -> Vec<TokenTree> {
    let mut item = Vec::new();
    for token in rest {
        let semicolon = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == ';');
        let braces = matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        item.push(token);
        if semicolon || braces {
            break;
        }
    }
    item
}

/// Returns the name in `mod name;`.
fn declared_module(item: &[TokenTree]) -> Option<String> {
    let at = item.iter().position(|token| matches!(token, TokenTree::Ident(word) if word == "mod"))?;
    let ends = matches!(item.last(), Some(TokenTree::Punct(_)));
    ends.then(|| item.get(at + 1).map(ToString::to_string)).flatten()
}

fn is_hash(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(sign) if sign.as_char() == '#')
}

fn is_cfg_test(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    let text: String = group.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Makes a crate of a test, as in `&[("client/retry.rs", "use crate::error;")]`.
#[cfg(test)]
pub(crate) fn example(files: &[(&str, &str)]) -> Crate {
    let owned = |&(path, text): &(&str, &str)| (path.to_owned(), path.to_owned(), text.to_owned());
    Crate::new(files.iter().map(owned).collect()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let modules = example(&[("lib.rs", text)]).modules;
        modules[0].tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_only_tests_have_is_left_out() {
        assert_eq!(kept("a(); #[cfg(test)] mod tests { use super::*; } b();"), "a () ; b () ;");
        assert_eq!(kept("#[cfg(test)] #[derive(Debug)] struct Fake; b();"), "b () ;");
        assert_eq!(kept("// crate::x\n/* crate::y */ b();"), "b () ;");
    }

    #[test]
    fn files_that_a_test_module_declares_are_for_tests() {
        let files = [
            ("lib.rs", "mod client; #[cfg(test)] pub(crate) mod fake;"),
            ("client.rs", "#[cfg(test)] mod tests;"),
            ("client/tests.rs", "mod more;"),
            ("client/tests/more.rs", ""),
            ("fake.rs", ""),
        ];
        let sources = example(&files);
        let names: Vec<_> = sources.sources().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["", "client"]);
    }
}
