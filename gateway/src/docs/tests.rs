use http::{Method, Request};
use http_body_util::BodyExt as _;

use super::*;
use crate::testing::{Stub, answer, pipeline, shop};

async fn get(method: Method, path: &str, headers: &[(&'static str, &str)]) -> (http::response::Parts, Bytes) {
    let pipeline = pipeline(&Stub::new(|_| answer(Vec::new())));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = pipeline.handle(request.body(Body::empty()).unwrap()).await.into_parts();
    (head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn every_document_has_its_media_type_and_is_not_sent_twice() {
    for (path, media_type) in [
        ("/openapi.json", "application/json"),
        ("/openapi.yaml", "application/yaml"),
        ("/descriptor.binpb", "application/protobuf"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ] {
        let (head, body) = get(Method::GET, path, &[]).await;
        assert_eq!(head.status, StatusCode::OK, "{path}");
        assert_eq!(head.headers[CONTENT_TYPE], media_type, "{path}");
        assert!(!body.is_empty(), "{path}");
        let etag = head.headers[ETAG].to_str().unwrap();
        let (again, body) = get(Method::GET, path, &[("if-none-match", etag)]).await;
        assert_eq!((again.status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        let (head, body) = get(Method::HEAD, path, &[]).await;
        assert_eq!((head.status, body.len()), (StatusCode::OK, 0), "{path}");
    }
}

#[tokio::test]
async fn the_page_may_reach_no_other_host() {
    let (head, body) = get(Method::GET, "/docs", &[]).await;
    let policy = head.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    for text in [policy, std::str::from_utf8(&body).unwrap()] {
        assert!(!text.contains("//"), "{text}");
    }
    let (head, _) = get(Method::GET, "/docs/", &[]).await;
    assert_eq!(head.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(head.headers[LOCATION], "../docs");
    assert_eq!(get(Method::GET, "/docs/nothing", &[]).await.0.status, StatusCode::NOT_FOUND);
    assert_eq!(get(Method::POST, "/docs", &[]).await.0.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn descriptors_are_had_of_one_service_too() {
    let all = get(Method::GET, "/descriptor.binpb", &[]).await.1;
    let one = get(Method::GET, "/descriptor.binpb?service=shop.v1.ShopService", &[]).await.1;
    assert_eq!(all, one);
    let (head, body) = get(Method::GET, "/descriptor.binpb?service=shop.v1.None", &[]).await;
    assert_eq!(head.status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(&body).contains("there is no gRPC service shop.v1.None"));
}

#[tokio::test]
async fn documents_are_made_once_for_a_schema() {
    let docs = Docs::default();
    let schema = shop();
    let first = docs.made(&schema).await;
    assert!(Arc::ptr_eq(&first, &docs.made(&schema).await));
    let other = Arc::new(Schema::default());
    let second = docs.made(&other).await;
    assert_ne!(first.json.etag, second.json.etag);
}

/// The bundle is that of the npm package: the digest is that of `swagger-ui-bundle.js`, unpacked.
#[test]
fn the_viewer_is_what_its_package_has() {
    let (_, bundle) = FILES.iter().find(|(name, _)| name.ends_with("bundle.js")).unwrap();
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bundle.body[..]), &mut unpacked).unwrap();
    let digest: String = Sha256::digest(&unpacked).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2");
}
