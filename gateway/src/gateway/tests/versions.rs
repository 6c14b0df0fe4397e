//! Two versions of a service, as a rolling deploy has them.

use super::{reflecting, *};
use crate::testing::compiled;

const A: &[&str] = &["grpc", "gateway", "schema-aaaaaaaaaaaa"];
const B: &[&str] = &["grpc", "gateway", "schema-bbbbbbbbbbbb"];

/// A framed `Thing` of the name `things/1`.
const THING: &[u8] = b"\0\0\0\0\x0a\n\x08things/1";

fn version(fields: &str, methods: &str) -> crate::schema::Files {
    let source = format!(
        r#"syntax = "proto3";
        package thing.v1;
        import "google/api/annotations.proto";
        service Things {{
          rpc Get(Request) returns (Thing) {{ option (google.api.http) = {{ get: "/v1/things/{{name}}" }}; }}
          {methods}
        }}
        message Request {{ string name = 1; {fields} }}
        message Thing {{ string name = 1; }}"#
    );
    compiled(&[("thing/v1/thing.proto", source)], &["thing.v1.Things"])
}

fn method(name: &str) -> String {
    format!(r#"rpc {name}(Request) returns (Thing) {{ option (google.api.http) = {{ get: "/v1/{name}/{{name}}" }}; }}"#)
}

fn older() -> crate::schema::Files {
    version("", &method("older"))
}

fn newer() -> crate::schema::Files {
    version("string color = 2; string shade = 3;", &method("newer"))
}

/// Counts how often a service is read.
fn counted(files: crate::schema::Files) -> (Arc<reflecting::Reflect>, Arc<std::sync::atomic::AtomicUsize>) {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
    let (inner, count) = (reflecting::of(files), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let counting = Arc::clone(&count);
    let reflect: Arc<reflecting::Reflect> = Arc::new(move |question| {
        counting.fetch_add(
            usize::from(matches!(question, Question::ListServices(_))),
            std::sync::atomic::Ordering::Relaxed,
        );
        inner(question)
    });
    (reflect, count)
}

#[tokio::test]
async fn old_and_new_methods_and_fields_work_while_both_versions_run() {
    let (consul, url) = Consul::start().await;
    let gateway = Gateway::new(options(&url)).unwrap();
    let schema = Arc::clone(&gateway.schema);
    let digests = || -> Vec<String> {
        let report = schema.load().report.services["thing"].clone();
        report.schemas.into_iter().filter_map(|schema| schema.digest).collect()
    };
    let running = start(gateway).await;
    consul.register_as("thing-a", "thing", A, reflecting::serve(reflecting::of(older()), THING).await);
    until(running.address, "/v1/older/1", "HTTP/1.1 200").await;
    assert!(fetch(running.address, "/v1/things/1?color=red").await.starts_with("HTTP/1.1 400"), "it knows no color");

    let (reflect, readings) = counted(newer());
    consul.register_as("thing-b", "thing", B, reflecting::serve(reflect, THING).await);
    until(running.address, "/v1/newer/1", "HTTP/1.1 200").await;
    for path in ["/v1/older/1", "/v1/things/1", "/v1/things/1?color=red"] {
        let text = fetch(running.address, path).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("things/1"), "{path}: {text}");
    }
    assert_eq!(digests(), ["bbbbbbbbbbbb", "aaaaaaaaaaaa"], "the one that declares more comes first");
    assert_eq!(schema.load().report.problems(), Vec::<String>::new());

    consul.deregister("thing-a");
    until(running.address, "/v1/older/1", "HTTP/1.1 404").await;
    assert!(fetch(running.address, "/v1/things/1?color=red").await.starts_with("HTTP/1.1 200"));
    assert_eq!(digests(), ["bbbbbbbbbbbb"]);
    assert_eq!(readings.load(std::sync::atomic::Ordering::Relaxed), 1, "what was read once is known");
    running.leave.cancel();
}

#[tokio::test]
async fn a_method_that_not_all_versions_have_is_called_where_it_is() {
    let (consul, url) = Consul::start().await;
    let running = start(Gateway::new(options(&url)).unwrap()).await;
    let (of_old, of_new) = (b"\0\0\0\0\x0a\n\x08from-old", b"\0\0\0\0\x0a\n\x08from-new");
    for id in ["thing-a", "thing-c"] {
        consul.register_as(id, "thing", A, reflecting::serve(reflecting::of(older()), of_old).await);
    }
    until(running.address, "/v1/older/1", "HTTP/1.1 200").await;
    consul.register_as("thing-b", "thing", B, reflecting::serve(reflecting::of(newer()), of_new).await);
    until(running.address, "/v1/newer/1", "HTTP/1.1 200").await;
    for _ in 0..20 {
        for (path, wanted) in [("/v1/newer/1", "from-new"), ("/v1/older/1", "from-old")] {
            let text = fetch(running.address, path).await;
            assert!(text.contains(wanted), "{path}: {text}");
        }
    }
    // What both have is called at both.
    for wanted in ["from-new", "from-old"] {
        let asked = async { while !fetch(running.address, "/v1/things/1").await.contains(wanted) {} };
        timeout(SOON, asked).await.unwrap_or_else(|_| panic!("no instance of the one that is {wanted} was asked"));
    }
    consul.deregister("thing-a");
    consul.deregister("thing-c");
    until(running.address, "/v1/older/1", "HTTP/1.1 404").await;
    let text = fetch(running.address, "/v1/newer/1").await;
    assert!(text.contains("from-new"), "{text}");
    running.leave.cancel();
}

#[tokio::test]
async fn a_version_that_cannot_be_read_takes_nothing_from_the_other() {
    let (consul, url) = Consul::start().await;
    let gateway = Gateway::new(options(&url)).unwrap();
    let schema = Arc::clone(&gateway.schema);
    let running = start(gateway).await;
    consul.register_as("thing-a", "thing", A, reflecting::serve(reflecting::of(older()), THING).await);
    until(running.address, "/v1/older/1", "HTTP/1.1 200").await;
    let broken = reflecting::raw("thing.v1.Things", vec![b"\xff".to_vec()]);
    consul.register_as("thing-b", "thing", B, reflecting::serve(broken, THING).await);
    let names_it = |problem: &&String| problem.contains("schema-bbbbbbbbbbbb: ");
    seen("what is wrong", || schema.load().report.problems().iter().find(names_it).cloned()).await;
    assert!(fetch(running.address, "/v1/older/1").await.starts_with("HTTP/1.1 200"));
    running.leave.cancel();
}
