//! What who names no token, or one that does not exist, may do and see where one token may do everything.

use crate::contract::step::{Step, get, put, send};

const READS: [&str; 25] = [
    "/v1/status/leader",
    "/v1/agent/self",
    "/v1/agent/members",
    "/v1/agent/services",
    "/v1/agent/checks",
    "/v1/agent/service/a",
    "/v1/agent/service/none",
    "/v1/agent/health/service/id/a",
    "/v1/agent/health/service/name/a",
    "/v1/catalog/datacenters",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/service/a",
    "/v1/catalog/node/n1",
    "/v1/catalog/connect/a",
    "/v1/health/service/a",
    "/v1/health/connect/a",
    "/v1/health/checks/a",
    "/v1/health/node/n1",
    "/v1/health/state/any",
    "/v1/kv/k",
    "/v1/kv/none",
    "/v1/kv/?recurse",
    "/v1/kv/?keys",
    "/v1/health/service/",
];
const WRITES: [(&str, &str); 28] = [
    ("/v1/agent/service/register", r#"{"Name":"a"}"#),
    ("/v1/agent/service/register", r#"{"Name":"new"}"#),
    ("/v1/agent/service/register", r#"{"Name":""}"#),
    ("/v1/agent/service/register", r#"{"Name":"a","Bogus":1}"#),
    ("/v1/agent/service/deregister/a", ""),
    ("/v1/agent/service/deregister/none", ""),
    ("/v1/agent/service/maintenance/a?enable=true", ""),
    ("/v1/agent/service/maintenance/a", ""),
    ("/v1/agent/maintenance?enable=true", ""),
    ("/v1/agent/check/register", r#"{"Name":"x","TTL":"5s"}"#),
    ("/v1/agent/check/register", r#"{"Name":"x","TTL":"5s","ServiceID":"a"}"#),
    ("/v1/agent/check/pass/service:a", ""),
    ("/v1/agent/check/pass/none", ""),
    ("/v1/agent/check/update/of-node", r#"{"Status":"passing"}"#),
    ("/v1/agent/check/deregister/of-node", ""),
    ("/v1/agent/check/warn/service:a", ""),
    ("/v1/agent/check/fail/service:a", ""),
    ("/v1/catalog/register", r#"{"Node":"new","Address":"x"}"#),
    ("/v1/catalog/register", r#"{"Node":"ext","Address":"x"}"#),
    ("/v1/catalog/register", r#"{"Node":"ext","Address":"x","Service":{"Service":"db"}}"#),
    ("/v1/catalog/register", r#"{"Node":"ext","Address":"x","Check":{"CheckID":"c","ServiceID":"db"}}"#),
    ("/v1/catalog/register", r#"{"Node":"ext","Address":"x","Check":{"CheckID":"c"}}"#),
    ("/v1/catalog/register", "{}"),
    ("/v1/catalog/deregister", r#"{"Node":"ext"}"#),
    ("/v1/catalog/deregister", r#"{"Node":"ext","ServiceID":"db"}"#),
    ("/v1/catalog/deregister", r#"{"Node":"ext","ServiceID":"none"}"#),
    ("/v1/catalog/deregister", "{}"),
    ("/v1/kv/k", "x"),
];

/// Requests without a token, then with a wrong one, then with the right one in each of its places.
pub(crate) fn steps() -> Vec<Step> {
    let prepare = [
        put("/v1/agent/service/register?token={token}", r#"{"Name":"a","Check":{"TTL":"600s"}}"#),
        put("/v1/agent/check/register?token={token}", r#"{"Name":"of-node","TTL":"600s"}"#),
        put("/v1/kv/k?token={token}", "v"),
        put("/v1/catalog/register?token={token}", r#"{"Node":"ext","Address":"x","Service":{"Service":"db"}}"#),
    ];
    let without = READS.into_iter().map(get).chain(WRITES.into_iter().map(|(path, body)| put(path, body)));
    let wrong = READS.into_iter().map(|path| get(with_token(path, "wrong")));
    let wrong = wrong.chain(WRITES.into_iter().map(|(path, body)| put(with_token(path, "wrong"), body)));
    let right = [
        get("/v1/agent/services?token={token}"),
        get("/v1/health/service/a?token={token}"),
        get("/v1/kv/k?token={token}"),
        get("/v1/kv/none?token={token}"),
        get("/v1/health/service/a?filter=Bogus==1"),
        get("/v1/health/service/a?filter=Bogus==1&token=wrong"),
        get("/v1/health/service/a?index=x&token=wrong"),
        get("/v1/health/service/a?dc=dc9&token=wrong"),
        send("DELETE", "/v1/kv/k"),
        send("DELETE", "/v1/kv/k?token=wrong"),
        send("DELETE", "/v1/kv/k?recurse"),
        get("/v1/bogus?token=wrong"),
    ];
    prepare.into_iter().chain(without).chain(wrong).chain(right).collect()
}

/// A path is static, as all of a request is: there are few.
fn with_token(path: &str, token: &str) -> &'static str {
    let separator = if path.contains('?') { '&' } else { '?' };
    Box::leak(format!("{path}{separator}token={token}").into_boxed_str())
}
