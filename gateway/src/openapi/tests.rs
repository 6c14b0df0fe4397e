use std::{env, fs};

use serde_json::Value as Json;

use super::*;
use crate::testing::{learned, shop, states};

fn schema(list: &[(&str, &str, &str)]) -> Schema {
    let all = list.iter().zip(0..).map(|((service, file, grpc), age)| (*service, learned(service, age, file, grpc)));
    Schema::build(&states(all.collect()), true, &Schema::default())
}

fn json(schema: &Schema) -> Json {
    serde_json::from_slice(&Document::of(schema).json).unwrap()
}

/// `SELVEDGE_TEST_BLESS=1 cargo test -p selvedge-gateway openapi` writes the file anew.
#[test]
fn a_service_is_told_as_the_golden_file_has_it() {
    let schema = schema(&[("library", "library/v1/library.proto", "library.v1.LibraryService")]);
    let written = Document::of(&schema).yaml;
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/library.yaml");
    if env::var_os("SELVEDGE_TEST_BLESS").is_some() {
        fs::write(golden, &written).unwrap();
    }
    let wanted = fs::read_to_string(golden).unwrap();
    let differs = written.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    assert!(written == wanted, "line {differs:?} of {golden} differs; bless it if that is right:\n{written}");
}

#[test]
fn fields_stand_in_the_order_of_their_file() {
    let text = String::from_utf8(Document::of(&shop()).json).unwrap();
    let item = &text[text.find("\"shop.v1.Item\":").unwrap()..];
    let places: Vec<_> = ["name", "displayName", "stock", "tags", "size", "createTime"]
        .map(|name| item.find(&format!("\"{name}\":")).unwrap())
        .into();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn every_route_that_is_served_is_told() {
    let schema = shop();
    let document = json(&schema);
    let told: usize = document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(told, schema.bindings().count());
    assert!(document["paths"]["/v1/items/{item}"]["get"].is_object());
    // Two routes of one shape are one path, whatever their fields are called.
    assert_eq!(document["paths"]["/v1/items/{item}"]["patch"]["parameters"][0]["name"], "item");
    assert!(document["paths"].get("/v1/items:search").is_some_and(|item| item["post"]["requestBody"].is_object()));
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert!(!paths.iter().any(|path| path.ends_with("/broken")), "a binding that is set aside was told: {paths:?}");
}

#[test]
fn a_query_parameter_is_what_neither_path_nor_body_binds() {
    let document = json(&shop());
    let parameters = document["paths"]["/v1/items:search"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    for name in ["text", "pageSize", "colors", "size.width", "after", "within", "readMask", "least", "shopFloor.label"]
    {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for name in ["labels", "sizes", "size", "shopFloor.inside.label"] {
        assert!(!names.contains(&name), "{name} is in {names:?}");
    }
    let created = document["paths"]["/v1/items"]["post"]["parameters"].as_array().unwrap();
    assert_eq!(created[0]["name"], "itemId");
}

#[test]
fn ids_are_told_once_and_references_lead_somewhere() {
    let document = json(&schema(&[
        ("shop", "shop/v1/shop.proto", "shop.v1.ShopService"),
        ("library", "library/v1/library.proto", "library.v1.LibraryService"),
    ]));
    let (mut ids, mut references) = (Vec::new(), Vec::new());
    walk(&document, &mut |key, value| match (key, value.as_str()) {
        ("operationId", Some(id)) => ids.push(id.to_owned()),
        ("$ref", Some(to)) => references.push(to.trim_start_matches('#').to_owned()),
        _ => {}
    });
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    assert!(references.iter().all(|to| document.pointer(to).is_some()), "{references:?}");
}

#[test]
fn the_version_changes_with_what_is_served() {
    let version = |list: &[_]| json(&schema(list))["info"]["version"].clone();
    let shop = ("shop", "shop/v1/shop.proto", "shop.v1.ShopService");
    let library = ("library", "library/v1/library.proto", "library.v1.LibraryService");
    assert_eq!(version(&[shop]), version(&[shop]));
    assert_ne!(version(&[shop]), version(&[shop, library]));
}

fn walk<'j>(json: &'j Json, visit: &mut impl FnMut(&'j str, &'j Json)) {
    match json {
        Json::Object(object) => object.iter().for_each(|(key, value)| {
            visit(key, value);
            walk(value, visit);
        }),
        Json::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
