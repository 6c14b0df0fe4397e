//! Streams and bytes by REST.

use std::{sync::OnceLock, time::Duration};

use futures::{Stream, StreamExt as _, channel::mpsc};
use http_body::Frame;
use http_body_util::StreamBody;
use prost_reflect::DynamicMessage;

use super::*;
use crate::{
    pipeline::Pipeline,
    schema::Schema,
    testing::{Got, descriptor, learned, pipeline_of, states},
};

/// The schema of `stream.proto`, made once.
fn schema() -> std::sync::Arc<Schema> {
    static SCHEMA: OnceLock<std::sync::Arc<Schema>> = OnceLock::new();
    std::sync::Arc::clone(SCHEMA.get_or_init(|| {
        let stream = learned("stream", 0, "stream/v1/stream.proto", "stream.v1.StreamService");
        let schema = Schema::build(&states(vec![("stream", stream)]), true, &Schema::default());
        assert_eq!(schema.report.problems(), Vec::<String>::new());
        std::sync::Arc::new(schema)
    }))
}

fn gateway(stub: &Stub) -> Pipeline {
    pipeline_of(schema(), stub)
}

async fn send(stub: &Stub, request: Request<Body>) -> Answered {
    let (parts, body) = gateway(stub).handle(request).await.into_parts();
    let body = body.collect().await.unwrap();
    Answered { status: parts.status, headers: parts.headers, body: body.to_bytes() }
}

fn message(name: &str, json: &Json) -> Bytes {
    let descriptor = descriptor(&schema(), "stream.v1.StreamService", name);
    crate::testing::frame(&DynamicMessage::deserialize(descriptor, json).unwrap())
}

fn event(token: i64) -> Bytes {
    message("stream.v1.Event", &json!({ "name": "streams/1", "text": format!("t{token}"), "resumeToken": token }))
}

/// Reads all messages that a service got.
fn received(got: &Got, name: &str) -> Vec<Json> {
    let descriptor = descriptor(&schema(), "stream.v1.StreamService", name);
    let mut all = Vec::new();
    let mut rest = &got.body[..];
    while let Some((prefix, after)) = rest.split_first_chunk::<5>() {
        let (message, after) = after.split_at(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize);
        all.push(serde_json::to_value(DynamicMessage::decode(descriptor.clone(), message).unwrap()).unwrap());
        rest = after;
    }
    all
}

fn two_events() -> Stub {
    Stub::new(|_| answer(vec![event(1), event(2)]))
}

/// Answers with two messages, and then fails.
fn failing() -> Stub {
    Stub::new(|_| {
        let details = ErrorDetails::with_error_info("WORN_OUT", "stream.example", [] as [(String, String); 0]);
        let status = Status::with_error_details(tonic::Code::DataLoss, "it is gone", details);
        streamed(futures::stream::iter([Ok(event(1)), Ok(event(2)), Err(status)]))
    })
}

/// Answers with messages as they come.
fn streamed(messages: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Response<Body> {
    let frames = messages.map(|message| match message {
        Ok(message) => Ok::<_, Status>(Frame::data(message)),
        Err(status) => {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            Ok(Frame::trailers(trailers))
        }
    });
    Response::new(Body::new(StreamBody::new(frames)))
}

const WATCH: &str = "/v1/streams/1:watch";
const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];
const ONE: &str = r#"{"name":"streams/1","text":"t1","resumeToken":"1"}"#;
const TWO: &str = r#"{"name":"streams/1","text":"t2","resumeToken":"2"}"#;

#[tokio::test]
async fn what_was_read_of_a_line_is_held_within_the_memory_of_all() {
    let mut pipeline = gateway(&two_events());
    pipeline.memory = crate::memory::Memory::new(50);
    let line = || request("POST", "/v1/streams/1:record", NDJSON, "x".repeat(51));
    let refused = pipeline.handle(line()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(pipeline.memory.held(), 0);
    pipeline.memory = crate::memory::Memory::new(51);
    assert_eq!(pipeline.handle(line()).await.status(), StatusCode::BAD_REQUEST, "it fits, and is no JSON");
}

#[tokio::test]
async fn a_stream_is_written_in_the_form_that_accept_asks_for() {
    for (accept, kind, wanted) in [
        ("*/*", "application/json", format!("[{ONE},{TWO}]")),
        ("application/x-ndjson", "application/x-ndjson", format!("{ONE}\n{TWO}\n")),
        (
            "text/event-stream",
            "text/event-stream",
            format!("id: 1\ndata: {ONE}\n\nid: 2\ndata: {TWO}\n\nevent: stream-end\ndata: {{}}\n\n"),
        ),
    ] {
        let answered = send(&two_events(), request("GET", WATCH, &[("accept", accept)], "")).await;
        assert_eq!((answered.status, &answered.headers["content-type"]), (StatusCode::OK, &kind.parse().unwrap()));
        assert_eq!(answered.body, wanted, "{accept}");
        assert_eq!(answered.headers["x-initial"], "i");
    }
    let empty = send(&Stub::new(|_| answer(vec![])), request("GET", WATCH, &[], "")).await;
    assert_eq!(empty.json(), json!([]));
    let texts = send(&two_events(), request("GET", "/v1/streams/1:texts", &[], "")).await;
    assert_eq!(texts.json(), json!(["t1", "t2"]));
}

#[tokio::test]
async fn an_error_after_the_first_message_is_told_in_each_form() {
    let status = json!({
        "@type": "type.googleapis.com/google.rpc.Status",
        "code": 15,
        "message": "it is gone",
        "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "WORN_OUT", "domain": "stream.example", "metadata": {} }],
    });
    let array = send(&failing(), request("GET", WATCH, &[], "")).await;
    let parsed = array.json();
    assert_eq!((parsed.as_array().unwrap().len(), parsed[2]["@type"].clone()), (3, status["@type"].clone()));
    assert_eq!((&parsed[2]["code"], &parsed[2]["details"][0]["reason"]), (&json!(15), &json!("WORN_OUT")));
    let lines = send(&failing(), request("GET", WATCH, &[("accept", "application/x-ndjson")], "")).await;
    let text = String::from_utf8(lines.body.to_vec()).unwrap();
    let last: Json = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((text.lines().count(), &last["message"]), (3, &status["message"]));
    let events = send(&failing(), request("GET", WATCH, &[("accept", "text/event-stream")], "")).await;
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    let (_, last) = text.split_once("event: stream-error\ndata: ").unwrap();
    assert_eq!(serde_json::from_str::<Json>(last).unwrap()["code"], 15);
    assert!(!text.contains("stream-end"), "{text}");
}

#[tokio::test]
async fn an_error_before_the_first_message_has_its_http_status() {
    for stub in [
        Stub::new(|_| Status::not_found("no such stream").into_http()),
        Stub::new(|_| streamed(futures::stream::iter([Err(Status::not_found("no such stream"))]))),
    ] {
        let answered = send(&stub, request("GET", WATCH, &[("accept", "text/event-stream")], "")).await;
        assert_eq!(
            (answered.status, &answered.headers["content-type"]),
            (StatusCode::NOT_FOUND, &"application/json".parse().unwrap())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_is_written_when_it_comes_and_silence_is_filled() {
    let (sender, receiver) = mpsc::unbounded::<Result<Bytes, Status>>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let stub = Stub::new(move |_| streamed(receiver.lock().unwrap().take().unwrap()));
    let response = gateway(&stub).handle(request("GET", WATCH, &[("accept", "text/event-stream")], "")).await;
    assert_eq!(response.status(), StatusCode::OK, "the headers do not wait for ever");
    let mut body = response.into_body();
    let mut next = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
    sender.unbounded_send(Ok(event(1))).unwrap();
    assert_eq!(next().await, format!("id: 1\ndata: {ONE}\n\n"));
    assert_eq!(next().await, ":\n\n");
    sender.unbounded_send(Ok(event(2))).unwrap();
    assert_eq!(next().await, format!("id: 2\ndata: {TWO}\n\n"));
    assert!(!sender.is_closed());
    drop(body);
    assert!(sender.is_closed(), "a client that leaves cancels the call");
}

#[tokio::test]
async fn the_last_event_id_goes_to_the_field_that_resumes() {
    let stub = two_events();
    let headers = [("accept", "text/event-stream"), ("last-event-id", "41")];
    send(&stub, request("GET", WATCH, &headers, "")).await;
    assert_eq!(received(&stub.last(), "stream.v1.WatchRequest"), [json!({ "name": "streams/1", "resumeToken": "41" })]);
    send(&stub, request("GET", &format!("{WATCH}?resumeToken=7"), &headers, "")).await;
    assert_eq!(
        received(&stub.last(), "stream.v1.WatchRequest")[0]["resumeToken"],
        "7",
        "what the query says goes first"
    );
    let wrong = send(&stub, request("GET", WATCH, &[("last-event-id", "x")], "")).await;
    assert_eq!((wrong.status, wrong.fields()), (StatusCode::BAD_REQUEST, vec!["resume_token".to_owned()]));
}

fn summing() -> Stub {
    Stub::new(|_| answer(vec![message("stream.v1.Summary", &json!({ "count": 2 }))]))
}

#[tokio::test]
async fn lines_of_json_become_a_stream_of_messages() {
    let stub = summing();
    let body = "{\"text\":\"a\"}\n\n  {\"text\":\"b\", \"name\": \"streams/9\"}\r\n{}";
    let answered = send(&stub, request("POST", "/v1/streams/1:record", NDJSON, body)).await;
    assert_eq!((answered.status, answered.json()), (StatusCode::OK, json!({ "count": 2 })));
    let got = received(&stub.last(), "stream.v1.Event");
    let named = |text: &str| json!({ "name": "streams/1", "text": text });
    assert_eq!(got, [named("a"), named("b"), json!({ "name": "streams/1" })]);
    assert_eq!(stub.last().options.unary, Some(false));

    let answered = send(&stub, request("POST", "/v1/streams/1/notes?author=Ann", NDJSON, "[\"a\",\"b\"]\n[]\n")).await;
    assert_eq!(answered.status, StatusCode::OK);
    let got = received(&stub.last(), "stream.v1.NoteRequest");
    let of = json!({ "name": "streams/1", "author": "Ann" });
    assert_eq!(got, [json!({ "name": "streams/1", "author": "Ann", "note": ["a", "b"] }), of]);

    let none = send(&stub, request("POST", "/v1/streams/1:record", NDJSON, "")).await;
    assert_eq!((none.status, received(&stub.last(), "stream.v1.Event").len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn a_wrong_line_is_told_by_its_number_and_cancels_the_call() {
    for (body, line, field) in [
        ("{}\n{\"text\": 7}\n{}", "line 2: ", "text"),
        ("{}\n{}\n{\"nothing\": 1}", "line 3: ", "nothing"),
        ("{} {}\n", "line 1: ", ""),
    ] {
        let answered = send(&summing(), request("POST", "/v1/streams/1:record", NDJSON, body)).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answered.json()["message"].as_str().unwrap().starts_with(line), "{}", answered.json());
        assert!(field.is_empty() || answered.fields() == [field], "{}", answered.json());
    }
    let long = format!("{{}}\n{{\"text\":\"{}\"}}", "x".repeat(20_000));
    let long = send(&summing(), request("POST", "/v1/streams/1:record", NDJSON, long)).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let text = [("content-type", "text/plain")];
    assert_eq!(send(&summing(), request("POST", "/v1/streams/1:record", &text, "{}")).await.status, 415);
    let many = "{}\n".repeat(20_000);
    let many = send(&summing(), request("POST", "/v1/streams/1:record", NDJSON, many)).await;
    assert_eq!(many.status, StatusCode::OK, "a stream is bounded by its messages, not by its length");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_end_in_time_is_given_up() {
    let (sender, receiver) = mpsc::unbounded::<Result<Frame<Bytes>, Status>>();
    sender.unbounded_send(Ok(Frame::data(Bytes::from_static(b"{}\n{")))).unwrap();
    let mut slow = request("POST", "/v1/streams/1:record", NDJSON, "");
    *slow.body_mut() = Body::new(StreamBody::new(receiver));
    let begin = tokio::time::Instant::now();
    assert_eq!(send(&summing(), slow).await.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn both_directions_stream_at_once_and_a_wrong_line_ends_both() {
    let stub = Stub::new(|_| answer(vec![event(1)]));
    let headers = [("content-type", "application/x-ndjson"), ("accept", "application/x-ndjson")];
    let answered = send(&stub, request("POST", "/v1/streams/1:talk", &headers, "{\"text\":\"hi\"}\n")).await;
    assert_eq!(answered.body, format!("{ONE}\n"));
    assert_eq!(received(&stub.last(), "stream.v1.Event")[0]["text"], "hi");
}

#[tokio::test]
async fn bytes_go_up_as_they_are() {
    let stub = summing();
    let png = [("content-type", "image/png")];
    let bytes = b"\x89PNG\r\n\0\xff{".to_vec();
    send(&stub, request("PUT", "/v1/files/a?author=Ann", &png, bytes.clone())).await;
    let data = STANDARD.encode(&bytes);
    let whole = json!({ "name": "files/a", "author": "Ann", "file": { "contentType": "image/png", "data": data } });
    assert_eq!(received(&stub.last(), "stream.v1.UploadRequest"), std::slice::from_ref(&whole));

    let mut parts = request("POST", "/v1/files/a:upload?author=Ann", &png, "");
    let frames = [bytes.clone(), b"second".to_vec()].map(|part| Ok::<_, Status>(Frame::data(Bytes::from(part))));
    *parts.body_mut() = Body::new(StreamBody::new(futures::stream::iter(frames)));
    assert_eq!(send(&stub, parts).await.status, StatusCode::OK);
    let second = json!({ "file": { "data": STANDARD.encode("second") } });
    assert_eq!(received(&stub.last(), "stream.v1.UploadRequest"), [whole, second]);

    send(&stub, request("POST", "/v1/files/a:upload", &[], "")).await;
    let got = received(&stub.last(), "stream.v1.UploadRequest");
    assert_eq!(got, [json!({ "name": "files/a", "file": {} })], "no bytes are a message too");
    let large = send(&stub, request("PUT", "/v1/files/a", &png, vec![0; 20_000])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let zipped = [("content-type", "image/svg+xml"), ("content-encoding", "gzip")];
    assert_eq!(send(&stub, request("PUT", "/v1/files/a", &zipped, "x")).await.status, 415, "its coding would be lost");
}

#[tokio::test]
async fn bytes_come_down_as_they_are() {
    let body = |kind: &str, data: &str| {
        message("google.api.HttpBody", &json!({ "contentType": kind, "data": STANDARD.encode(data) }))
    };
    let html = body("text/html; charset=utf-8", "<p>");
    let second = body("text/plain", "second\0");
    let one = html.clone();
    let one = Stub::new(move |_| answer(vec![one.clone()]));
    let answered = send(&one, request("GET", "/v1/files/a", &[], "")).await;
    assert_eq!((answered.status, &answered.body[..]), (StatusCode::OK, &b"<p>"[..]));
    assert_eq!(answered.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(answered.headers["x-content-type-options"], "nosniff");

    let both = vec![html, second];
    let both = Stub::new(move |_| answer(both.clone()));
    for accept in ["*/*", "text/event-stream"] {
        let answered = send(&both, request("GET", "/v1/files/a:download", &[("accept", accept)], "")).await;
        assert_eq!(&answered.body[..], b"<p>second\0");
        assert_eq!(answered.headers["content-type"], "text/html; charset=utf-8", "the first message says it");
    }

    let image = message(
        "stream.v1.PreviewResponse",
        &json!({ "title": "t", "image": { "contentType": "a\nb", "data": "AA==" } }),
    );
    let preview = Stub::new(move |_| answer(vec![image.clone()]));
    let answered = send(&preview, request("GET", "/v1/files/a:preview", &[], "")).await;
    assert_eq!(
        (&answered.body[..], &answered.headers["content-type"]),
        (&b"\0"[..], &"application/octet-stream".parse().unwrap())
    );

    let echo = Stub::new(|got| answer(vec![got.body.clone()]));
    let answered = send(&echo, request("POST", "/v1/echo", &[("content-type", "text/csv")], "a,b")).await;
    assert_eq!((&answered.body[..], &answered.headers["content-type"]), (&b"a,b"[..], &"text/csv".parse().unwrap()));
}

#[tokio::test]
async fn bytes_that_break_off_are_no_whole_answer() {
    let part = message("google.api.HttpBody", &json!({ "data": "AA==" }));
    let stub = Stub::new(move |_| streamed(futures::stream::iter([Ok(part.clone()), Err(Status::data_loss("gone"))])));
    let response = gateway(&stub).handle(request("GET", "/v1/files/a:download", &[], "")).await;
    assert!(response.into_body().collect().await.is_err());
}
