//! The edges of the API: what it refuses, and what requests can say beside their path.

use crate::contract::step::{A1, A2, Compare, Step, get, put, register, send, undecoded};

pub(crate) fn refused() -> Vec<Step> {
    let bodies = [
        "null",
        "{}",
        r#"{"Name":""}"#,
        r#"{"ID":"onlyid"}"#,
        r#"{"Name":"v","Address":"0.0.0.0"}"#,
        r#"{"Name":"v","Address":"::"}"#,
        r#"{"Name":"v","Address":"[::]"}"#,
        r#"{"Name":"v","Meta":{"consul-x":"1"}}"#,
        r#"{"Name":"v","Meta":{"a b":"1"}}"#,
        r#"{"Name":"v","Meta":{"":"1"}}"#,
        r#"{"Name":"v","Weights":{"Passing":0,"Warning":1}}"#,
        r#"{"Name":"v","Weights":{"Passing":70000,"Warning":1}}"#,
        r#"{"Name":"v","Weights":{"Passing":1,"Warning":-1}}"#,
        r#"{"Name":"v","Weights":{}}"#,
        r#"{"Name":"v","Locality":{"Zone":"z"}}"#,
        r#"{"Name":"v","Connect":{"Native":true}}"#,
        r#"{"Name":"v","Check":{"Name":"x"}}"#,
        r#"{"Name":"v","Check":{"TTL":"5s","Interval":"5s"}}"#,
        r#"{"Name":"v","Check":{"TTL":"-5s"}}"#,
        r#"{"Name":"v","Check":{"GRPC":"x:1"}}"#,
        r#"{"Name":"v","Check":{"HTTP":"http://x:1"}}"#,
        r#"{"Name":"v","Check":{"Interval":"5s"}}"#,
        r#"{"Name":"v","Check":{"TTL":"5s","Status":"good"}}"#,
        r#"{"Name":"v","Check":{"TTL":"5s","FailuresBeforeWarning":3,"FailuresBeforeCritical":2}}"#,
        r#"{"Name":"v","Bogus":1}"#,
        r#"{"Name":"v","Namespace":"default"}"#,
        r#"{"Name":"v","Checks":[{"Bogus":1}]}"#,
        r#"{"Name":"v","Check":{"check_id":"x"}}"#,
        r#"{"Name":"v","Check":{"Args":["true"],"Interval":"5s"}}"#,
        "",
        "{",
    ];
    bodies.into_iter().map(register).chain([get("/v1/agent/services")]).collect()
}

pub(crate) fn not_decoded() -> Vec<Step> {
    let bodies = [
        "[]",
        "abc",
        r#""x""#,
        r#"{"Name":"v",}"#,
        r#"{"Name":5}"#,
        r#"{"Name":"v","Port":"80"}"#,
        r#"{"Name":"v","Port":1.5}"#,
        r#"{"Name":"v","Tags":"x"}"#,
        r#"{"Name":"v","Meta":{"a":1}}"#,
        r#"{"Name":"v","Weights":5}"#,
        r#"{"Name":"v","Checks":{}}"#,
        r#"{"Name":"v","Checks":["a"]}"#,
        r#"{"Name":"v","Check":[1]}"#,
        r#"{"Name":"v","Check":{"TTL":"5"}}"#,
        r#"{"Name":"v","Check":{"TTL":"abc"}}"#,
        r#"{"Name":"v","Check":{"TTL":""}}"#,
    ];
    bodies.into_iter().map(undecoded).chain([get("/v1/agent/services")]).collect()
}

pub(crate) fn parameters() -> Vec<Step> {
    let paths = [
        "/v1/health/service/A?tag=GRPC&tag=v1&passing",
        "/v1/health/service/a?tag=grpc&tag=none",
        "/v1/catalog/service/a?tag=v2",
        "/v1/health/service/a?passing=false",
        "/v1/health/service/a?passing=maybe",
        "/v1/health/service/a?stale",
        "/v1/health/service/a?leader",
        "/v1/health/service/a?consistent",
        "/v1/health/service/a?stale&consistent",
        "/v1/health/service/a?cached&consistent",
        "/v1/health/service/a?cached",
        "/v1/health/service/a?near=_agent",
        "/v1/health/service/a?dc=dc1",
        "/v1/health/service/a?dc=dc9",
        "/v1/catalog/services?dc=dc9",
        "/v1/status/leader?dc=dc9",
        "/v1/status/peers?dc=dc9",
        "/v1/health/service/a?ns=default",
        "/v1/catalog/services?partition=default",
        "/v1/agent/services?ns=default",
        "/v1/agent/self?ns=default",
        "/v1/health/service/a?index=x",
        "/v1/health/service/a?index=-1",
        "/v1/health/service/a?index=1&wait=5",
        "/v1/health/service/a?index=1&wait=5s",
        "/v1/catalog/services?index=1&wait=5s",
        "/v1/catalog/services?index=&wait=",
        "/v1/catalog/services?index=0&wait=1s",
        "/v1/agent/services?index=x",
    ];
    let reads = paths.into_iter().map(|path| {
        // Two answers about themselves, of which the names are compared elsewhere.
        if path.contains("/self") { get(path).compare(Compare::Nothing) } else { get(path) }
    });
    [register(A1), register(A2)].into_iter().chain(reads).collect()
}

/// A map without members is not the same as none, but to those who read a stream.
pub(crate) fn empty_maps() -> Vec<Step> {
    let reads = || {
        ["/v1/health/service/e", "/v1/health/service/e?index=1", "/v1/catalog/service/e", "/v1/agent/service/e1"]
            .map(get)
    };
    let external = || {
        ["/v1/health/service/x", "/v1/health/service/x?cached", "/v1/catalog/service/x", "/v1/catalog/node/out"]
            .map(get)
    };
    let with =
        r#"{"Node":"out","Address":"10.0.0.9","NodeMeta":{},"TaggedAddresses":{},"Service":{"Service":"x","Meta":{}}}"#;
    let without = r#"{"Node":"out","Address":"10.0.0.9","Service":{"Service":"x","Meta":null}}"#;
    let steps = [register(r#"{"ID":"e1","Name":"e","Meta":{},"Tags":[],"TaggedAddresses":{}}"#)].into_iter();
    let steps = steps.chain(reads()).chain([register(r#"{"ID":"e1","Name":"e","Meta":null}"#)]).chain(reads());
    let steps = steps.chain([put("/v1/catalog/register", with)]).chain(external());
    steps.chain([put("/v1/catalog/register", without)]).chain(external()).collect()
}

/// Without ACLs there is nothing to log in to.
pub(crate) fn no_tokens() -> Vec<Step> {
    vec![
        send("PUT", "/v1/acl/bootstrap"),
        send("POST", "/v1/acl/login"),
        send("POST", "/v1/acl/logout"),
        get("/v1/acl/tokens"),
        send("PUT", "/v1/acl/token"),
        get("/v1/acl/token/x"),
        get("/v1/acl/token/self"),
        send("PUT", "/v1/acl/token/x"),
        send("DELETE", "/v1/acl/token/x"),
    ]
}

pub(crate) fn paths() -> Vec<Step> {
    vec![
        get("/v1/bogus"),
        get("/v1/health"),
        get("/v1/health/"),
        get("/v1/health/service/"),
        get("/v1/health/checks/"),
        get("/v1/health/node/"),
        get("/v1/health/state/"),
        get("/v1/catalog/service/"),
        get("/v1/agent/service/"),
        get("/v1/agent/service/a/b"),
        get("/v1/health/service/a/b"),
        send("POST", "/v1/health/service/a"),
        send("POST", "/v1/agent/service/register"),
        send("GET", "/v1/agent/service/register"),
        send("GET", "/v1/agent/service/deregister/x"),
        send("PUT", "/v1/agent/service/x"),
        send("DELETE", "/v1/agent/check/pass/x"),
        send("HEAD", "/v1/agent/self"),
        send("OPTIONS", "/v1/catalog/services"),
        send("OPTIONS", "/v1/agent/service/register"),
    ]
}
