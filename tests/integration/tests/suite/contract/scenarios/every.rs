//! What every endpoint is asked alike: methods that it does not have, and parameters that are not for it.

use selvedge_registry::endpoints;

use crate::contract::step::{Compare, Request, Step};

/// A method that each endpoint refuses, and what it says of those that it has.
pub(crate) fn methods() -> Vec<Step> {
    let of = |(methods, path): (&'static str, &'static str)| {
        let other = if methods.contains("POST") { "PUT" } else { "POST" };
        let head = methods.contains("GET").then_some("HEAD");
        [other, "OPTIONS"].into_iter().chain(head).map(move |method| ask(method, named(path, ""), Compare::Body))
    };
    endpoints().flat_map(of).collect()
}

/// Parameters of Consul Enterprise, of another datacenter, and a bad index.
pub(crate) fn parameters() -> Vec<Step> {
    const QUERIES: [&str; 4] = ["?ns=default", "?partition=default", "?dc=dc9", "?index=x"];
    let of = |(methods, path): (&'static str, &'static str)| {
        // Answers about the registry itself, of which the members are compared elsewhere.
        let own = ["self", "version", "members"].iter().any(|name| path.ends_with(name));
        let compare = if own { Compare::Nothing } else { Compare::Body };
        let asks = methods.split(',').flat_map(|method| QUERIES.map(|query| (method, query)));
        asks.map(move |(method, query)| ask(method, named(path, query), compare)).collect::<Vec<_>>()
    };
    endpoints().flat_map(of).collect()
}

fn ask(method: &'static str, path: &'static str, compare: Compare) -> Step {
    Step::Ask(Request { method, path, body: "" }, compare)
}

/// A path is static, as all of a request is: there are few.
fn named(path: &str, query: &str) -> &'static str {
    let name = if path.ends_with('/') { "x" } else { "" };
    Box::leak(format!("{path}{name}{query}").into_boxed_str())
}
