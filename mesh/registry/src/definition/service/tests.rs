use super::*;
use crate::{definition::Target, record::Status};

fn read(json: &str) -> Registration {
    service_registration(json.as_bytes()).unwrap()
}

fn refused(json: &str) -> String {
    service_registration(json.as_bytes()).unwrap_err().text.into_owned()
}

#[test]
fn what_is_left_out_has_consuls_defaults() {
    let Registration { service, checks } = read(r#"{"Name":"v","Check":{"TTL":"5s"}}"#);
    assert_eq!((service.id.as_str(), service.port, service.weights), ("v", 0, Weights { passing: 1, warning: 1 }));
    let check = &checks[0].view;
    assert_eq!((check.id.as_str(), check.name.as_str()), ("service:v", "Service 'v' check"));
    assert_eq!((check.status, check.kind.as_ref()), (Status::Critical, "ttl"));
}

#[test]
fn keys_match_without_regard_to_case_and_some_in_snake_case() {
    let found =
        read(r#"{"nAME":"v","enable_tag_override":true,"tagged_addresses":{"lan":{"address":"1.2.3.4","PORT":5}}}"#);
    assert!(found.service.enable_tag_override);
    assert_eq!(found.service.tagged_addresses["lan"], ServiceAddress { address: "1.2.3.4".to_owned(), port: 5 });
    assert!(refused(r#"{"Name":"v","Check":{"check_id":"x"}}"#).ends_with(r#"json: unknown field "check_id""#));
}

#[test]
fn nulls_are_absent_and_what_follows_is_ignored() {
    let found = read(r#"{"Name":"v","Tags":null,"Check":null,"Checks":null,"Port":null} trailing"#);
    assert!(found.checks.is_empty());
}

#[test]
fn checks_are_numbered_with_the_single_one_first() {
    let found = read(r#"{"Name":"v","Checks":[{"TTL":"5s"},{"TTL":"6s"}],"Check":{"TTL":"7s"}}"#);
    let ids: Vec<_> = found.checks.iter().map(|check| (check.view.id.as_str(), check.ttl.unwrap().as_secs())).collect();
    assert_eq!(ids, [("service:v:1", 7), ("service:v:2", 5), ("service:v:3", 6)]);
    assert!(read(r#"{"Name":"v","Check":{}}"#).checks.is_empty());
}

#[test]
fn a_probe_is_told_apart_by_its_target() {
    let found = read(r#"{"Name":"v","Check":{"GRPC":"h:1/a.B","Interval":"100ms","FailuresBeforeCritical":2}}"#);
    let probe = found.checks[0].probe.as_ref().unwrap();
    assert_eq!(probe.target, Target::Grpc { address: "h:1".to_owned(), service: "a.B".to_owned() });
    assert_eq!((probe.interval.as_secs(), probe.timeout.as_secs()), (1, 10));
    assert_eq!((probe.failures_before_warning, probe.failures_before_critical), (2, 2));
}

#[test]
fn an_ip_address_is_tagged_with_its_family() {
    let names = |json| read(json).service.tagged_addresses.into_keys().collect::<Vec<_>>();
    assert_eq!(names(r#"{"Name":"v","Address":"10.0.0.7"}"#), ["lan_ipv4", "wan_ipv4"]);
    assert_eq!(names(r#"{"Name":"v","Address":"fd00::1"}"#), ["lan_ipv6", "wan_ipv6"]);
    assert!(names(r#"{"Name":"v","Address":"host.example"}"#).is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let long = format!(r#"{{"Name":"v","Meta":{{"k":"{}"}}}}"#, "x".repeat(513));
    let table = [
        ("", "Request decode failed: EOF"),
        ("{", "Request decode failed: unexpected EOF"),
        ("null", "Missing service name"),
        (r#"{"Name":"v","Bogus":1}"#, r#"Request decode failed: json: unknown field "Bogus""#),
        (r#"{"Name":"v","Port":"80"}"#, "Request decode failed: json: field Port: "),
        (r#"{"Name":"v","Address":"0.0.0.0"}"#, "Invalid service address"),
        (r#"{"Name":"v","Weights":{}}"#, "Invalid Weights: Passing must be greater than 0"),
        (
            r#"{"Name":"v","Meta":{"consul-x":"1"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1')",
        ),
        (&long, "Invalid Service Meta: Couldn't load metadata pair"),
        (r#"{"Name":"v","Locality":{"Zone":"z"}}"#, "Validation failed: 1 error occurred:\n\t* zone"),
        (r#"{"Name":"v","Check":{"TTL":"5"}}"#, "Request decode failed: json: field TTL: time: missing unit"),
        (r#"{"Name":"v","Check":{"TTL":"5s","Interval":"5s"}}"#, "Invalid check: Interval and TTL"),
        (r#"{"Name":"v","Check":{"GRPC":"x:1"}}"#, "Invalid check: Interval must be > 0"),
        (r#"{"Name":"v","Check":{"Name":"x"}}"#, "Invalid check: TTL must be > 0"),
        (r#"{"Name":"v","Check":{"TTL":"5s","Status":"good"}}"#, "Status for checks must"),
        (r#"{"Name":"v","Check":{"UDP":"x:1","Interval":"5s"}}"#, "Invalid check: this registry runs no UDP checks"),
        (r#"{"Name":"v","Proxy":{}}"#, "Validation failed: this registry does not have Proxy"),
    ];
    for (json, text) in table {
        assert!(refused(json).starts_with(text), "{json}: {}", refused(json));
    }
}
