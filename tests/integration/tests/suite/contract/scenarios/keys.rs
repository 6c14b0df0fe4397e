//! Keys and values: written, read, compared and swapped, waited for.

use crate::contract::step::{Compare, Request, Step, get, put, send, sleeps, wakes};

pub(crate) fn written() -> Vec<Step> {
    vec![
        get("/v1/kv/none"),
        get("/v1/kv/none?raw"),
        get("/v1/kv/none?recurse"),
        get("/v1/kv/none?keys"),
        put("/v1/kv/a/b", "hello"),
        put("/v1/kv/a/c?flags=42", ""),
        put("/v1/kv/a/d/e", "\u{1}"),
        put("/v1/kv/b?flags=18446744073709551615", r#"{"json":true}"#),
        get("/v1/kv/a/b"),
        get("/v1/kv/a/c"),
        get("/v1/kv/b"),
        get("/v1/kv/a/b?raw"),
        get("/v1/kv/a/b?stale"),
        get("/v1/kv/a/b?cached"),
        get("/v1/kv/a/?recurse"),
        get("/v1/kv/?recurse&raw"),
        get("/v1/kv/a/?keys"),
        get("/v1/kv/a/?keys&separator=/"),
        get("/v1/kv/?keys&separator=/"),
        get("/v1/kv/a?keys&separator=/"),
        get("/v1/kv/a/?keys&recurse"),
        get("/v1/kv?keys"),
        send("DELETE", "/v1/kv/a/never"),
        send("DELETE", "/v1/kv/a/c"),
        get("/v1/kv/a/?keys"),
        send("DELETE", "/v1/kv/a/?recurse"),
        get("/v1/kv/a/?recurse"),
        get("/v1/kv/?keys"),
    ]
}

pub(crate) fn swapped() -> Vec<Step> {
    vec![
        put("/v1/kv/k?cas=0", "1"),
        put("/v1/kv/k?cas=0", "2"),
        put("/v1/kv/k?cas=1", "2"),
        get("/v1/kv/k?raw"),
        put("/v1/kv/k?cas={modified}", "3"),
        get("/v1/kv/k?raw"),
        send("DELETE", "/v1/kv/k?cas=1"),
        send("DELETE", "/v1/kv/k?cas=0"),
        send("DELETE", "/v1/kv/k?cas={modified}"),
        send("DELETE", "/v1/kv/k?cas=5"),
        get("/v1/kv/k"),
    ]
}

pub(crate) fn refused() -> Vec<Step> {
    let mut steps = vec![
        get("/v1/kv/"),
        put("/v1/kv/", "x"),
        send("DELETE", "/v1/kv/"),
        put("/v1/kv/k?cas=x", "x"),
        put("/v1/kv/k?flags=x", "x"),
        send("DELETE", "/v1/kv/k?cas=x"),
        get("/v1/kv/k?dc=dc9"),
        put("/v1/kv/k?dc=dc9", "x"),
        get("/v1/kv/k?ns=x"),
        get("/v1/kv/k?index=x"),
        get("/v1/kv/k?stale&consistent"),
        send("POST", "/v1/kv/k"),
        send("HEAD", "/v1/kv/k"),
        send("OPTIONS", "/v1/kv/k"),
    ];
    steps.push(send("DELETE", "/v1/kv/k?recurse&cas=1").compare(Compare::Start));
    steps.push(put("/v1/kv/k", "{big}").compare(Compare::Start));
    // This registry has no sessions at all; Consul does not know this one.
    steps.push(put("/v1/kv/k?acquire=none", "x").compare(Compare::Nothing));
    steps.push(get("/v1/kv/k"));
    steps
}

pub(crate) fn waited() -> Vec<Step> {
    const WATCHED: &[&str] = &["/v1/kv/a", "/v1/kv/b", "/v1/kv/dir/?recurse", "/v1/kv/dir/?keys", "/v1/kv/?keys"];
    let remove = |path| Request { method: "DELETE", path, body: "" };
    let writes = [
        put("/v1/kv/a", "1"),
        put("/v1/kv/a", "1"),
        put("/v1/kv/a?flags=1", "1"),
        put("/v1/kv/dir/x", "1"),
        put("/v1/kv/b", "1"),
        send("DELETE", "/v1/kv/dir/x"),
        send("DELETE", "/v1/kv/dir/x"),
        put("/v1/kv/dir/y", "1"),
        send("DELETE", "/v1/kv/dir/?recurse"),
        send("DELETE", "/v1/kv/a"),
    ];
    let looks = writes.into_iter().flat_map(|write| [write, Step::Rises(WATCHED)]);
    let waits = vec![
        wakes("/v1/kv/w", "/v1/kv/w", "1"),
        wakes("/v1/kv/w?raw", "/v1/kv/w", "2"),
        sleeps("/v1/kv/w", "/v1/kv/w", "2"),
        sleeps("/v1/kv/w", "/v1/kv/other", "x"),
        sleeps("/v1/kv/missing", "/v1/kv/other", "y"),
        wakes("/v1/kv/missing", "/v1/kv/missing", "x"),
        Step::Wakes { read: "/v1/kv/missing", by: remove("/v1/kv/missing") },
        wakes("/v1/kv/way/?recurse", "/v1/kv/way/x", "1"),
        sleeps("/v1/kv/way/?recurse", "/v1/kv/other", "z"),
        wakes("/v1/kv/way/?keys", "/v1/kv/way/x", "2"),
        Step::Wakes { read: "/v1/kv/way/?recurse", by: remove("/v1/kv/way/x") },
        // As in Consul, below a prefix that never had a key every change wakes.
        wakes("/v1/kv/never/?recurse", "/v1/kv/other", "w"),
    ];
    [Step::Rises(WATCHED)].into_iter().chain(looks).chain(waits).collect()
}
