//! JSON as a service's owner or the operator wants it, and the metadata of answers.

use std::sync::Arc;

use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::{
    config::{JsonFormats, json_format},
    openapi::Document,
    schema::{Files, Learned, Schema, State},
    testing::{descriptors, pipeline_of, states},
};

/// Both services of `styled.proto`, of one process, under what an operator says.
fn schema(operator: &[&str]) -> Arc<Schema> {
    let services = ["styled.v1.StyledService", "styled.v1.PlainService"];
    let files = Files::from_sets(&[&descriptors("styled/v1/styled.proto")], &services).unwrap();
    let formats: JsonFormats = operator.iter().map(|text| json_format(text).unwrap()).collect();
    let mut learned = Learned::new("styled", None, 0, files).unwrap();
    learned.json = Arc::new(formats);
    let state = State { learned: Some(Arc::new(learned)), ..State::default() };
    let schema = Schema::build(&states(vec![("styled", state)]), true, &Schema::default());
    assert_eq!(schema.report.problems(), Vec::<String>::new());
    Arc::new(schema)
}

/// A service that answers what it is sent, with metadata in headers and trailers.
fn echo() -> Stub {
    Stub::new(|got| {
        let trailers = [("grpc-status", "0"), ("x-cost", "3"), ("x-seal-bin", "AAE"), ("x-selvedge-load", "1")];
        let mut response = ended(std::slice::from_ref(&got.body), &trailers);
        for (name, value) in
            [("x-page", "2"), ("x-selvedge-peer", "a"), ("keep-alive", "5"), ("grpc-encoding", "identity")]
        {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
}

fn ended(frames: &[Bytes], trailers: &[(&'static str, &str)]) -> Response<Body> {
    let trailers = trailers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    let trailers = Frame::trailers(trailers.collect());
    let frames: Vec<_> = frames.iter().cloned().map(Frame::data).chain([trailers]).map(Ok::<_, Status>).collect();
    Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))))
}

async fn ask(schema: &Arc<Schema>, stub: &Stub, request: Request<Body>) -> Answered {
    let (parts, body) = pipeline_of(Arc::clone(schema), stub).handle(request).await.into_parts();
    Answered { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

async fn post(operator: &[&str], path: &str, body: &str) -> (StatusCode, Json) {
    let answered = ask(&schema(operator), &echo(), request("POST", path, JSON, body.to_owned())).await;
    (answered.status, answered.json())
}

const SENT: &str = r#"{"displayName": "a", "level": "LEVEL_HIGH", "nope": 1}"#;

#[tokio::test]
async fn a_service_says_how_its_json_looks() {
    let (status, json) = post(&[], "/v1/styled", SENT).await;
    assert_eq!((status, json), (StatusCode::OK, json!({ "display_name": "a", "level": 1 })));
    let (status, _) = post(&[], "/v1/plain", SENT).await;
    assert_eq!(status, 400, "another service is as strict as ever");
    let (_, json) = post(&[], "/v1/plain", r#"{"display_name": "a", "level": 1}"#).await;
    assert_eq!(json, json!({ "displayName": "a", "level": "LEVEL_HIGH", "itemCount": 0 }));
}

#[tokio::test]
async fn the_operator_has_the_last_word() {
    let (_, json) = post(
        &["styled.v1.StyledService:preserve_proto_field_names=false,always_print_fields_with_no_presence"],
        "/v1/styled",
        SENT,
    )
    .await;
    assert_eq!(json, json!({ "displayName": "a", "level": 1, "itemCount": 0 }));
    let all = "*:ignore_unknown_fields,always_print_enums_as_ints=false";
    let (_, json) = post(&[all], "/v1/plain", SENT).await;
    assert_eq!(json, json!({ "displayName": "a", "level": "LEVEL_HIGH", "itemCount": 0 }));
    let (status, _) = post(&[all, "styled.v1.PlainService:ignore_unknown_fields=false"], "/v1/plain", SENT).await;
    assert_eq!(status, 400, "what is said of one service goes before what is said of all");
}

#[tokio::test]
async fn a_lenient_service_passes_over_parameters_that_it_does_not_know() {
    let get = async |path: &str| {
        let answered = ask(&schema(&[]), &echo(), request("GET", path, &[], "")).await;
        (answered.status, answered.json())
    };
    let known = json!({ "display_name": "a", "item_count": 2 });
    assert_eq!(get("/v1/styled/a?utm_source=x&itemCount=2&level=PLAID").await, (StatusCode::OK, known));
    for wrong in ["itemCount=x", "display_name=b", "itemCount=1&itemCount=2"] {
        assert_eq!(get(&format!("/v1/styled/a?{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(get("/v1/plain/a?utm_source=x").await.0, 400);
}

fn named(answered: &Answered) -> Vec<(&str, &str)> {
    let all = answered.headers.iter().filter(|(name, _)| name.as_str().starts_with("grpc-metadata-"));
    let mut all: Vec<_> = all.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    all.sort_unstable();
    all
}

const ALL: [(&str, &str); 3] =
    [("grpc-metadata-x-cost", "3"), ("grpc-metadata-x-page", "2"), ("grpc-metadata-x-seal-bin", "AAE")];

#[tokio::test]
async fn metadata_is_told_to_those_who_ask() {
    let from_page = [("prefer", "grpc-metadata"), ("origin", "https://a.example")];
    let answered = ask(&schema(&[]), &echo(), request("GET", "/v1/plain/a", &from_page, "")).await;
    assert_eq!(named(&answered), ALL);
    assert_eq!(answered.headers["preference-applied"], "grpc-metadata");
    let exposed = answered.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(ALL.iter().all(|(name, _)| exposed.split(", ").any(|one| one == *name)), "{exposed}");
    let plain = ask(&schema(&[]), &echo(), request("GET", "/v1/plain/a", &[], "")).await;
    assert_eq!(named(&plain), []);
    assert!(!plain.headers.contains_key("preference-applied"));
    assert_eq!(plain.headers["x-page"], "2", "headers pass as they did");
}

#[tokio::test]
async fn metadata_is_told_where_the_service_or_the_operator_says_so() {
    let told = ask(&schema(&[]), &echo(), request("GET", "/v1/styled/a", &[], "")).await;
    assert_eq!(named(&told), ALL);
    let told = ask(&schema(&["*:response_metadata"]), &echo(), request("GET", "/v1/plain/a", &[], "")).await;
    assert_eq!(named(&told), ALL);
    let never = schema(&["styled.v1.StyledService:response_metadata=false"]);
    assert_eq!(named(&ask(&never, &echo(), request("GET", "/v1/styled/a", &[], "")).await), []);
}

#[tokio::test]
async fn an_error_brings_the_metadata_of_headers_and_trailers() {
    let failing = Stub::new(|_| {
        let mut response = ended(&[], &[("grpc-status", "5"), ("grpc-message", "no"), ("x-cost", "3")]);
        response.headers_mut().insert("x-page", "2".parse().unwrap());
        response
    });
    let answered = ask(&schema(&[]), &failing, request("GET", "/v1/styled/a", &[], "")).await;
    assert_eq!(answered.status, 404);
    assert_eq!(named(&answered), [("grpc-metadata-x-cost", "3"), ("grpc-metadata-x-page", "2")]);
    let quiet = ask(&schema(&[]), &failing, request("GET", "/v1/plain/a", &[], "")).await;
    assert_eq!(named(&quiet), []);
}

#[test]
fn openapi_tells_the_json_of_each_service() {
    let document: Json = serde_json::from_slice(&Document::of(&schema(&[])).json).unwrap();
    let of = |path: &str| {
        let answer = &document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
        let name = answer["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let thing = &document["components"]["schemas"][name];
        let level = thing["properties"]["level"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        (thing.clone(), document["components"]["schemas"][level].clone())
    };
    let keys = |thing: &Json| thing["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (plain, level) = of("/v1/plain");
    assert_eq!(keys(&plain), ["displayName", "itemCount", "level"]);
    assert_eq!((&plain["additionalProperties"], &level["type"]), (&json!(false), &json!("string")));
    let (styled, level) = of("/v1/styled");
    assert_eq!(keys(&styled), ["display_name", "item_count", "level"]);
    assert_eq!((&styled["additionalProperties"], &level["type"]), (&json!(true), &json!(["integer", "string"])));
    let about = level["description"].as_str().unwrap();
    assert!(about.contains("- 0: `LEVEL_UNSPECIFIED`\n- 1: `LEVEL_HIGH`: As high as it goes"), "{about}");
    let parameters = document["paths"]["/v1/styled/{display_name}"]["get"]["parameters"].to_string();
    assert!(parameters.contains("\"item_count\""), "{parameters}");
}
