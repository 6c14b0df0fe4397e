//! The texts of errors are those of Consul 1.22.7.

use serde_json::json;

use super::*;
use crate::filter::shape::{CATALOG_SERVICE, CHECK, INSTANCE, SERVICE};

fn instance() -> Value {
    json!({
        "Node": { "Node": "n1", "Meta": { "consul-version": "1.22.7" } },
        "Service": {
            "ID": "a1", "Service": "a", "Tags": ["grpc", "v1"], "Address": "10.0.0.7", "Port": 50051,
            "Meta": { "version": "v1", "a-b": "x" }, "Weights": { "Passing": 10, "Warning": 2 },
            "TaggedAddresses": { "lan_ipv4": { "Address": "10.0.0.7", "Port": 50051 } },
        },
        "Checks": [{ "CheckID": "serfHealth", "Status": "passing" }, { "CheckID": "t", "Status": "warning" }],
    })
}

fn matches(text: &str) -> bool {
    Filter::new(text, &INSTANCE).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&instance())
}

fn refused(text: &str) -> String {
    Filter::new(text, &INSTANCE).unwrap_err().to_string()
}

#[test]
fn what_holds_of_an_item_matches() {
    let table = [
        "",
        "Service.Meta.version == v1",
        "Service.ID==a1",
        "Service.ID == `a1`",
        r#"Service["ID"] == "a\u0031""#,
        r#""v1" in Service.Tags"#,
        "Service.Tags contains v1",
        "v2 not in Service.Tags",
        "Service.Tags not contains v2",
        "Service.Tags is not empty",
        "version in Service.Meta",
        "Service.Meta[\"a-b\"] == x",
        "Service.Port == 50051",
        "Service.Port != -1",
        "Service.Connect.Native == false",
        "Service.Connect.Native == 0",
        "Service.Kind == \"\"",
        "Service.Address contains 10",
        "\"0.0\" in Service.Address",
        "Service.Address matches \"^10\"",
        "Service.Address not matches \"^11\"",
        "Service.Weights.Passing == 10",
        "Service.TaggedAddresses.lan_ipv4.Port == 50051",
        "Service.Proxy.Upstreams is empty",
        "Node.Meta[\"consul-version\"] matches \"1\\\\.22.*\"",
        "not Service.ID == a2",
        "not not Service.ID == a1",
        "((Service.ID == a1))",
        "Service.ID == a2 or Service.ID == a1 and Service.Port == 50051",
        "not (Service.ID == a2 or Service.ID == b)",
    ];
    for text in table {
        assert!(matches(text), "{text}");
        if !text.is_empty() {
            assert!(!matches(&format!("not ({text})")), "not ({text})");
        }
    }
}

#[test]
fn one_of_several_is_enough_even_to_differ() {
    assert!(matches("Checks.Status == warning"));
    assert!(matches("Checks.Status != passing"));
    assert!(!matches("Checks.Status == critical"));
    assert!(!matches("Checks is empty"));
}

#[test]
fn a_key_that_is_not_there_equals_nothing_and_is_in_nothing() {
    for text in ["Service.Meta.none == x", "x in Service.Meta.none", "Service.TaggedAddresses.none.Port == 5"] {
        assert!(!matches(text), "{text}");
    }
    for text in ["Service.Meta.none != x", "x not in Service.Meta.none", "Service.Meta.none matches x"] {
        assert!(matches(text), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_told_in_consuls_words() {
    const VALUE: &str = r#""-", "0", "\"", "`", [ \t\r\n], [1-9] or [a-zA-Z]"#;
    const START: &str = r#""(", "-", "0", "\"", "`", "not", [ \t\r\n], [1-9] or [a-zA-Z]"#;
    const AFTER: &str = r#""!=", ".", "==", "[", [ \t\r\n] or [a-zA-Z0-9_]"#;
    let expected = [
        ("Service.Meta.a-b == x", "1:15 (14)", AFTER),
        ("Service.ID == 'a1'", "1:15 (14)", VALUE),
        ("Service.ID ==", "1:14 (13)", VALUE),
        (" ", "1:2 (1)", START),
        ("()", "1:2 (1)", START),
        (")", "1:1 (0)", START),
        ("é == x", "1:1 (0)", START),
        ("not", "1:4 (3)", AFTER),
        ("not(Service.ID == a1)", "1:4 (3)", AFTER),
        ("Service.ID == a1 and", "1:21 (20)", r"[ \t\r\n]"),
        ("Service.Tags contains\"v1\"", "1:22 (21)", r"[ \t\r\n]"),
        ("\"v1\"in Service.Tags", "1:5 (4)", r"[ \t\r\n]"),
        ("Service.ID is", "1:14 (13)", r"[ \t\r\n]"),
        ("Service.ID == -x", "1:16 (15)", r#""0" or [1-9]"#),
        ("Service. ID == x", "1:9 (8)", "[a-zA-Z]"),
        ("Service.ID == a1)", "1:17 (16)", r#"".", "[", [ \t\r\n], [a-zA-Z0-9_] or EOF"#),
        ("Service.ID == \"a1\" AND x", "1:20 (19)", r#""and", "or", [ \t\r\n] or EOF"#),
        ("Service.ID = a1", "1:12 (11)", r#""!=", "==", "contains", "in", "is", "matches", "not" or [ \t\r\n]"#),
        ("Service.ID not x", "1:16 (15)", r#""contains", "in", "matches" or [ \t\r\n]"#),
        ("-1 == x", "1:4 (3)", r#""in", "not" or [ \t\r\n]"#),
    ];
    for (text, place, list) in expected {
        assert_eq!(refused(text), format!("{place}: no match found, expected: {list}"), "{text}");
    }
    let rules = [
        ("Service.Tags[0] == grpc", r#"1:14 (13): rule "index": Invalid index"#),
        ("Service[\"ID\" == x", r#"1:14 (13): rule "index": Unclosed index expression"#),
        ("(Service.ID == a1", r#"1:18 (17): rule "grouping": Unmatched parentheses"#),
        ("Service.ID == 10.0.0.7", r#"1:19 (18): rule "number": Invalid number literal"#),
        ("Service.ID == 01", r#"1:16 (15): rule "number": Invalid number literal"#),
        ("Service.ID == \"a", r#"1:17 (16): rule "string": Unterminated string literal"#),
        ("Service.ID == \"a\\x\"", r#"1:15 (14): rule "string": invalid syntax"#),
        ("Service.Port in 5", r#"1:17 (16): rule "match": Invalid selector"#),
    ];
    for (text, error) in rules {
        assert_eq!(refused(text), error, "{text}");
    }
}

#[test]
fn what_cannot_be_asked_is_named() {
    let table = [
        ("Bogus == x", r#"Selector "Bogus" is not valid"#),
        ("Service.Locality.Zone == x", r#"Selector "Service.Locality" is not valid"#),
        ("Service.Tags.x == 1", r#"Selector "Service.Tags.x" is not valid"#),
        ("service.id == a1", r#"Selector "service" is not valid"#),
        ("Service.ID == a1 and Bogus == 1", r#"Selector "Bogus" is not valid"#),
        ("Service.Port is empty", r#"Invalid match operator "Is Empty" for selector "Service.Port""#),
        ("Service.ID is not empty", r#"Invalid match operator "Is Not Empty" for selector "Service.ID""#),
        ("Service == a1", r#"Invalid match operator "Equal" for selector "Service""#),
        ("Service.Tags matches v", r#"Invalid match operator "Matches" for selector "Service.Tags""#),
        ("v1 in Checks", r#"Invalid match operator "In" for selector "Checks""#),
        (
            "Service.Port == abc",
            r#"Failed to coerce value "abc" for selector "Service.Port": strconv.ParseInt: parsing "abc": invalid syntax"#,
        ),
        (
            "Service.Connect.Native == maybe",
            r#"Failed to coerce value "maybe" for selector "Service.Connect.Native": strconv.ParseBool: parsing "maybe": invalid syntax"#,
        ),
    ];
    for (text, error) in table {
        assert_eq!(refused(text), error, "{text}");
    }
    assert!(refused("Service.ID matches \"[\"").starts_with("Failed to compile regular expression \"[\": "));
}

#[test]
fn endpoints_have_names_of_their_own() {
    assert!(Filter::new("ServiceTags contains v1", &CATALOG_SERVICE).is_ok());
    assert!(Filter::new("Tags contains v1", &SERVICE).is_ok());
    assert!(Filter::new("ServiceName == a and Status == passing", &CHECK).is_ok());
    assert!(Filter::new("Service.Tags contains v1", &CATALOG_SERVICE).is_err());
}

#[test]
fn depth_is_bounded() {
    let deep = |depth: usize| format!("{}Service.ID == a1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(matches(&deep(50)));
    assert!(refused(&deep(10_000)).contains("nested too deep"));
    assert!(refused(&"not ".repeat(10_000)).contains("nested too deep"));
}
