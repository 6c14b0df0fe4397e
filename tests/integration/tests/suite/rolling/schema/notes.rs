//! A service in two versions, of which the newer one has a field more; each instance registers its own schema.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Router, body::Bytes, routing::post};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use selvedge::{Config, Mesh};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{body::Body, service::Routes};

use crate::stack::path;

/// The method by which a note is given and got back. It may not be sent twice.
pub(super) const WRITE: &str = "/rolling.v1.NoteService/WriteNote";
const READ: &str = "/rolling.v1.NoteService/ReadNote";
/// A method of the newer version alone.
pub(super) const PAINT: &str = "/rolling.v1.NoteService/PaintNote";

const PROTO: &str = r#"
syntax = "proto3";
package rolling.v1;
import "google/api/annotations.proto";

service NoteService {
  rpc ReadNote(Note) returns (Note) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/notes/{id}"};
  }
  rpc WriteNote(Note) returns (Note) {
    option (google.api.http) = {post: "/v1/notes" body: "*"};
  }
  // and more methods
}

message Note {
  string id = 1;
  string text = 2;
  int32 served_by = 3;
  // and more fields
}
"#;

const PAINTING: &str = r#"
  rpc PaintNote(Note) returns (Note) {
    option (google.api.http) = {post: "/v1/notes:paint" body: "*"};
  }
"#;

/// Which schema an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Old,
    New,
}

impl Version {
    /// What its instances say in `served_by`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Old => 1,
            Self::New => 2,
        }
    }

    fn descriptors(self) -> anyhow::Result<&'static [u8]> {
        let text = match self {
            Self::Old => PROTO.to_owned(),
            Self::New => {
                PROTO.replace("// and more methods", PAINTING).replace("// and more fields", "string color = 4;")
            }
        };
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("notes.proto"), text)?;
        let mut compiler = protox::Compiler::new([path(&folder), concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto")])?;
        compiler.include_imports(true).open_files(["notes.proto"])?;
        Ok(compiler.encode_file_descriptor_set().leak())
    }
}

/// The message of the newer version.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Note {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) text: String,
    #[prost(int32, tag = "3")]
    pub(super) served_by: i32,
    #[prost(string, tag = "4")]
    pub(super) color: String,
}

/// An instance that is registered and passing.
#[derive(Debug)]
pub(super) struct Node {
    leave: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), selvedge::Error>>,
}

impl Node {
    pub(super) async fn start(registry: &str, version: Version) -> anyhow::Result<Self> {
        let mut config = Config::new("notes");
        config.registry.address = registry.into();
        let mesh = Mesh::builder(config).descriptors(version.descriptors()?).build()?;
        let answer = move |sent: Bytes| async move { answer(version, &sent) };
        let mut router = Router::new().route(WRITE, post(answer)).route(READ, post(answer));
        if version == Version::New {
            router = router.route(PAINT, post(answer));
        }
        let routes = Routes::from(router);
        let (leave, left) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel::<SocketAddr>();
        let serve = mesh.serve(routes).until(async { _ = left.await }).on_ready(|at| _ = ready.send(at));
        let serving = tokio::spawn(async move { serve.await });
        is_ready.await.context("it ended before it was ready")?;
        Ok(Self { leave, serving })
    }

    /// Drains it, and waits until it is gone.
    pub(super) async fn leave(self) -> anyhow::Result<()> {
        drop(self.leave);
        Ok(self.serving.await??)
    }
}

/// Gives a note back as far as the version knows its fields.
fn answer(version: Version, sent: &[u8]) -> Response<Body> {
    let known = Note::decode(sent.get(5..).unwrap_or_default()).unwrap_or_default();
    let color = if version == Version::New { known.color } else { String::new() };
    let note = Note { served_by: version.number(), color, ..known };
    let mut frame = vec![0];
    frame.extend(u32::try_from(note.encoded_len()).expect("a note is short").to_be_bytes());
    frame.extend(note.encode_to_vec());
    let trailers = HeaderMap::from_iter([(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(frame)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
