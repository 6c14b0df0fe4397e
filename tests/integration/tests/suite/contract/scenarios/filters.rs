//! Filter expressions: the same items pass, and the same words refuse.

use crate::contract::step::{A1, A2, Compare, Step, get, put, register, wakes};

const NATIVE: &str = r#"{"ID":"n1","Name":"n","Address":"10.0.0.9","Port":5,"Connect":{"Native":true},"Weights":{"Passing":7,"Warning":2}}"#;

/// Expressions, as they stand in a URL, over what each endpoint has.
pub(crate) fn selected() -> Vec<Step> {
    let paths = [
        "/v1/health/service/a?filter=Service.Meta.version==v1",
        "/v1/health/service/a?filter=%22v1%22+in+Service.Tags",
        "/v1/health/service/a?filter=Service.Tags+not+contains+v1",
        "/v1/health/service/a?filter=Service.Port==50052+or+Service.Weights.Passing==7",
        "/v1/health/service/a?filter=not+(Service.ID==a1+or+Service.ID==b)",
        "/v1/health/service/a?filter=Service.Address+matches+%22%5E10%22+and+Service.TaggedAddresses+is+not+empty",
        "/v1/health/service/a?filter=Service.Meta.none+!=+x",
        "/v1/health/service/a?filter=Service.Meta.none+==+x",
        "/v1/health/service/a?filter=Service.Meta+is+empty",
        "/v1/health/service/a?filter=Checks.Status==critical",
        "/v1/health/service/a?filter=Checks.Status!=passing&passing",
        "/v1/health/service/a?filter=Node.Node==n1+and+Node.Meta+is+not+empty",
        "/v1/health/service/a?filter=Service.Connect.Native==true",
        "/v1/health/service/a?filter=Service.ID+in+Service.Tags",
        "/v1/health/service/a?filter=&tag=v1",
        "/v1/health/service/none?filter=Service.ID==x",
        "/v1/health/connect/n",
        "/v1/health/connect/n?filter=Service.Weights.Passing==7",
        "/v1/health/connect/a",
        "/v1/health/checks/a?filter=Status==passing",
        "/v1/health/checks/a?filter=ServiceTags+contains+v1+and+Type==ttl",
        "/v1/health/node/n1?filter=CheckID==serfHealth",
        "/v1/health/state/any?filter=Name==lease",
        "/v1/catalog/nodes?filter=Node==n1",
        "/v1/catalog/nodes?filter=Meta.none==x",
        "/v1/catalog/services?filter=ServiceTags+contains+v1",
        "/v1/catalog/services?filter=ServiceName==consul+or+ServiceMeta.version==v1",
        "/v1/catalog/services?filter=ServiceTaggedAddresses+is+empty",
        "/v1/catalog/service/a?filter=ServicePort==50051",
        "/v1/catalog/service/a?filter=ServiceMeta.version+is+not+empty",
        "/v1/catalog/connect/n",
        "/v1/catalog/connect/n?filter=ServiceWeights.Warning==2",
        "/v1/catalog/connect/a",
        "/v1/agent/services?filter=Tags+contains+v1",
        "/v1/agent/services?filter=Weights.Passing==7",
        "/v1/agent/checks?filter=ServiceName==a+and+Status==critical",
        "/v1/agent/service/a1?filter=Bogus==1",
        "/v1/catalog/nodes?node-meta=consul-network-segment:",
        "/v1/catalog/nodes?node-meta=none:x",
        "/v1/catalog/services?node-meta=none:x",
        "/v1/catalog/service/a?node-meta=none:x",
        "/v1/health/service/a?node-meta=none:x",
        "/v1/health/checks/a?node-meta=none:x",
        "/v1/health/state/any?node-meta=none:x",
    ];
    let mut steps = vec![register(A1), register(A2), register(NATIVE)];
    steps.extend(paths.map(get));
    let own = &["/Node/Node", "/Services/a1", "/Services/a2/Tags", "/Services/n1/Weights"];
    for path in ["/v1/catalog/node/n1", "/v1/catalog/node/n1?filter=Port==50051", "/v1/catalog/node/none"] {
        steps.push(get(path).compare(Compare::Members(own)));
    }
    steps.push(get("/v1/agent/members?filter=Name==none"));
    // A filter chooses what an answer shows, not what it waits for.
    steps.push(wakes("/v1/health/service/a?filter=Service.ID==a1", "/v1/agent/service/deregister/a2", ""));
    steps.push(put("/v1/agent/service/deregister/n1", ""));
    steps
}

pub(crate) fn refused() -> Vec<Step> {
    let expressions = [
        "/v1/health/service/a?filter=Bogus==x",
        "/v1/health/service/a?filter=Service.Locality.Zone==x",
        "/v1/health/service/a?filter=Service.Port==abc",
        "/v1/health/service/a?filter=Service.Port+is+empty",
        "/v1/health/service/a?filter=Service.Tags==x",
        "/v1/health/service/a?filter=Service.Meta.a-b==x",
        "/v1/health/service/a?filter=Service.Connect.Native==maybe",
        "/v1/health/service/a?filter=Service.ID",
        "/v1/health/service/a?filter=Service.ID==",
        "/v1/health/service/a?filter=(Service.ID==a",
        "/v1/health/service/a?filter=Service.ID==10.0.0.7",
        "/v1/health/service/a?filter=+",
        "/v1/health/service/a?filter=Service.ID==a+and",
        "/v1/health/service/a?filter=Service.ID==%22a",
        "/v1/health/service/a?filter=Service.Tags[0]==a",
        "/v1/health/connect/a?filter=Bogus==x",
        "/v1/health/checks/a?filter=Bogus==x",
        "/v1/health/node/n1?filter=Bogus==x",
        "/v1/health/state/any?filter=Bogus==x",
        "/v1/catalog/nodes?filter=Node.Node==x",
        "/v1/catalog/node/n1?filter=Bogus==x",
        "/v1/catalog/services?filter=Service.ID==x",
        "/v1/catalog/service/a?filter=Service.ID==x",
        "/v1/catalog/connect/a?filter=Service.ID==x",
        "/v1/agent/services?filter=Datacenter==dc1",
        "/v1/agent/checks?filter=Bogus==x",
        "/v1/agent/checks?filter=Notes+is+empty",
        "/v1/agent/members?filter=Bogus==x",
        "/v1/health/connect/",
        "/v1/catalog/connect/",
        "/v1/catalog/node/",
    ];
    let of_checks = ["Bogus==x", "Notes+is+empty", "ExposedPort==x", "=="];
    let of_checks = of_checks.map(|text| get(Box::leak(format!("/v1/agent/checks?filter={text}").into_boxed_str())));
    let pattern = "/v1/health/service/a?filter=Service.ID+matches+%22%5B%22";
    // Where there is no check, some of it is not found out.
    let refused = expressions.into_iter().map(get).chain([register(A1)]).chain(of_checks);
    refused.chain([get(pattern).compare(Compare::Start)]).collect()
}
