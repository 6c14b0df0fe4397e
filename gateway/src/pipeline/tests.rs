//! Whole requests over a stub for the mesh.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use selvedge::Idempotency;
use serde_json::{Value as Json, json};
use tonic::{Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::testing::{Stub, answer, framed, pipeline};

mod cases;
mod hostile;
mod json;
mod streams;

/// Answers with an item of the name that was asked for.
fn shop() -> Stub {
    Stub::new(|_| answer(vec![framed("Item", &json!({ "name": "items/1", "stock": "7" }))]))
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The fields that a `google.rpc.BadRequest` names.
    fn fields(&self) -> Vec<String> {
        let json = self.json();
        let violations = json["details"][0]["fieldViolations"].as_array().cloned().unwrap_or_default();
        violations.iter().map(|violation| violation["field"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

async fn send(stub: &Stub, request: Request<Body>) -> Answered {
    let (parts, body) = pipeline(stub).handle(request).await.into_parts();
    let body = body.collect().await.unwrap();
    Answered { status: parts.status, headers: parts.headers, body: body.to_bytes() }
}

fn request(verb: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Body> {
    let mut request = Request::builder().method(verb).uri(path).version(http::Version::HTTP_2);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::new(Full::new(body.into()))).unwrap()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

async fn rest(stub: &Stub, verb: &str, path: &str, body: &Json) -> Answered {
    send(stub, request(verb, path, JSON, body.to_string())).await
}

#[tokio::test]
async fn a_get_becomes_a_call_and_its_answer_json() {
    let stub = shop();
    let answered = send(&stub, request("GET", "/v1/items/1", &[("authorization", "Bearer t")], "")).await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.headers["content-type"], "application/json");
    assert_eq!(answered.headers["x-initial"], "i");
    let item = answered.json();
    assert_eq!((&item["name"], &item["stock"]), (&json!("items/1"), &json!("7")));
    assert_eq!(item["displayName"], "", "zero values are written");
    assert_eq!(item.get("size"), None, "what is absent is not");
    let got = stub.last();
    assert_eq!((got.service.as_str(), got.path.as_str()), ("shop", "/shop.v1.ShopService/GetItem"));
    assert_eq!(got.json("GetItemRequest"), json!({ "name": "items/1" }));
    assert_eq!(got.headers["authorization"], "Bearer t");
    assert_eq!(got.headers["content-type"], "application/grpc");
    assert_eq!(got.options.idempotency, Some(Idempotency::NoSideEffects));
    assert_eq!(got.options.unary, Some(true));
}

#[tokio::test]
async fn a_response_body_is_answered_alone() {
    let stub = Stub::new(|_| answer(vec![framed("Item", &json!({ "displayName": "Chair" }))]));
    let answered = send(&stub, request("GET", "/v1/items/1/title", &[], "")).await;
    assert_eq!(answered.json(), json!("Chair"));
    assert_eq!(stub.last().json("GetItemRequest"), json!({ "name": "1" }));
}

#[tokio::test]
async fn what_is_wrong_with_a_body_names_the_field() {
    let stub = shop();
    for (body, field) in [
        (json!({ "displayNam": "x" }), "item.displayNam"),
        (json!({ "stock": "many" }), "item.stock"),
        (json!({ "displayName": 7 }), "item.display_name"),
        (json!({ "size": { "width": "wide" } }), "item.size.width"),
        (json!({ "size": { "depth": 1 } }), "item.size.depth"),
        (json!({ "sizes": [{ "width": 1 }, { "width": [] }] }), "item.sizes[1].width"),
        (json!({ "sizes": [{ "widths": 1 }] }), "item.sizes[0].widths"),
        (json!({ "sizesByName": { "s": { "depth": 1 } } }), "item.sizes_by_name.s.depth"),
        (json!({ "createTime": "yesterday" }), "item.create_time"),
        (json!({ "color": "COLOR_PLAID" }), "item.color"),
        (json!([1]), "item"),
    ] {
        let answered = rest(&stub, "POST", "/v1/items", &body).await;
        assert_eq!(answered.status, 400, "{body}");
        assert_eq!(answered.json()["code"], 3, "{body}");
        assert_eq!(answered.fields(), [field], "{body}: {}", answered.json());
    }
    assert!(stub.got.lock().unwrap().is_empty(), "nothing wrong reached the service");
}

#[tokio::test]
async fn a_body_cannot_break_out_of_its_field() {
    for broken in [r#"{"#, r#"{} , "itemId": "x""#, r#"{}} {"#, "", "nonsense"] {
        let stub = shop();
        let answered = send(&stub, request("POST", "/v1/items", JSON, broken)).await;
        let wanted = if broken.is_empty() { 200 } else { 400 };
        assert_eq!(answered.status, wanted, "{broken}");
        assert!(broken.is_empty() || answered.fields() == ["item"], "{broken}: {}", answered.json());
    }
}

#[tokio::test]
async fn a_body_that_is_nested_without_end_is_refused() {
    let stub = shop();
    let nested = |depth: usize| format!("{}{}{}", "{\"inside\":".repeat(depth), "{}", "}".repeat(depth));
    for (depth, wanted) in [(98, 200), (99, 400), (800, 400)] {
        let body = format!("{{\"shopFloor\":{}}}", nested(depth));
        let answered = send(&stub, request("POST", "/v1/items:search", JSON, body)).await;
        assert!(answered.status == wanted, "{depth}: {}", answered.json());
    }
}

#[tokio::test]
async fn malformed_json_names_the_field_that_it_is_in() {
    for (broken, field) in [
        (r#"{"displayName": nope}"#, "item.display_name"),
        (r#"{"size": {"width": 1,"#, "item.size"),
        (r#"{"displayName": "x"} trailing"#, "item"),
    ] {
        let answered = send(&shop(), request("POST", "/v1/items", JSON, broken)).await;
        assert_eq!((answered.status, answered.fields()), (StatusCode::BAD_REQUEST, vec![field.to_owned()]), "{broken}");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused() {
    let stub = shop();
    let form = send(&stub, request("POST", "/v1/items", &[("content-type", "text/plain")], "a=b")).await;
    assert_eq!((form.status, form.json()["code"].clone()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, json!(3)));
    assert_eq!(form.fields(), ["item"]);
    let zipped = [("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(send(&stub, request("POST", "/v1/items", &zipped, "x")).await.status, 415);
    let long = json!({ "displayName": "x".repeat(20_000) });
    let large = rest(&stub, "POST", "/v1/items", &long).await;
    assert_eq!((large.status, large.json()["code"].clone()), (StatusCode::PAYLOAD_TOO_LARGE, json!(8)));
    assert_eq!(large.fields(), ["item"]);
    let announced = [("content-type", "application/json"), ("content-length", "20000")];
    assert_eq!(send(&stub, request("POST", "/v1/items", &announced, "{}")).await.status, 413);
    let needless = rest(&stub, "GET", "/v1/items/1", &json!({ "name": "items/2" })).await;
    assert_eq!(needless.status, 400);
}

#[tokio::test]
async fn a_path_or_verb_that_is_not_there_is_told_apart() {
    let stub = shop();
    let nothing = rest(&stub, "GET", "/v2/items", &json!({})).await;
    assert_eq!((nothing.status, nothing.json()["code"].clone()), (StatusCode::NOT_FOUND, json!(5)));
    let wrong = send(&stub, request("DELETE", "/v1/items/1", &[], "")).await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.headers["allow"], "GET, HEAD, PATCH");
    assert_eq!(wrong.json()["code"], 12);
    let options = send(&stub, request("OPTIONS", "/v1/items/1", &[], "")).await;
    assert_eq!(
        (options.status, &options.headers["allow"]),
        (StatusCode::NO_CONTENT, &"GET, HEAD, PATCH, OPTIONS".parse().unwrap())
    );
    let head = send(&stub, request("HEAD", "/v1/items/1", &[], "")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_ne!(head.headers["content-length"], "0");
}

#[tokio::test]
async fn a_services_error_keeps_code_message_and_details() {
    let stub = Stub::new(|_| {
        let details = ErrorDetails::with_resource_info("item", "items/1", "", "not there");
        Status::with_error_details(tonic::Code::NotFound, "no items/1", details).into_http()
    });
    let answered = send(&stub, request("GET", "/v1/items/1", &[], "")).await;
    assert_eq!(answered.status, 404);
    let json = answered.json();
    assert_eq!((&json["code"], &json["message"]), (&json!(5), &json!("no items/1")));
    assert_eq!(json["details"][0]["@type"], "type.googleapis.com/google.rpc.ResourceInfo");
    assert_eq!(json["details"][0]["resourceName"], "items/1");
}

#[tokio::test]
async fn a_time_limit_and_a_trace_go_to_the_service() {
    let stub = shop();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-server-timeout", "2.5"), ("traceparent", trace), ("x-selvedge-peer", "admin")];
    send(&stub, request("GET", "/v1/items/1", &headers, "")).await;
    let got = stub.last();
    assert_eq!(got.headers["grpc-timeout"], "2500000u");
    assert_eq!(got.headers["traceparent"], trace, "who records nothing passes on the caller's");
    assert!(!got.headers.contains_key("x-selvedge-peer"));
    send(&stub, request("GET", "/v1/items/1", &[], "")).await;
    assert!(stub.last().headers.contains_key("traceparent"), "a trace begins here");
    let bad = send(&stub, request("GET", "/v1/items/1", &[("x-server-timeout", "soon")], "")).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn grpc_passes_through_untouched() {
    let body = Bytes::from_static(b"\x01\0\0\0\x03any");
    let stub = Stub::new(|got| answer(vec![got.body.clone(), Bytes::from_static(b"\0\0\0\0\0")]));
    let headers = [("content-type", "application/grpc+proto"), ("grpc-timeout", "1S"), ("grpc-encoding", "gzip")];
    let sent = request("POST", "/shop.v1.ShopService/WatchItems", &headers, body.clone());
    let response = pipeline(&stub).handle(sent).await;
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.trailers().unwrap()["x-trailer"], "t");
    assert_eq!(collected.to_bytes(), [&body[..], b"\0\0\0\0\0"].concat());
    let got = stub.last();
    assert_eq!(got.body, body);
    assert_eq!(
        (&got.headers["grpc-timeout"], &got.headers["grpc-encoding"]),
        (&"1S".parse().unwrap(), &"gzip".parse().unwrap())
    );
    assert_eq!(got.options.unary, Some(false));
}

#[tokio::test]
async fn an_unknown_service_or_method_is_unimplemented() {
    let stub = shop();
    for (path, wanted) in [("/no.Such/Thing", "no.Such"), ("/shop.v1.ShopService/Steal", "Steal")] {
        for kind in ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text"] {
            let answered = send(&stub, request("POST", path, &[("content-type", kind)], "")).await;
            assert_eq!(answered.status, 200);
            assert_eq!(answered.headers["grpc-status"], "12", "{path} {kind}");
            let message = answered.headers["grpc-message"].to_str().unwrap();
            assert!(message.contains(wanted), "{message}");
            assert!(answered.body.is_empty());
        }
    }
}

const TRAILERS: &[u8] = b"\x80\0\0\0\x1cgrpc-status:0\r\nx-trailer:t\r\n";

#[tokio::test]
async fn grpc_web_answers_frames_and_then_trailers() {
    let (first, second) = (Bytes::from_static(b"\0\0\0\0\x01a"), Bytes::from_static(b"\0\0\0\0\x02bc"));
    let frames = vec![first.clone(), second.clone()];
    let stub = Stub::new(move |_| answer(frames.clone()));
    let path = "/shop.v1.ShopService/WatchItems";
    let sent = framed("GetItemRequest", &json!({ "name": "items/1" }));
    let web = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1"), ("x-tenant", "a")];
    let binary = send(&stub, request("POST", path, &web, sent.clone())).await;
    assert_eq!(binary.headers["content-type"], "application/grpc-web+proto");
    assert_eq!(binary.body, [&first[..], &second, TRAILERS].concat());
    let got = stub.last();
    assert_eq!((&got.body, &got.headers["content-type"]), (&sent, &"application/grpc".parse().unwrap()));
    assert_eq!((&got.headers["te"], &got.headers["x-tenant"]), (&"trailers".parse().unwrap(), &"a".parse().unwrap()));
    assert!(!got.headers.contains_key("x-grpc-web"));

    // Padding in the middle: two pieces.
    let text = [STANDARD.encode(&sent[..4]), STANDARD.encode(&sent[4..])].concat();
    let answered = send(&stub, request("POST", path, &[("content-type", "application/grpc-web-text")], text)).await;
    assert_eq!(answered.headers["content-type"], "application/grpc-web-text+proto");
    let pieces = [&first[..], &second, TRAILERS].map(|piece| STANDARD.encode(piece));
    assert_eq!(answered.body, pieces.concat());
    assert_eq!(stub.last().body, sent);
}

#[tokio::test]
async fn a_refusal_by_grpc_web_stays_in_the_headers() {
    let refusing = Stub::new(|_| Status::permission_denied("not you").into_http());
    let path = "/shop.v1.ShopService/GetItem";
    let headers = [("content-type", "application/grpc-web+proto"), ("origin", "https://a.example")];
    let answered = send(&refusing, request("POST", path, &headers, "")).await;
    assert_eq!((&answered.headers["grpc-status"], answered.body.len()), (&"7".parse().unwrap(), 0));
    let exposed = answered.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.starts_with("grpc-status, grpc-message, grpc-status-details-bin"), "{exposed}");
    assert_eq!(answered.headers["access-control-allow-origin"], "*");

    let text = [("content-type", "application/grpc-web-text")];
    let broken = send(&shop(), request("POST", path, &text, "AAA")).await;
    assert_eq!(broken.headers["grpc-status"], "3");
    let large = send(&shop(), request("POST", path, &headers, vec![0; 20_000])).await;
    assert_eq!(large.headers["grpc-status"], "8");
    let json = send(&shop(), request("POST", path, &[("content-type", "application/grpc-web+json")], "")).await;
    assert_eq!(json.status, 415);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_in_the_trailers_frame() {
    let stub = Stub::new(|_| Response::new(Body::new(Full::new(Bytes::from_static(b"\0\0\0\0\x01a")))));
    let headers = [("content-type", "application/grpc-web+proto")];
    let answered = send(&stub, request("POST", "/shop.v1.ShopService/GetItem", &headers, "")).await;
    let text = String::from_utf8_lossy(&answered.body[6..]).into_owned();
    assert!(text.contains("grpc-status:2\r\n"), "{text}");
    let rest = send(&stub, request("GET", "/v1/items/1", &[], "")).await;
    assert_eq!(rest.status, 500);
}

#[tokio::test]
async fn a_preflight_never_reaches_a_service() {
    let stub = shop();
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-grpc-web"),
    ];
    let answered = send(&stub, request("OPTIONS", "/shop.v1.ShopService/GetItem", &headers, "")).await;
    assert_eq!(answered.status, 204);
    assert_eq!(answered.headers["access-control-allow-headers"], "content-type,x-grpc-web");
    assert!(stub.got.lock().unwrap().is_empty());
}

#[tokio::test]
async fn probes_are_answered_before_rest() {
    let stub = shop();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(&stub, request("GET", path, &[], "")).await.status, 200, "{path}");
    }
    let gateway = pipeline(&stub);
    gateway.health.leaving.cancel();
    assert_eq!(gateway.handle(request("GET", "/readyz", &[], "")).await.status(), 503);
    assert_eq!(gateway.handle(request("GET", "/healthz", &[], "")).await.status(), 200);
}
