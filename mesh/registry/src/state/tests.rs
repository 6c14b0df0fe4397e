use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use tokio::time::Instant;

use super::*;
use crate::{
    definition::{external_registration, service_registration},
    record::{Node, Status},
};

const SECOND: Duration = Duration::from_secs(1);

fn state() -> State {
    State::new(Node::own("n".to_owned(), "dc1".to_owned(), Ipv4Addr::LOCALHOST.into(), BTreeMap::new()), 10)
}

fn register(state: &mut State, json: &str, now: Instant) {
    state.register(service_registration(json.as_bytes()).unwrap(), false, now);
}

fn check_ids(state: &State) -> Vec<&str> {
    state.checks.values().map(|check| check.local.id.as_str()).collect()
}

/// The indexes of service `a`, service `b`, all names, all checks.
fn indexes(state: &State) -> [u64; 4] {
    [state.service_index("a"), state.service_index("b"), state.indexes.services, state.indexes.checks]
}

const A: &str = r#"{"ID":"a1","Name":"a","Check":{"TTL":"10s","Status":"passing"}}"#;
const B: &str = r#"{"ID":"b1","Name":"b"}"#;

#[test]
fn a_change_raises_only_the_indexes_it_concerns() {
    let (mut state, now) = (state(), Instant::now());
    assert_eq!(indexes(&state), [10, 10, 10, 10]);
    register(&mut state, A, now);
    assert_eq!(indexes(&state), [11, 10, 11, 11]);
    register(&mut state, B, now);
    assert_eq!(indexes(&state), [11, 12, 12, 11]);
    register(&mut state, A, now);
    assert_eq!(indexes(&state), [11, 12, 12, 11], "the same again");
    state.report("service:a1", Status::Passing, "", now);
    assert_eq!(indexes(&state), [11, 12, 12, 11], "the same result again");
    state.report("service:a1", Status::Warning, "", now);
    assert_eq!(indexes(&state), [13, 12, 12, 13]);
    assert!(state.deregister("a1"));
    assert_eq!(indexes(&state), [14, 12, 14, 14]);
    assert_eq!(state.service_index("never"), 14, "the last end of any service");
    assert!(!state.deregister("a1"));
}

#[test]
fn a_check_of_the_node_concerns_every_service() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    register(&mut state, B, now);
    state.maintain_node(Some(""), now);
    assert_eq!(indexes(&state), [13, 13, 12, 13]);
}

#[test]
fn a_service_that_lost_an_instance_by_renaming_changed() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    register(&mut state, &A.replace("a1", "a2"), now);
    register(&mut state, r#"{"ID":"a1","Name":"b"}"#, now);
    assert_eq!(indexes(&state)[..2], [13, 13]);
    register(&mut state, r#"{"ID":"a2","Name":"b"}"#, now);
    let count = |name| state.place("n").unwrap().instances(name).count();
    assert_eq!((state.service_index("a"), count("A"), count("B")), (14, 0, 2));
}

#[test]
fn a_new_output_alone_reaches_the_catalog_late() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, &A.replace("10s", "1h"), now);
    state.report("service:a1", Status::Passing, "fine", now);
    let check = state.checks.get("service:a1").unwrap();
    assert_eq!((check.local.output.as_str(), check.catalog.value.output.as_str()), ("fine", ""));
    assert_eq!(state.service_index("a"), 11);
    state.keep(now + 301 * SECOND);
    assert_eq!(state.checks.get("service:a1").unwrap().catalog.value.output, "fine");
    assert_eq!(state.service_index("a"), 12);
}

#[test]
fn a_lease_that_is_not_renewed_is_critical() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    assert_eq!(state.next_due(), Some(now + 10 * SECOND));
    state.keep(now + 9 * SECOND);
    assert_eq!(state.checks.get("service:a1").unwrap().local.status, Status::Passing);
    state.report("service:a1", Status::Passing, "fine", now + 9 * SECOND);
    state.keep(now + 18 * SECOND);
    assert_eq!(state.checks.get("service:a1").unwrap().local.status, Status::Passing);
    state.keep(now + 19 * SECOND);
    let check = &state.checks.get("service:a1").unwrap().catalog.value;
    assert_eq!(check.status, Status::Critical);
    assert_eq!(check.output, "TTL expired (last output before timeout follows): fine");
    assert_eq!(state.service_index("a"), 12);
}

#[test]
fn registering_again_keeps_the_status_and_renews_the_lease() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    state.report("service:a1", Status::Warning, "hm", now);
    register(&mut state, A, now + 5 * SECOND);
    let check = state.checks.get("service:a1").unwrap();
    assert_eq!((check.local.status, check.local.output.as_str()), (Status::Warning, "hm"));
    assert_eq!(state.next_due(), Some(now + 15 * SECOND));
}

#[test]
fn checks_that_are_not_named_go_only_when_replaced() {
    let (mut state, now) = (state(), Instant::now());
    let two = r#"{"ID":"a1","Name":"a","Checks":[{"CheckID":"x","TTL":"5s"}]}"#;
    register(&mut state, A, now);
    state.maintain("a1", Some("drain"), now);
    register(&mut state, two, now);
    assert_eq!(check_ids(&state), ["_service_maintenance:a1", "service:a1", "x"]);
    state.register(service_registration(two.as_bytes()).unwrap(), true, now);
    assert_eq!(check_ids(&state), ["x"], "maintenance ends with it");
}

#[test]
fn maintenance_keeps_its_first_reason_until_it_ends() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, B, now);
    assert!(state.maintain("b1", Some("drain"), now));
    assert!(state.maintain("b1", Some("other"), now));
    let check = &state.checks.get("_service_maintenance:b1").unwrap().local;
    assert_eq!((check.notes.as_str(), check.status), ("drain", Status::Critical));
    assert!(state.maintain("b1", None, now));
    assert!(state.checks.is_empty());
    assert!(!state.maintain("none", None, now));
}

#[test]
fn a_service_is_removed_when_its_check_stays_critical_for_a_minute_at_least() {
    let (mut state, now) = (state(), Instant::now());
    let lease =
        r#"{"ID":"a1","Name":"a","Check":{"TTL":"10s","Status":"passing","DeregisterCriticalServiceAfter":"1s"}}"#;
    register(&mut state, lease, now);
    state.keep(now + 10 * SECOND);
    assert_eq!(state.next_due(), Some(now + 70 * SECOND));
    state.keep(now + 69 * SECOND);
    assert_eq!(state.services.len(), 1);
    state.keep(now + 70 * SECOND);
    assert!(state.services.is_empty() && state.checks.is_empty());
    assert_eq!(state.next_due(), None);
}

#[test]
fn a_service_whose_check_passes_again_is_not_removed() {
    let (mut state, now) = (state(), Instant::now());
    let lease = r#"{"ID":"a1","Name":"a","Check":{"TTL":"1h","DeregisterCriticalServiceAfter":"1m"}}"#;
    register(&mut state, lease, now);
    state.report("service:a1", Status::Passing, "", now + 30 * SECOND);
    state.report("service:a1", Status::Critical, "", now + 50 * SECOND);
    state.keep(now + 100 * SECOND);
    assert_eq!(state.services.len(), 1);
    state.keep(now + 110 * SECOND);
    assert!(state.services.is_empty());
}

#[test]
fn a_long_output_keeps_its_end() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    state.report("service:a1", Status::Warning, &format!("{}{}", "a".repeat(10), "é".repeat(2100)), now);
    let output = &state.checks.get("service:a1").unwrap().local.output;
    assert!(output.starts_with('é') && output.ends_with("é ... (captured 4096 of 4210 bytes)"), "{output}");
}

fn external(state: &mut State, json: &str) {
    state.register_external(external_registration(json.as_bytes(), "dc1").unwrap());
}

const EXTERNAL: &str = r#"{"Node":"Ext","Address":"10.0.0.9","Service":{"Service":"a","ID":"x"},
    "Checks":[{"CheckID":"c","ServiceID":"x","Status":"passing"},{"CheckID":"n","Status":"passing"}]}"#;

#[test]
fn what_is_written_past_the_agent_concerns_its_own_services_only() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, B, now);
    external(&mut state, EXTERNAL);
    assert_eq!(indexes(&state), [12, 11, 12, 12]);
    external(&mut state, EXTERNAL);
    assert_eq!(state.indexes.last, 12, "the same again");
    let changed = EXTERNAL.replace(r#""n","Status":"passing""#, r#""n","Status":"warning""#);
    external(&mut state, &changed);
    assert_eq!(indexes(&state), [13, 11, 12, 13], "a check of the other node");
    state.maintain_node(Some(""), now);
    assert_eq!(indexes(&state), [13, 14, 12, 14], "a check of the own node");
    state.deregister_external("ext", "", "");
    assert_eq!(indexes(&state), [15, 14, 15, 15]);
    assert!(state.place("ext").is_none());
    state.deregister_external("ext", "", "");
    assert_eq!(state.indexes.last, 15);
}

#[test]
fn a_node_that_is_known_by_its_id_gets_another_name() {
    let mut state = state();
    let named =
        |name: &str| format!(r#"{{"Node":"{name}","Address":"x","ID":"11111111-2222-3333-4444-555555555555"}}"#);
    external(&mut state, &named("one"));
    external(&mut state, &named("two"));
    assert!(state.place("one").is_none() && state.place("TWO").is_some());
    let names: Vec<_> = state.places().iter().map(|place| place.node.name.clone()).collect();
    assert_eq!(names, ["n", "two"]);
}

#[test]
fn a_lease_that_is_renewed_is_no_news() {
    let (mut state, now) = (state(), Instant::now());
    register(&mut state, A, now);
    assert!(!state.report("service:a1", Status::Passing, "", now));
    assert!(state.report("service:a1", Status::Passing, "new", now));
    assert!(state.report("service:a1", Status::Warning, "new", now));
    assert!(state.keep(now + 10 * SECOND), "the lease ends");
    assert!(state.report("service:a1", Status::Critical, "", now + 11 * SECOND));
    assert!(!state.keep(now + 12 * SECOND));
}
