//! Bodies, queries and paths against the messages that they become.

use proptest::prelude::*;
use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};

use crate::{
    error::Failure,
    schema::Matched,
    testing::shop,
    transcode::{Parts, request},
};

fn made(verb: &str, path: &str, body: &str) -> Result<Json, Failure> {
    message(verb, path, body).map(|message| serde_json::to_value(message).unwrap())
}

fn message(verb: &str, path: &str, body: &str) -> Result<DynamicMessage, Failure> {
    let schema = shop();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let Matched::Route(binding, segments) = schema.route(verb, path) else { panic!("no route {verb} {path}") };
    let parts = Parts { segments: &segments, query, body: body.as_bytes() };
    let frame = request(binding, parts)?.frame().unwrap();
    Ok(DynamicMessage::decode(binding.method.descriptor.input(), &frame[5..]).unwrap())
}

fn search(query: &str) -> Result<Json, Failure> {
    made("GET", &format!("/v1/items:search?{query}"), "")
}

#[test]
fn a_query_sets_fields_of_every_kind() {
    for (query, wanted) in [
        ("", json!({})),
        ("text=a%20b+c%2Bd", json!({ "text": "a b c+d" })),
        ("pageSize=3&exact=true", json!({ "pageSize": 3, "exact": true })),
        ("page_size=3&text=", json!({ "pageSize": 3 })),
        ("colors=COLOR_RED&colors=0&colors=1", json!({ "colors": ["COLOR_RED", "COLOR_UNSPECIFIED", "COLOR_RED"] })),
        ("size.width=1&size.height=2", json!({ "size": { "width": 1, "height": 2 } })),
        ("after=2020-01-01T00:00:00Z&within=1.5s", json!({ "after": "2020-01-01T00:00:00Z", "within": "1.500s" })),
        ("readMask=displayName,size.width", json!({ "readMask": "displayName,size.width" })),
        ("read_mask=display_name", json!({ "readMask": "displayName" })),
        ("least=7&sold=false", json!({ "least": 7, "sold": false })),
        ("token=-_8", json!({ "token": "+/8=" })),
        ("price=NaN&big=18446744073709551615", json!({ "price": "NaN", "big": "18446744073709551615" })),
        ("owner=ann", json!({ "owner": "ann" })),
        ("note=", json!({ "note": "" })),
        (
            "shopFloor.label=a&shopFloor.inside.label=b&shop_floor.labels=c&shop_floor.labels=d",
            json!({ "shopFloor": { "label": "a", "labels": ["c", "d"], "inside": { "label": "b" } } }),
        ),
        ("weight=-Infinity", json!({ "weight": "-Infinity" })),
    ] {
        assert_eq!(search(query).unwrap(), wanted, "{query}");
    }
}

#[test]
fn a_query_that_fits_no_field_is_refused_by_its_name() {
    for (query, field) in [
        ("nope=1", "nope"),
        ("size.depth=1", "size.depth"),
        ("text.x=1", "text.x"),
        ("pageSize=many", "page_size"),
        ("pageSize=3000000000", "page_size"),
        ("pageSize=1&page_size=2", "page_size"),
        ("colors=PLAID", "colors"),
        ("exact=yes", "exact"),
        ("exact", "exact"),
        ("price=inf", "price"),
        ("big=-1", "big"),
        ("token=*", "token"),
        ("after=noon", "after"),
        ("size=1", "size"),
        ("labels=1", "labels"),
        ("sizes.width=1", "sizes.width"),
        ("owner=a&maker=b", "maker"),
        ("shopFloor.label=a&storeRoom.label=b", "store_room.label"),
        ("shopFloor.label=a&storeRoom.labels=b", "store_room.labels"),
        ("weight=1e39", "weight"),
        ("readMask=a%20b", "read_mask"),
        ("text=%zz", ""),
    ] {
        let status = search(query).expect_err(query).status;
        let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
        assert_eq!(details.field_violations[0].field, field, "{query}: {}", status.message());
    }
}

#[test]
fn a_parameter_that_reaches_too_deep_is_refused() {
    let deep = |depth: usize| format!("shopFloor.{}label=x", "inside.".repeat(depth));
    assert!(search(&deep(30)).is_ok());
    assert!(search(&deep(31)).is_err());
    // So deep that encoding it would exhaust the stack.
    assert!(search(&deep(100_000)).is_err());
}

proptest! {
    #[test]
    fn nothing_that_is_sent_can_break_it(query in "([a-zA-Z.]{0,12}=?[%&+=a-zA-Z0-9:-]{0,8}&?){0,4}|\\PC{0,40}", body in ".{0,40}") {
        _ = message("GET", &format!("/v1/items:search?{query}"), "");
        _ = message("POST", "/v1/items", &body);
        _ = message("PATCH", "/v1/items/1", &body);
    }

    #[test]
    fn no_value_can_break_its_field(field in 0usize..32, text in "\\PC{0,30}|[-+0-9eE.:TZs]{0,30}") {
        let descriptor = crate::testing::message("SearchItemsRequest");
        let fields: Vec<_> = descriptor.fields().collect();
        let name = fields[field % fields.len()].name().to_owned();
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        _ = message("GET", &format!("/v1/items:search?{name}={encoded}"), "");
    }
}

#[test]
fn what_path_and_body_bind_is_no_query_parameter() {
    assert_eq!(
        made("POST", "/v1/items?itemId=chair", r#"{"displayName": "Chair"}"#).unwrap(),
        json!({ "item": { "displayName": "Chair" }, "itemId": "chair" })
    );
    assert!(made("GET", "/v1/items/1?name=items/2", "").is_err());
    assert!(made("POST", "/v1/items?item.stock=1", "{}").is_err());
    assert!(made("POST", "/v1/items:search?text=a", "{}").is_err());
    assert_eq!(made("POST", "/v1/items:search", r#"{"text": "a"}"#).unwrap(), json!({ "text": "a" }));
}

#[test]
fn the_path_has_the_last_word() {
    let patched = made("PATCH", "/v1/items/1?updateMask=stock", r#"{"name": "items/2", "stock": 3}"#).unwrap();
    assert_eq!(patched, json!({ "item": { "name": "items/1", "stock": "3" }, "updateMask": "stock" }));
    assert_eq!(made("GET", "/v1/items/a%2Fb%20c", "").unwrap(), json!({ "name": "items/a%2Fb c" }));
    assert_eq!(made("GET", "/v1/shelves/1/items/2", "").unwrap(), json!({ "name": "shelves/1/items/2" }));
    assert!(made("GET", "/v1/items/%zz", "").is_err());
}

#[test]
fn a_body_may_be_a_list() {
    let tagged = made("POST", "/v1/items/1:tag", r#"["a", "b"]"#).unwrap();
    assert_eq!(tagged, json!({ "name": "items/1", "tags": ["a", "b"] }));
}

#[test]
fn a_patch_without_a_mask_changes_what_it_names() {
    let mask = |path: &str, body: &str| made("PATCH", path, body).unwrap()["updateMask"].clone();
    let body = r#"{"name": "items/1", "displayName": "", "size": {"width": 1}, "tags": [], "stock": null}"#;
    assert_eq!(mask("/v1/items/1", body), json!("displayName,size.width,stock,tags"));
    assert_eq!(mask("/v1/items/1", r#"{"size": {}}"#), json!("size"));
    assert_eq!(mask("/v1/items/1?update_mask=stock", body), json!("stock"));
    assert_eq!(mask("/v1/items/1", "{}"), Json::Null);
}
