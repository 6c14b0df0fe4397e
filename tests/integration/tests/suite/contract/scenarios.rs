//! The scenarios: what the mesh uses of the API, and the edges of it.

mod access;
mod catalog;
mod edges;
mod every;
mod filters;
mod keys;
mod mesh;

use crate::contract::step::{A1, A2, Compare, Step, get, put, register, sleeps, until, wakes};

/// Steps that begin with an empty registry.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario("an empty registry", empty()),
        scenario("an instance comes and goes", lifecycle()),
        scenario("what the mesh writes", mesh::writes()),
        scenario("defaults of a registration", defaults()),
        scenario("refused registrations", edges::refused()),
        scenario("bodies that are no registration", edges::not_decoded()),
        scenario("leases", leases()),
        scenario("a lease that ends", expiry()),
        scenario("probes", probes()),
        scenario("maintenance", maintenance()),
        scenario("registering again", again()),
        scenario("checks by themselves", checks_alone()),
        scenario("health of the agent's own services", own_health()),
        scenario("empty maps and none", edges::empty_maps()),
        scenario("parameters of reads", edges::parameters()),
        scenario("indexes", indexes()),
        scenario("blocking reads", blocking()),
        scenario("paths and methods", edges::paths()),
        scenario("filters", filters::selected()),
        scenario("refused filters", filters::refused()),
        scenario("keys and values", keys::written()),
        scenario("keys compared and swapped", keys::swapped()),
        scenario("refused requests for keys", keys::refused()),
        scenario("keys waited for", keys::waited()),
        scenario("a service waited for by its hash", hashes()),
        scenario("what is written into the catalog", catalog::written()),
        scenario("what the catalog refuses", catalog::refused()),
        scenario("a service without a name in the catalog", catalog::nameless()),
        scenario("indexes of what is written into the catalog", catalog::indexes()),
        scenario("what is written into the catalog, waited for", catalog::waited()),
        scenario("no tokens", edges::no_tokens()),
        scenario("methods of every endpoint", every::methods()),
        scenario("parameters of every endpoint", every::parameters()),
    ]
}

/// For registries that only one token opens.
pub(crate) fn closed() -> Vec<Scenario> {
    vec![scenario("access", access::steps())]
}

fn scenario(name: &'static str, steps: Vec<Step>) -> Scenario {
    Scenario { name, steps }
}

const B: &str = r#"{"Name":"b"}"#;

fn empty() -> Vec<Step> {
    let own = &[
        "/Config/Datacenter",
        "/Config/NodeName",
        "/Config/Server",
        "/Config/BindAddr",
        "/Member/Name",
        "/Member/Addr",
    ];
    let member = &["/0/Name", "/0/Addr", "/0/Status", "/0/Tags/role", "/0/Tags/dc", "/0/ProtocolCur"];
    vec![
        get("/v1/status/leader"),
        get("/v1/status/peers"),
        get("/v1/agent/self").compare(Compare::Members(own)),
        get("/v1/agent/members").compare(Compare::Members(member)),
        get("/v1/agent/version").compare(Compare::Members(&["/SHA", "/FIPS"])),
        get("/v1/agent/services"),
        get("/v1/agent/checks"),
        get("/v1/agent/service/none"),
        get("/v1/catalog/datacenters"),
        get("/v1/catalog/nodes"),
        get("/v1/catalog/services"),
        get("/v1/catalog/service/none"),
        get("/v1/health/service/none"),
        get("/v1/health/checks/none"),
        get("/v1/health/state/any"),
        get("/v1/health/node/n1"),
        get("/v1/health/node/none"),
        put("/v1/agent/service/deregister/none", ""),
        put("/v1/agent/service/maintenance/none?enable=true", ""),
        put("/v1/agent/check/pass/none", ""),
    ]
}

fn lifecycle() -> Vec<Step> {
    vec![
        register(A1),
        register(A2),
        register(B),
        get("/v1/agent/services"),
        get("/v1/agent/service/a1"),
        get("/v1/agent/checks"),
        get("/v1/catalog/services"),
        get("/v1/catalog/service/a"),
        get("/v1/catalog/service/b"),
        get("/v1/health/service/a"),
        get("/v1/health/service/b"),
        get("/v1/health/checks/a"),
        get("/v1/health/state/any"),
        get("/v1/health/state/critical"),
        get("/v1/health/state/bogus"),
        get("/v1/health/node/n1"),
        put("/v1/agent/service/deregister/a1", ""),
        put("/v1/agent/service/deregister/a1", ""),
        get("/v1/catalog/services"),
        get("/v1/health/service/a"),
        get("/v1/agent/checks"),
    ]
}

fn defaults() -> Vec<Step> {
    vec![
        register(r#"{"NAME":"v","pOrt":80,"enable_tag_override":true,"Tags":null,"Checks":null,"Token":"x"} trailing"#),
        get("/v1/agent/service/v"),
        register(
            r#"{"Name":"v","ID":"v6","Address":"fd00::1","Port":7,"Locality":{"Region":"r","Zone":"z"},
            "Connect":{"Native":true},"Weights":{"Passing":10,"Warning":0},
            "TaggedAddresses":{"lan":{"Address":"1.1.1.1","Port":5}}}"#,
        ),
        register(r#"{"Name":"v","ID":"vh","Address":"host.example","Port":-1,"Kind":"other","SocketPath":"/s"}"#),
        register(r#"{"Name":"v w","ID":"with space"}"#),
        get("/v1/agent/services"),
        get("/v1/catalog/service/v"),
        get("/v1/health/service/v"),
        get("/v1/health/service/v%20w"),
        register(r#"{"Name":"c","Check":{"TTL":"1m30s"}}"#),
        register(
            r#"{"Name":"d","Checks":[{"TTL":15000000000},{"TTL":"1h1m1.5s"}],"Check":{"TTL":"7s","Name":"first"}}"#,
        ),
        register(r#"{"Name":"e","Check":{}}"#),
        register(r#"{"Name":"f","Check":{"TTL":"5s","deregister_critical_service_after":"1m"}}"#),
        get("/v1/agent/checks"),
    ]
}

fn leases() -> Vec<Step> {
    vec![
        register(A1),
        put("/v1/agent/check/pass/a1:two", ""),
        get("/v1/health/service/a?passing"),
        put("/v1/agent/check/warn/a1:two?note=hey", ""),
        get("/v1/health/service/a?passing"),
        get("/v1/health/checks/a"),
        get("/v1/health/state/warning"),
        put("/v1/agent/check/fail/a1:two", ""),
        get("/v1/health/state/critical"),
        put("/v1/agent/check/update/a1:two", r#"{"Status":"passing","Output":"in"}"#),
        get("/v1/agent/checks"),
        put("/v1/agent/check/update/a1:two", r#"{"Status":"passing","Output":"out"}"#),
        get("/v1/agent/checks"),
        get("/v1/health/checks/a"),
        put("/v1/agent/check/update/a1:two", r#"{"Status":"good"}"#),
        put("/v1/agent/check/update/a1:two", r#"{"Status":"#),
        put("/v1/agent/check/update/a1:two", r#"{"Status":"passing","Bogus":1}"#),
        put("/v1/agent/check/update/none", r#"{"Status":"passing"}"#),
        put("/v1/agent/check/pass/", ""),
    ]
}

fn expiry() -> Vec<Step> {
    vec![
        register(r#"{"Name":"exp","Check":{"TTL":"1s","Status":"passing","Notes":"nn"}}"#),
        until("/v1/health/checks/exp", "TTL expired"),
        get("/v1/health/service/exp?passing"),
        put("/v1/agent/check/pass/service:exp?note=fine", ""),
        until("/v1/agent/checks", "TTL expired (last output before timeout follows): fine"),
    ]
}

fn probes() -> Vec<Step> {
    vec![
        register(
            r#"{"Name":"p","Checks":[
            {"CheckID":"tcp","TCP":"{own}","Interval":"1s"},
            {"CheckID":"http","HTTP":"http://{own}/v1/status/leader","Interval":"1500ms","Timeout":"61s"},
            {"CheckID":"grpc","GRPC":"{grpc}","Interval":"1s","Timeout":"5s"}]}"#,
        ),
        // An instance passes when each of its checks does.
        until("/v1/health/service/p?passing", "serfHealth"),
        put("/v1/agent/check/pass/tcp", ""),
        put("/v1/agent/check/warn/tcp", ""),
        put("/v1/agent/check/fail/tcp", ""),
        put("/v1/agent/check/update/tcp", r#"{"Status":"passing"}"#),
        put("/v1/agent/check/warn/none", ""),
        put("/v1/agent/check/fail/none", ""),
    ]
}

fn maintenance() -> Vec<Step> {
    vec![
        register(B),
        put("/v1/agent/service/maintenance/b?enable=true&reason=drain", ""),
        get("/v1/health/service/b"),
        get("/v1/health/service/b?passing"),
        get("/v1/agent/health/service/id/b"),
        put("/v1/agent/service/maintenance/b?enable=true&reason=other", ""),
        get("/v1/agent/checks"),
        put("/v1/agent/service/maintenance/b?enable=false", ""),
        get("/v1/health/service/b?passing"),
        put("/v1/agent/service/maintenance/b?enable=1", ""),
        get("/v1/agent/checks"),
        register(B),
        get("/v1/agent/checks"),
        put("/v1/agent/service/register?replace-existing-checks=true", B),
        get("/v1/agent/checks"),
        put("/v1/agent/service/maintenance/b", ""),
        put("/v1/agent/service/maintenance/b?enable=x", ""),
        put("/v1/agent/service/maintenance/?enable=true", ""),
        put("/v1/agent/maintenance?enable=true&reason=all", ""),
        get("/v1/health/service/b?passing"),
        get("/v1/health/service/b"),
        put("/v1/agent/maintenance?enable=false", ""),
        get("/v1/health/service/b?passing"),
        put("/v1/agent/maintenance", ""),
    ]
}

fn again() -> Vec<Step> {
    let other =
        r#"{"ID":"a1","Name":"a","Tags":["new"],"Checks":[{"CheckID":"a1:ttl","TTL":"30s","Status":"critical"}]}"#;
    vec![
        register(A1),
        put("/v1/agent/check/warn/a1:ttl?note=hm", ""),
        register(other),
        get("/v1/agent/checks"),
        get("/v1/health/service/a"),
        put("/v1/agent/service/register?replace-existing-checks=1", other),
        get("/v1/agent/checks"),
        put("/v1/agent/service/register?replace-existing-checks", other),
        get("/v1/agent/checks"),
        get("/v1/health/checks/a"),
        register(r#"{"ID":"a1","Name":"renamed"}"#),
        get("/v1/catalog/services"),
        get("/v1/health/service/a"),
        get("/v1/health/service/renamed"),
    ]
}

fn checks_alone() -> Vec<Step> {
    vec![
        register(B),
        put("/v1/agent/check/register", r#"{"Name":"extra","TTL":"30s","ServiceID":"b"}"#),
        put("/v1/agent/check/register", r#"{"ID":"n","Name":"of the node","TTL":"30s","Notes":"n"}"#),
        put("/v1/agent/check/register", r#"{"TTL":"30s"}"#),
        put("/v1/agent/check/register", r#"{"Name":"x","TTL":"30s","ServiceID":"none"}"#),
        put("/v1/agent/check/register", r#"{"Name":"x"}"#),
        put("/v1/agent/check/register", r#"{"Name":"x","Interval":"5s","Args":["true"]}"#),
        put("/v1/agent/check/register", r#"{"Name":"x","TTL":"1s","Status":"good"}"#),
        put("/v1/agent/check/register", r#"{"Name":"x","TTL":"1s","CheckID":"y"}"#),
        get("/v1/agent/checks"),
        get("/v1/health/service/b"),
        put("/v1/agent/check/pass/n", ""),
        get("/v1/health/service/b"),
        put("/v1/agent/check/deregister/n", ""),
        put("/v1/agent/check/deregister/none", ""),
        get("/v1/health/node/n1"),
    ]
}

fn own_health() -> Vec<Step> {
    vec![
        register(A1),
        register(B),
        get("/v1/agent/health/service/id/none"),
        get("/v1/agent/health/service/name/none"),
        get("/v1/agent/health/service/id/a1"),
        get("/v1/agent/health/service/name/a"),
        get("/v1/agent/health/service/name/a?format=text"),
        get("/v1/agent/health/service/id/b"),
        get("/v1/agent/health/service/id/b?format=text"),
        get("/v1/agent/health/service/name/b"),
        put("/v1/agent/check/warn/a1:two", ""),
        get("/v1/agent/health/service/id/a1"),
        get("/v1/agent/health/service/name/a"),
        put("/v1/agent/service/deregister/a1", ""),
        register(r#"{"Name":"w","Check":{"TTL":"60s","Status":"warning"}}"#),
        get("/v1/agent/health/service/id/w"),
        get("/v1/agent/health/service/name/w"),
        get("/v1/agent/health/service/name/none?format=text"),
        get("/v1/agent/health/service/id/none?format=text"),
        get("/v1/agent/health/service/id/"),
        get("/v1/agent/health/service/name/"),
    ]
}

fn indexes() -> Vec<Step> {
    const WATCHED: &[&str] = &[
        "/v1/catalog/services",
        "/v1/catalog/service/a",
        "/v1/catalog/service/b",
        "/v1/health/service/a",
        "/v1/health/service/b",
        "/v1/health/service/none",
        "/v1/health/checks/a",
        "/v1/health/state/any",
        "/v1/catalog/nodes",
    ];
    let writes = [
        register(A1),
        register(B),
        register(A1),
        register(r#"{"Name":"b","Port":1}"#),
        put("/v1/agent/check/pass/a1:ttl", ""),
        put("/v1/agent/check/warn/a1:ttl", ""),
        put("/v1/agent/check/warn/a1:ttl?note=other", ""),
        register(A2),
        put("/v1/agent/service/maintenance/b?enable=true", ""),
        put("/v1/agent/service/maintenance/b?enable=true", ""),
        put("/v1/agent/service/maintenance/b?enable=false", ""),
        put("/v1/agent/check/register", r#"{"Name":"of the node","TTL":"30s"}"#),
        put("/v1/agent/check/pass/of%20the%20node", ""),
        put("/v1/agent/service/deregister/a1", ""),
        put("/v1/agent/service/deregister/b", ""),
        put("/v1/agent/service/deregister/a2", ""),
    ];
    let looks = writes.into_iter().flat_map(|write| [write, Step::Rises(WATCHED)]);
    [Step::Rises(WATCHED)].into_iter().chain(looks).collect()
}

fn hashes() -> Vec<Step> {
    const HASH: &str = "/v1/agent/service/b";
    vec![
        register(B),
        get("/v1/agent/service/b?hash=other&wait=10s"),
        get("/v1/agent/service/b?hash=other&wait=x"),
        get("/v1/agent/service/none?hash=other&wait=10s"),
        wakes(HASH, "/v1/agent/service/register", r#"{"Name":"b","Port":1}"#),
        sleeps(HASH, "/v1/agent/service/register", r#"{"Name":"b","Port":1}"#),
        sleeps(HASH, "/v1/agent/service/register", A1),
        sleeps(HASH, "/v1/agent/service/maintenance/b?enable=true", ""),
    ]
}

fn blocking() -> Vec<Step> {
    let fresh = r#"{"ID":"a1","Name":"a","Port":1}"#;
    vec![
        register(B),
        wakes("/v1/health/service/a", "/v1/agent/service/register", A1),
        wakes("/v1/health/service/a?stale", "/v1/agent/check/warn/a1:ttl", ""),
        wakes("/v1/health/service/a?passing", "/v1/agent/service/maintenance/a1?enable=true", ""),
        wakes("/v1/health/checks/a", "/v1/agent/check/pass/a1:ttl", ""),
        wakes("/v1/catalog/service/a", "/v1/agent/service/register", A2),
        wakes("/v1/catalog/services?stale", "/v1/agent/service/register", fresh),
        wakes("/v1/catalog/services", "/v1/agent/service/deregister/a2", ""),
        wakes("/v1/health/service/a", "/v1/agent/service/deregister/a1", ""),
        sleeps("/v1/health/service/a", "/v1/agent/service/register", r#"{"Name":"b","Port":2}"#),
        sleeps("/v1/health/service/b", "/v1/agent/service/register", A1),
        sleeps("/v1/health/service/b?stale", "/v1/agent/service/register", r#"{"Name":"b","Port":2}"#),
        sleeps("/v1/catalog/services", "/v1/agent/check/warn/a1:ttl", ""),
        sleeps("/v1/health/service/a", "/v1/agent/check/warn/a1:ttl", ""),
    ]
}
