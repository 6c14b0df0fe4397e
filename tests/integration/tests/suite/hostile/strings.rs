//! Hostile texts in every text of every request.

use anyhow::Context as _;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use selvedge_proto::{catalog, users};
use serde_json::{Value, json};

use crate::hostile::world::{World, refused};

/// Where a hostile text is put.
const TEXT: &str = "$TEXT";

/// A request with a place for a text: service, method, message, the field to blame, and whether prose is right there.
type Case = (&'static str, &'static str, Value, &'static str, bool);

fn cases() -> Vec<Case> {
    [of_users(), of_products(), of_catalog()].concat()
}

fn of_users() -> Vec<Case> {
    let eve = json!({"display_name": "Eve", "email": "eve@example.com"});
    vec![
        ("users", "CreateUser", json!({"user": eve, "user_id": TEXT}), "user_id", false),
        ("users", "CreateUser", json!({"user": eve, "request_id": TEXT}), "request_id", false),
        ("users", "CreateUser", json!({"user": {"display_name": "Eve", "email": TEXT}}), "user.email", false),
        ("users", "UpdateUser", json!({"user": {"name": TEXT, "display_name": "Eve"}}), "user.name", false),
        (
            "users",
            "UpdateUser",
            json!({"user": {"name": "users/bob-1", "display_name": TEXT}}),
            "user.display_name",
            true,
        ),
        ("users", "UpdateUser", json!({"user": {"name": "users/bob-1", "email": TEXT}}), "user.email", false),
        ("users", "GetUser", json!({"name": TEXT}), "name", false),
        ("users", "DeleteUser", json!({"name": TEXT}), "name", false),
        ("users", "ListUsers", json!({"page_token": TEXT}), "page_token", false),
        ("users", "ListUsers", json!({"filter": TEXT}), "filter", false),
        ("users", "ListUsers", json!({"order_by": TEXT}), "order_by", false),
    ]
}

/// What a caller may say of a product.
fn of_products() -> Vec<Case> {
    let loom = |field: &str, value: Value| {
        let mut loom =
            json!({"display_name": "Loom", "owner": "users/ada-1815", "price": {"currency_code": "EUR", "units": 1}});
        loom[field] = value;
        json!({"product": loom})
    };
    let change = |field: &str, value: Value| {
        let mut product = json!({"name": "products/loom"});
        product[field] = value;
        json!({"product": product})
    };
    let money = json!({"currency_code": TEXT, "units": 1});
    vec![
        (
            "catalog",
            "CreateProduct",
            json!({"product": loom("tags", json!([]))["product"], "product_id": TEXT}),
            "product_id",
            false,
        ),
        (
            "catalog",
            "CreateProduct",
            json!({"product": loom("tags", json!([]))["product"], "request_id": TEXT}),
            "request_id",
            false,
        ),
        ("catalog", "CreateProduct", loom("display_name", json!(TEXT)), "product.display_name", true),
        ("catalog", "CreateProduct", loom("description", json!(TEXT)), "product.description", true),
        ("catalog", "CreateProduct", loom("owner", json!(TEXT)), "product.owner", false),
        ("catalog", "CreateProduct", loom("price", money.clone()), "product.price.currency_code", false),
        ("catalog", "CreateProduct", loom("tags", json!(["wood", TEXT])), "product.tags[1]", true),
        ("catalog", "UpdateProduct", change("display_name", json!(TEXT)), "product.display_name", true),
        ("catalog", "UpdateProduct", change("description", json!(TEXT)), "product.description", true),
        ("catalog", "UpdateProduct", change("owner", json!(TEXT)), "product.owner", false),
        ("catalog", "UpdateProduct", change("price", money), "product.price.currency_code", false),
        ("catalog", "UpdateProduct", change("tags", json!([TEXT])), "product.tags[0]", true),
    ]
}

fn of_catalog() -> Vec<Case> {
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    vec![
        ("catalog", "UpdateProduct", json!({"product": {"name": TEXT, "display_name": "Loom"}}), "product.name", false),
        ("catalog", "GetProduct", json!({"name": TEXT}), "name", false),
        ("catalog", "BatchGetProducts", json!({"names": ["products/loom", TEXT]}), "names[1]", false),
        ("catalog", "DeleteProduct", json!({"name": TEXT}), "name", false),
        ("catalog", "ListProducts", json!({"page_token": TEXT}), "page_token", false),
        ("catalog", "ListProducts", json!({"filter": TEXT}), "filter", false),
        ("catalog", "ListProducts", json!({"order_by": TEXT}), "order_by", false),
        ("catalog", "WatchProducts", json!({"resume_token": TEXT}), "resume_token", false),
        ("catalog", "ReserveStock", json!({"name": TEXT, "quantity": 1, "request_id": id}), "name", false),
        (
            "catalog",
            "ReserveStock",
            json!({"name": "products/loom", "quantity": 1, "request_id": TEXT}),
            "request_id",
            false,
        ),
        ("catalog", "ReleaseStock", json!({"name": TEXT, "quantity": 1, "request_id": id}), "name", false),
        (
            "catalog",
            "ReleaseStock",
            json!({"name": "products/loom", "quantity": 1, "request_id": TEXT}),
            "request_id",
            false,
        ),
    ]
}

fn texts() -> Vec<String> {
    let sql =
        ["'; drop table users; --", "\" or 1=1 --", "x' union select email_key from users --", "1); select pg_sleep(9"];
    let control = ["a\0b", "\u{1b}[31mred", "a\u{85}b", "\u{7f}"];
    sql.into_iter().chain(control).map(str::to_owned).chain(["x".repeat(4 << 20)]).collect()
}

/// Sends each text in each place; returns how many requests that were.
pub(crate) async fn sent(world: &World) -> anyhow::Result<usize> {
    let mut count = 0;
    for text in texts() {
        for (service, method, message, field, is_prose) in cases() {
            let answer = world.send(service, method, encoded(service, method, filled(message, &text))?).await;
            let is_clean = text.len() < 100 && !text.chars().any(char::is_control);
            // SQL in prose is prose.
            if is_prose && is_clean {
                answer.with_context(|| format!("{method} {field}: {text}"))?;
            } else {
                refused(answer, field, &text).with_context(|| method)?;
            }
            count += 1;
        }
    }
    Ok(count)
}

/// Puts the text in its place.
fn filled(message: Value, text: &str) -> Value {
    match message {
        Value::String(place) if place == TEXT => text.into(),
        Value::Array(values) => values.into_iter().map(|value| filled(value, text)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, filled(value, text))).collect(),
        other => other,
    }
}

fn encoded(service: &str, method: &str, message: Value) -> anyhow::Result<Bytes> {
    let set = if service == "users" { users::v1::FILE_DESCRIPTOR_SET } else { catalog::v1::FILE_DESCRIPTOR_SET };
    let request = format!("selvedge.{service}.v1.{method}Request");
    let request = DescriptorPool::decode(set)?.get_message_by_name(&request).context(request)?;
    Ok(DynamicMessage::deserialize(request, message)?.encode_to_vec().into())
}
