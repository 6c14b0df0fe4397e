//! What is served, what is set aside, and who keeps what two claim.

use super::*;
use crate::testing::{learned, states};

const SHOP: (&str, &str) = ("shop/v1/shop.proto", "shop.v1.ShopService");
const RIVAL: (&str, &str) = ("shop/v1/rival.proto", "rival.v1.RivalService");

fn read(service: &str, age: u64, (file, grpc): (&str, &str)) -> State {
    learned(service, age, file, grpc)
}

fn owner(schema: &Schema, path: &str) -> String {
    match schema.route("GET", path) {
        Matched::Route(binding, _) => binding.method.path.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_binding_that_cannot_be_served_is_set_aside_alone() {
    let schema = Schema::build(&states(vec![("shop", read("shop", 0, SHOP))]), true, &Schema::default());
    let report = &schema.report.services["shop"];
    assert_eq!(report.set_aside.len(), 1);
    assert!(report.set_aside[0].contains("nothing"), "{}", report.set_aside[0]);
    assert_eq!(owner(&schema, "/v1/broken/1"), "/shop.v1.ShopService/Broken");
    assert!(schema.report.is_ready());
}

#[test]
fn the_older_keeps_a_route_that_two_claim() {
    let both = |shop, rival| states(vec![("shop", read("shop", shop, SHOP)), ("rival", read("rival", rival, RIVAL))]);
    let older = Schema::build(&both(0, 1), true, &Schema::default());
    assert_eq!(owner(&older, "/v1/items/1"), "/shop.v1.ShopService/GetItem");
    assert_eq!(older.report.conflicts.len(), 1);
    let newer = Schema::build(&both(1, 0), true, &Schema::default());
    assert_eq!(owner(&newer, "/v1/items/1"), "/rival.v1.RivalService/GetThing");
    assert!(newer.target("/shop.v1.ShopService/GetItem").is_ok(), "by gRPC both are served");
    // Who had it keeps it, even if the other is now said to be older.
    assert_eq!(owner(&Schema::build(&both(0, 1), true, &newer), "/v1/items/1"), "/rival.v1.RivalService/GetThing");
    let alone = Schema::build(&states(vec![("shop", read("shop", 1, SHOP))]), true, &newer);
    assert_eq!(owner(&alone, "/v1/items/1"), "/shop.v1.ShopService/GetItem");
}

#[test]
fn the_older_keeps_a_service_that_two_claim() {
    let both = |a, b| states(vec![("a", read("a", a, SHOP)), ("b", read("b", b, SHOP))]);
    let target = |schema: &Schema| match schema.target("/shop.v1.ShopService/GetItem") {
        Ok(Target::Service { method, .. }) => method.service.to_string(),
        other => format!("{other:?}"),
    };
    let first = Schema::build(&both(1, 0), true, &Schema::default());
    assert_eq!(target(&first), "b");
    assert_eq!(first.report.conflicts, ["shop.v1.ShopService is claimed by a too, and stays with b"]);
    assert_eq!(target(&Schema::build(&both(0, 1), true, &first)), "b");
    let left = Schema::build(&states(vec![("a", read("a", 0, SHOP))]), true, &first);
    assert_eq!((target(&left), left.report.conflicts.len()), ("a".to_owned(), 0));
}

#[test]
fn a_service_that_left_is_gone() {
    let full = Schema::build(&states(vec![("shop", read("shop", 0, SHOP))]), true, &Schema::default());
    let empty = Schema::build(&states(vec![]), true, &full);
    assert_eq!(empty.target("/shop.v1.ShopService/GetItem").unwrap_err(), "unknown service shop.v1.ShopService");
    assert_eq!(owner(&empty, "/v1/items/1"), "Nothing");
    assert!(empty.services().is_empty());
}

#[test]
fn ready_is_when_all_was_tried() {
    let with = |state: State, answered| Schema::build(&states(vec![("a", state)]), answered, &Schema::default());
    assert!(!Schema::default().report.is_ready(), "the registry has not answered");
    assert!(!with(State::default(), true).report.is_ready());
    let failed = State { error: Some("no reflection".into()), ..State::default() };
    let schema = with(failed, true);
    assert!(schema.report.is_ready());
    assert_eq!(schema.report.problems(), ["the schema of a was not read: no reflection"]);
}
