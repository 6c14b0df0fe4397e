//! Nodes, services and checks that are written into the catalog past any agent.

use crate::contract::step::{Compare, Step, get, put, sleeps, wakes};

const REGISTER: &str = "/v1/catalog/register";
const DEREGISTER: &str = "/v1/catalog/deregister";

const FULL: &str = r#"{"Datacenter":"dc1","ID":"40e4a748-2192-161a-0510-9bf59fe950b5","Node":"ext","Address":"10.0.0.9",
    "TaggedAddresses":{"lan":"10.0.0.9","wan":"203.0.113.9"},"NodeMeta":{"external-node":"true"},
    "Service":{"ID":"db1","Service":"db","Tags":["main"],"Address":"10.0.0.9","Port":5432,"Meta":{"v":"1"},
      "TaggedAddresses":{"lan":{"Address":"10.0.0.9","Port":5432}},"Weights":{"Passing":10,"Warning":1}},
    "Checks":[{"Node":"ext","CheckID":"db1:lease","Name":"lease","Status":"passing","ServiceID":"db1","Output":"ok"},
      {"CheckID":"alive","Name":"alive","Status":"passing","Notes":"n"}]}"#;
const BARE: &str = r#"{"Node":"bare","Address":"10.0.0.8"}"#;
const SECOND: &str =
    r#"{"Node":"bare","SkipNodeUpdate":true,"Service":{"Service":"db","Port":1,"Connect":{"Native":true}}}"#;
const WARNING: &str = r#"{"Node":"ext","SkipNodeUpdate":true,"Check":{"CheckID":"db1:lease","Name":"lease","Status":"warning","ServiceID":"db1"}}"#;

const READS: [&str; 16] = [
    "/v1/catalog/nodes",
    "/v1/catalog/nodes?node-meta=external-node:true",
    "/v1/catalog/nodes?filter=Node==bare",
    "/v1/catalog/node/ext",
    "/v1/catalog/node/BARE",
    "/v1/catalog/services",
    "/v1/catalog/services?node-meta=external-node:true",
    "/v1/catalog/service/db",
    "/v1/catalog/service/db?filter=ServicePort==1",
    "/v1/catalog/connect/db",
    "/v1/health/service/db",
    "/v1/health/service/db?passing&tag=main",
    "/v1/health/connect/db",
    "/v1/health/checks/db",
    "/v1/health/node/ext",
    "/v1/health/state/any?node-meta=external-node:true",
];

pub(crate) fn written() -> Vec<Step> {
    let reads = || READS.map(get);
    let mut steps = vec![put(REGISTER, FULL), put(REGISTER, BARE), put(REGISTER, SECOND)];
    steps.extend(reads());
    steps.extend([
        put("/v1/agent/service/register", r#"{"Name":"db","ID":"own"}"#),
        get("/v1/health/service/db"),
        get("/v1/catalog/service/db"),
        get("/v1/catalog/services"),
        get("/v1/agent/services"),
        get("/v1/agent/checks"),
        put("/v1/agent/service/deregister/db1", ""),
        put("/v1/agent/service/deregister/own", ""),
        put(REGISTER, WARNING),
        get("/v1/health/service/db?passing"),
        get("/v1/health/state/warning"),
        put(REGISTER, r#"{"Node":"ext","Address":"10.0.0.10","Check":{"Name":"by name"}}"#),
        get("/v1/catalog/node/EXT"),
        get("/v1/health/node/Ext"),
        put(REGISTER, definition()),
        get("/v1/health/node/defined"),
        put(DEREGISTER, r#"{"Node":"ext","CheckID":"alive","Address":"obsolete"}"#),
        put(DEREGISTER, r#"{"Node":"ext","ServiceID":"db1","CheckID":"by name"}"#),
        get("/v1/health/node/ext"),
        get("/v1/health/service/db"),
        put(DEREGISTER, r#"{"Node":"ext","ServiceID":"none"}"#),
        put(DEREGISTER, r#"{"Node":"ext"}"#),
        put(DEREGISTER, r#"{"Node":"none","Datacenter":"dc1"}"#),
    ]);
    steps.extend(reads());
    steps
}

/// A check that only another program could run.
fn definition() -> &'static str {
    r#"{"Node":"defined","Address":"x","Check":{"Name":"tcp","Status":"passing","Definition":{"TCP":"10.0.0.9:5432",
        "Interval":"10s","Timeout":"1m30s","DeregisterCriticalServiceAfter":"2m"}}}"#
}

pub(crate) fn refused() -> Vec<Step> {
    let registrations = [
        "null",
        "{}",
        r#"{"Node":"e"}"#,
        r#"{"Node":"e","Address":"x","Datacenter":"dc9"}"#,
        r#"{"Node":"e","Address":"x","Service":{"Service":"s","Address":"0.0.0.0"}}"#,
        r#"{"Node":"e","Address":"x","Service":{"ID":"s"}}"#,
        r#"{"Node":"e","Address":"x","PeerName":"p"}"#,
        r#"{"Node":"e","Address":"x","Check":{"CheckID":"c","ServiceID":"none"}}"#,
        r#"{"Node":"e","Address":"x","Check":{"CheckID":"c","Node":"other"}}"#,
        r#"{"Node":"e","Address":"x","Bogus":1}"#,
        r#"{"Node":"e","Address":"x","Service":{"Name":"s"}}"#,
        r#"{"Node":"e","Address":"x","Namespace":"default"}"#,
        "",
        "{",
    ];
    let undecoded = ["[]", r#"{"Node":5}"#, r#"{"Node":"e","Checks":{}}"#, r#"{"Node":"e","Service":[]}"#];
    let removals = ["null", "{}", r#"{"Node":"e","Bogus":1}"#, r#"{"Node":"e","Datacenter":"dc9"}"#, ""];
    let bad_id = put(REGISTER, r#"{"Node":"e","Address":"x","ID":"x"}"#).compare(Compare::Start);
    let steps = registrations.into_iter().map(|body| put(REGISTER, body)).chain([bad_id]);
    let steps = steps.chain(undecoded.into_iter().map(|body| put(REGISTER, body).compare(Compare::Start)));
    let steps = steps.chain(removals.into_iter().map(|body| put(DEREGISTER, body)));
    steps.chain([get("/v1/catalog/nodes")]).collect()
}

/// By itself, as older servers take it.
pub(crate) fn nameless() -> Vec<Step> {
    vec![put(REGISTER, r#"{"Node":"nameless","Address":"x","Service":{}}"#)]
}

pub(crate) fn indexes() -> Vec<Step> {
    const WATCHED: &[&str] = &[
        "/v1/catalog/nodes",
        "/v1/catalog/node/n1",
        "/v1/catalog/services",
        "/v1/catalog/service/db",
        "/v1/health/service/db",
        "/v1/health/service/b",
        "/v1/health/service/none",
        "/v1/health/checks/db",
        "/v1/health/state/any",
    ];
    let writes = [
        put("/v1/agent/service/register", r#"{"Name":"b"}"#),
        put(REGISTER, FULL),
        put(REGISTER, FULL),
        put(REGISTER, BARE),
        put(REGISTER, SECOND),
        put(REGISTER, WARNING),
        put(REGISTER, r#"{"Node":"bare","Address":"10.0.0.7"}"#),
        put(REGISTER, r#"{"Node":"bare","SkipNodeUpdate":true,"Check":{"CheckID":"alive","Status":"passing"}}"#),
        put(DEREGISTER, r#"{"Node":"bare","CheckID":"alive"}"#),
        put(DEREGISTER, r#"{"Node":"bare","ServiceID":"db"}"#),
        put(DEREGISTER, r#"{"Node":"bare"}"#),
        put(DEREGISTER, r#"{"Node":"ext"}"#),
        put(DEREGISTER, r#"{"Node":"ext"}"#),
    ];
    let looks = writes.into_iter().flat_map(|write| [write, Step::Rises(WATCHED)]);
    [Step::Rises(WATCHED)].into_iter().chain(looks).collect()
}

pub(crate) fn waited() -> Vec<Step> {
    vec![
        wakes("/v1/catalog/nodes", REGISTER, BARE),
        wakes("/v1/health/service/db", REGISTER, FULL),
        wakes("/v1/health/service/db?passing", REGISTER, WARNING),
        sleeps("/v1/health/service/db", REGISTER, BARE),
        wakes("/v1/catalog/node/ext", DEREGISTER, r#"{"Node":"ext","ServiceID":"db1"}"#),
        put(DEREGISTER, r#"{"Node":"ext"}"#),
        put(DEREGISTER, r#"{"Node":"bare"}"#),
    ]
}
