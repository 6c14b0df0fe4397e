use serde_json::json;

use super::*;

fn read(body: &Value) -> Result<ExternalRegistration, String> {
    external_registration(body.to_string().as_bytes(), "dc1").map_err(|refusal| refusal.text.into_owned())
}

#[test]
fn a_node_comes_with_a_service_and_checks() {
    let body = json!({"Node": "ext", "Address": "10.0.0.9", "Service": {"Service": "db", "Port": 5432, "Tags": null},
        "Check": {"CheckID": "c", "ServiceID": "db", "Definition": {"TCP": "10.0.0.9:5432", "Interval": 10_000_000_000_u64}}});
    let registration = read(&body).unwrap();
    let service = registration.service.unwrap();
    assert_eq!((service.id.as_str(), service.port, &service.weights), ("db", 5432, &Weights::default()));
    let check = &registration.checks[0];
    assert_eq!((&*check.kind, check.status), ("tcp", Status::Critical));
    assert_eq!(check.definition["Interval"], "10s");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let table = [
        (json!({}), "Must provide node"),
        (json!({"Node": "e"}), "Must provide address"),
        (json!({"Node": "e", "Address": "a", "ID": "x"}), "Bad node ID"),
        (json!({"Node": "e", "Address": "a", "Datacenter": "dc9"}), "No path to datacenter"),
        (json!({"Node": "e", "Address": "a", "PeerName": "p"}), "PeerName"),
        (json!({"Node": "e", "Address": "a", "Service": {}}), "Service.Service"),
        (json!({"Node": "e", "Address": "a", "Service": {"Service": "s", "Address": "::"}}), "Invalid service address"),
        (json!({"Node": "e", "Address": "a", "Service": {"Service": "s", "Proxy": {"Mode": "x"}}}), "Proxy"),
        (json!({"Node": "e", "Address": "a", "Check": {"Name": "c", "Node": "f"}}), "doesn't match"),
        (json!({"Node": "e", "Address": "a", "Check": {"Name": "c", "Status": "good"}}), "\"good\""),
        (json!({"Node": "e", "Bogus": 1}), "unknown field"),
    ];
    for (body, word) in table {
        let text = read(&body).unwrap_err();
        assert!(text.contains(word), "{body}: {text}");
    }
}
