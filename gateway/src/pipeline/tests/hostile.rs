//! What is sent to harm: each is refused, or borne.

use std::time::Duration;

use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::memory::Memory;

#[tokio::test]
async fn a_path_leads_to_no_file_and_stays_in_its_field() {
    let stub = shop();
    for path in [
        "/docs/../../etc/passwd",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/../etc/passwd",
        "//etc/passwd",
        "/docs//x",
        "/%2e%2e/x",
    ] {
        let answered = send(&stub, request("GET", path, &[], "")).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (path, name) in [
        ("/v1/items/..", "items/.."),
        ("/v1/items/%2e%2e", "items/.."),
        ("/v1/items/..%2f..%2fusers", "items/..%2f..%2fusers"),
        ("/v1/items/a%00b", "items/a\0b"),
        ("/v1/items/%E2%80%AE", "items/\u{202e}"),
    ] {
        assert_eq!(send(&stub, request("GET", path, &[], "")).await.status, StatusCode::OK, "{path}");
        assert_eq!(stub.last().json("GetItemRequest"), json!({ "name": name }), "{path}");
    }
    for path in ["/v1/items/%ff", "/v1/items/%", "/v1/items/%zz", "/v1/items/1?name=%zz"] {
        assert_eq!(send(&stub, request("GET", path, &[], "")).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

/// A service, or who stands behind it, writes what it likes into an error.
#[tokio::test]
async fn text_of_an_error_makes_no_headers() {
    let evil = "no\r\nset-cookie: a=b\r\n\r\n<script>";
    let stub = Stub::new(move |_| Status::not_found(evil).into_http());
    let rest = send(&stub, request("GET", "/v1/items/1", &[], "")).await;
    assert_eq!((rest.status, &rest.json()["message"]), (StatusCode::NOT_FOUND, &json!(evil)));
    let web = [("content-type", "application/grpc-web+proto")];
    let web = send(&stub, request("POST", "/shop.v1.ShopService/GetItem", &web, "")).await;
    assert_eq!(web.headers["grpc-message"], "no%0D%0Aset-cookie:%20a=b%0D%0A%0D%0A%3Cscript%3E");
    for answered in [rest, web] {
        assert!(!answered.headers.contains_key("set-cookie"));
    }
    let query = send(&shop(), request("GET", "/v1/items:search?%0d%0aset-cookie:x=1", &[], "")).await;
    assert_eq!((query.status, query.headers.len()), (StatusCode::BAD_REQUEST, 1), "{:?}", query.headers);
}

#[tokio::test]
async fn a_client_cannot_pretend_to_be_the_mesh_or_set_what_the_gateway_sets() {
    let stub = shop();
    let headers = [
        ("content-type", "application/grpc-web+proto"),
        ("x-selvedge-peer", "admin"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-secret"),
        ("x-secret", "1"),
        ("upgrade", "h2c"),
    ];
    send(&stub, request("POST", "/shop.v1.ShopService/GetItem", &headers, "")).await;
    let got = stub.last().headers;
    for name in ["x-selvedge-peer", "transfer-encoding", "connection", "x-secret", "upgrade"] {
        assert!(!got.contains_key(name), "{name}");
    }
    assert_eq!(got["te"], "trailers");
}

/// Nothing is decompressed here, so nothing can grow here.
#[tokio::test]
async fn compressed_bodies_are_refused_and_compressed_messages_pass() {
    let stub = shop();
    for (path, kind) in
        [("/v1/items", "application/json"), ("/shop.v1.ShopService/GetItem", "application/grpc-web+proto")]
    {
        for encoding in ["gzip", "br", "gzip, gzip", "zstd"] {
            let headers = [("content-type", kind), ("content-encoding", encoding)];
            let answered = send(&stub, request("POST", path, &headers, vec![0x1f; 100])).await;
            let refused =
                answered.status == 415 || answered.headers.get("grpc-status").is_some_and(|code| code == "12");
            assert!(refused, "{path} {encoding}: {}", answered.status);
        }
    }
    assert!(stub.got.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    for (path, kind, status) in
        [("/v1/items", "application/json", 408), ("/shop.v1.ShopService/GetItem", "application/grpc-web+proto", 200)]
    {
        let pieces = futures::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Status>(Frame::data(Bytes::from_static(b" "))), ()))
        });
        let mut slow = request("POST", path, &[("content-type", kind)], "");
        *slow.body_mut() = Body::new(StreamBody::new(Box::pin(pieces)));
        let begin = tokio::time::Instant::now();
        let answered = send(&shop(), slow).await;
        assert_eq!((answered.status.as_u16(), begin.elapsed().as_secs()), (status, 30), "{path}");
        assert!(status != 200 || answered.headers["grpc-status"] == "4", "{:?}", answered.headers);
    }
}

#[tokio::test]
async fn metadata_of_grpc_web_passes_whole_in_both_directions() {
    let stub = Stub::new(|_| {
        let mut trailers = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("x-many", "t1"), ("x-many", "t2"), ("x-bytes-bin", "AAE")] {
            trailers.append(name, value.parse().unwrap());
        }
        let frames = [Frame::data(Bytes::from_static(b"\x01\0\0\0\x02zz")), Frame::trailers(trailers)];
        let mut response =
            Response::new(Body::new(StreamBody::new(futures::stream::iter(frames.map(Ok::<_, Status>)))));
        for (name, value) in [("grpc-encoding", "gzip"), ("x-many", "h1"), ("x-many", "h2"), ("x-bytes-bin", "/w")] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    });
    let headers = [
        ("content-type", "application/grpc-web+proto"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "gzip,identity"),
        ("x-many", "a"),
        ("x-many", "b"),
        ("x-bytes-bin", "AAECAw=="),
        ("origin", "https://a.example"),
    ];
    let sent = Bytes::from_static(b"\x01\0\0\0\x03yyy");
    let answered = send(&stub, request("POST", "/shop.v1.ShopService/GetItem", &headers, sent.clone())).await;
    let got = stub.last();
    assert_eq!(got.body, sent, "a compressed message passes as it is");
    assert_eq!(
        (&got.headers["grpc-encoding"], &got.headers["grpc-accept-encoding"]),
        (&"gzip".parse().unwrap(), &"gzip,identity".parse().unwrap())
    );
    assert_eq!(got.headers.get_all("x-many").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(got.headers["x-bytes-bin"], "AAECAw==");
    assert_eq!(answered.headers["grpc-encoding"], "gzip");
    assert_eq!(answered.headers.get_all("x-many").iter().collect::<Vec<_>>(), ["h1", "h2"]);
    let exposed = answered.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(
        exposed.contains("x-many") && exposed.contains("x-bytes-bin") && exposed.contains("grpc-encoding"),
        "{exposed}"
    );
    let (message, trailers) = answered.body.split_at(7);
    assert_eq!(message, b"\x01\0\0\0\x02zz");
    let text = std::str::from_utf8(&trailers[5..]).unwrap();
    let mut lines: Vec<_> = text.split_terminator("\r\n").collect();
    lines.sort_unstable();
    assert_eq!(lines, ["grpc-status:0", "x-bytes-bin:AAE", "x-many:t1", "x-many:t2"]);
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_an_error_and_not_the_answer() {
    let stub = Stub::new(|_| {
        let mut response = Response::new(Body::new(Full::new(Bytes::from_static(b"<h1>Bad gateway</h1>"))));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    let rest = send(&stub, request("GET", "/v1/items/1", &[], "")).await;
    assert!(rest.status.is_server_error() && rest.json()["code"].is_number(), "{}", rest.status);
}

#[tokio::test]
async fn requests_and_answers_together_hold_no_more_than_they_may() {
    let stub = shop();
    let mut pipeline = pipeline(&stub);
    let get = || request("GET", "/v1/items/1", &[], "");
    let whole = pipeline.handle(get()).await.into_body().collect().await.unwrap().to_bytes().len();
    // One answer that nobody has read yet, and half of another.
    pipeline.memory = Memory::new(whole * 3 / 2);
    let unread = pipeline.handle(get()).await;
    assert_eq!((unread.status(), pipeline.memory.held()), (StatusCode::OK, whole));
    let refused = pipeline.handle(get()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let refused: Json = serde_json::from_slice(&refused.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(refused["code"], 8, "{refused}");
    assert!(refused["message"].as_str().unwrap().contains(&format!("{} bytes", whole * 3 / 2)), "{refused}");

    // A request that does not fit does not reach the service, in either form.
    let before = stub.got.lock().unwrap().len();
    let web = [("content-type", "application/grpc-web+proto")];
    let long = "x".repeat(whole);
    let answered = pipeline.handle(request("POST", "/shop.v1.ShopService/GetItem", &web, long.clone())).await;
    assert_eq!(answered.headers()["grpc-status"], "8");
    let answered = pipeline.handle(request("POST", "/v1/items", JSON, long)).await;
    assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stub.got.lock().unwrap().len(), before);

    drop(unread);
    assert_eq!(pipeline.memory.held(), 0);
    assert_eq!(pipeline.handle(get()).await.status(), StatusCode::OK);
}
