//! What is told of a call: to its handler, to the metrics, to the log.

use std::{io, sync::Arc, sync::Mutex};

use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

use super::*;
use crate::{context::Context, server::connect_info::ConnectInfo};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(method: &str) -> Request<()> {
    let mut request = post(method);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    request
}

/// A descriptor set of `test.Echo`, whose one method is `Say`.
pub(super) fn descriptors() -> &'static [u8] {
    let say = MethodDescriptorProto { name: Some("Say".into()), ..Default::default() };
    let echo = ServiceDescriptorProto { name: Some("Echo".into()), method: vec![say], ..Default::default() };
    let file = FileDescriptorProto {
        name: Some("test/echo.proto".into()),
        package: Some("test".into()),
        service: vec![echo],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec().leak()
}

#[tokio::test]
async fn handler_and_response_body_inherit_trace_and_deadline() {
    fn seen() -> String {
        let Context { trace, deadline, .. } = Context::current();
        let trace = trace.unwrap();
        format!("{} {} {} {}", trace.trace_id, trace.span_id, trace.flags.to_u8(), deadline.is_some())
    }
    let reports = Methods::default().with("Report", |call: Call| async move {
        let remote = call.extensions().get::<ConnectInfo>().unwrap().remote;
        let polled = futures::stream::once(async {
            let text = seen();
            let prefix = [0, 0, 0, 0, u8::try_from(text.len()).unwrap()];
            Ok::<_, Status>(Frame::data([&prefix, text.as_bytes()].concat().into()))
        });
        let mut response = answer(Body::new(StreamBody::new(polled)));
        response.headers_mut().insert("x-seen", seen().parse().unwrap());
        response.headers_mut().insert("x-remote", remote.ip().to_string().parse().unwrap());
        Ok(response)
    });
    let served = Served::start(reports.routes()).await;
    let client = served.connect().await;

    let mut request = traced("Report");
    request.headers_mut().insert("grpc-timeout", "1M".parse().unwrap());
    let told = client.call(request, message(1)).await;
    assert_eq!(told.code(), Code::Ok, "{told:?}");
    let in_handler = told.headers["x-seen"].to_str().unwrap().to_owned();
    assert!(in_handler.starts_with(&format!("{TRACE} ")) && in_handler.ends_with(" 1 true"), "{in_handler}");
    assert!(in_handler.contains("00f067aa0ba902b7"), "who records nothing passes on the caller's: {in_handler}");
    assert_eq!(told.body[5..], *in_handler.as_bytes());
    assert_eq!(told.headers["x-remote"], "127.0.0.1");

    let rootless = client.call(post("Report"), message(1)).await;
    let in_handler = rootless.headers["x-seen"].to_str().unwrap();
    assert!(!in_handler.starts_with(&"0".repeat(32)) && in_handler.ends_with(" 0 false"), "{in_handler}");
    served.stop().await;
}

#[tokio::test]
async fn a_handler_is_told_that_it_serves_a_retry_or_a_call_made_for_one() {
    let reports = Methods::default().with("Report", |_| async {
        let mut response = answer(Body::empty());
        response.headers_mut().insert("x-seen", Context::current().for_retry.to_string().parse().unwrap());
        Ok(response)
    });
    let served = Served::start(reports.routes()).await;
    let client = served.connect().await;
    for (header, expected) in
        [(None, "false"), (Some("grpc-previous-rpc-attempts"), "true"), (Some("x-selvedge-for-retry"), "true")]
    {
        let mut request = post("Report");
        request
            .headers_mut()
            .extend(header.map(|name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("1"))));
        assert_eq!(client.call(request, message(1)).await.headers["x-seen"], expected, "{header:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let methods = echo().with("Fail", |_| async { Err(Status::not_found("nothing")) });
    let served = Served::with(methods.routes(), &[descriptors()], |_| {}).await;
    let client = served.connect().await;
    client.say(message(1)).await;
    client.say(message(1)).await;
    client.call(post("Fail"), message(1)).await;
    client.call(request("/random/1234"), message(1)).await;
    let text = served.mesh.telemetry().prometheus_text().unwrap();
    let count = |name: &str, labels: &[&str]| {
        let line = text.lines().find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap_or_else(|| panic!("{name} {labels:?} in {text}"))
            .to_owned()
    };
    let ended = "grpc_server_call_duration_seconds_count";
    assert_eq!(count(ended, &[r#"grpc_method="test.Echo/Say""#, r#"grpc_status="OK""#]), "2");
    assert_eq!(count(ended, &[r#"grpc_method="other""#, r#"grpc_status="NOT_FOUND""#]), "1");
    assert_eq!(count(ended, &[r#"grpc_method="other""#, r#"grpc_status="UNIMPLEMENTED""#]), "1");
    assert_eq!(count("grpc_server_call_started", &[r#"grpc_method="test.Echo/Say""#]), "2");
    assert!(!text.contains("random"), "a label from outside: {text}");
    served.stop().await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the access lines of a method, as JSON.
    fn calls(&self, method: &str) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["target"] == "selvedge::access" && line["fields"]["method"] == method).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_call_leaves_one_line_in_the_access_log() {
    let log = Log::default();
    let lines = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
    // While there is but one subscriber, a line that another thread reaches first is off for all threads.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
    let served = Served::start(echo().routes()).await;
    let client = served.connect().await;
    client.call(traced("Say"), message(1)).await;
    client.call(traced("Sing"), message(1)).await;
    served.stop().await;

    let [said] = &log.calls("/test.Echo/Say")[..] else { panic!("{:?}", log.calls("/test.Echo/Say")) };
    assert_eq!(said["level"], "DEBUG");
    assert_eq!(said["fields"]["code"], "OK");
    assert_eq!(said["fields"]["trace_id"], TRACE);
    assert!(said["fields"]["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{said}");
    assert!(said["fields"]["duration"].is_string(), "{said}");
    let [unknown] = &log.calls("/test.Echo/Sing")[..] else { panic!("{:?}", log.calls("/test.Echo/Sing")) };
    assert_eq!(unknown["fields"]["code"], "UNIMPLEMENTED");
}
