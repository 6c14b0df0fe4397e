//! A gateway that is started while a service cannot be asked.

use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tonic_reflection::pb::v1::{ErrorResponse, server_reflection_response::MessageResponse as Answer};

use super::{reflecting, *};
use crate::testing::compiled;

const TAGS: &[&str] = &["grpc", "gateway", "schema-aaaaaaaaaaaa"];

fn things() -> crate::schema::Files {
    let source = r#"syntax = "proto3";
        package thing.v1;
        import "google/api/annotations.proto";
        service Things { rpc Get(Thing) returns (Thing) { option (google.api.http) = { get: "/v1/things/{name}" }; } }
        message Thing { string name = 1; }"#;
    compiled(&[("thing/v1/thing.proto", source.to_owned())], &["thing.v1.Things"])
}

/// A service that answers calls, and reflection only while it is `open`.
async fn service(open: &Arc<AtomicBool>) -> u16 {
    let (inner, open) = (reflecting::of(things()), Arc::clone(open));
    let reflect: Arc<reflecting::Reflect> = Arc::new(move |question| {
        if open.load(Ordering::Relaxed) {
            return inner(question);
        }
        let error_message = "closed for the day\n".repeat(1_000);
        Some(Answer::ErrorResponse(ErrorResponse { error_code: 14, error_message }))
    });
    reflecting::serve(reflect, b"\0\0\0\0\x0a\n\x08things/1").await
}

struct Kept {
    running: Running,
    schema: Arc<ArcSwap<Schema>>,
}

impl Kept {
    async fn start(url: &str, folder: &TempDir) -> Self {
        let mut options = options(url);
        options.mesh.discovery.snapshot = Some(folder.path().to_owned());
        let gateway = Gateway::new(options).unwrap();
        let schema = Arc::clone(&gateway.schema);
        Self { running: start(gateway).await, schema }
    }

    fn source(&self) -> Option<&'static str> {
        Some(self.schema.load().report.services.get("thing")?.schemas.first()?.source)
    }

    async fn is_from(&self, source: &str) {
        seen(&format!("a schema from {source}"), || self.source().filter(|from| *from == source)).await;
    }

    async fn end(self) {
        self.running.leave.cancel();
        timeout(SOON, self.running.ended).await.expect("the drain ended").unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_was_known_is_served_until_the_service_can_be_asked() {
    let ((consul, url), folder) = (Consul::start().await, TempDir::new().unwrap());
    let open = Arc::new(AtomicBool::new(true));
    consul.register("thing", TAGS, service(&open).await);
    let first = Kept::start(&url, &folder).await;
    until(first.running.address, "/v1/things/1", "HTTP/1.1 200").await;
    assert_eq!(first.source(), Some("instance"));
    first.end().await;

    open.store(false, Ordering::Relaxed);
    let second = Kept::start(&url, &folder).await;
    until(second.running.address, "/v1/things/1", "HTTP/1.1 200").await;
    assert_eq!(second.source(), Some("disk"));
    let first_problem = || second.schema.load().report.problems().first().cloned();
    let problem = seen("that it cannot be asked", first_problem).await;
    assert!(problem.contains("closed for the day\\n") && problem.len() < 700, "{problem}");
    assert!(fetch(second.running.address, "/readyz").await.starts_with("HTTP/1.1 200"));

    open.store(true, Ordering::Relaxed);
    second.is_from("instance").await;
    assert_eq!(second.schema.load().report.problems(), Vec::<String>::new());
    second.end().await;
}

#[tokio::test]
async fn a_file_that_was_damaged_costs_only_the_waiting() {
    let ((consul, url), folder) = (Consul::start().await, TempDir::new().unwrap());
    let open = Arc::new(AtomicBool::new(true));
    consul.register("thing", TAGS, service(&open).await);
    let first = Kept::start(&url, &folder).await;
    until(first.running.address, "/v1/things/1", "HTTP/1.1 200").await;
    first.end().await;
    let path = folder.path().join("gateway.schemas");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&path, bytes).unwrap();

    let second = Kept::start(&url, &folder).await;
    until(second.running.address, "/v1/things/1", "HTTP/1.1 200").await;
    assert_eq!(second.source(), Some("instance"));
    assert!(path.with_extension("schemas.bad").exists());
    second.end().await;
    assert!(path.exists(), "it is kept anew");
}

#[tokio::test]
async fn what_the_registry_names_no_more_is_not_served_from_disk() {
    let ((consul, url), folder) = (Consul::start().await, TempDir::new().unwrap());
    let open = Arc::new(AtomicBool::new(true));
    consul.register("thing", TAGS, service(&open).await);
    let first = Kept::start(&url, &folder).await;
    until(first.running.address, "/v1/things/1", "HTTP/1.1 200").await;
    first.end().await;
    consul.register("thing", &["grpc"], 1);
    let second = Kept::start(&url, &folder).await;
    until(second.running.address, "/readyz", "HTTP/1.1 200").await;
    assert!(fetch(second.running.address, "/v1/things/1").await.starts_with("HTTP/1.1 404"));
    second.end().await;
}
