//! What the tests of several rooms need: a schema made of a small proto, and a stub for the mesh.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use selvedge::CallOptions;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic_health::server::HealthReporter;

use crate::{
    admin::Health,
    config::{Limits, Origins},
    cors::Cors,
    docs::Docs,
    memory::Memory,
    metrics::Metrics,
    pipeline::Pipeline,
    reflection::Local,
    schema::{Files, Learned, Schema, State},
    upstream::{Upstream, Upstreams},
};

/// Compiles a file of `tests/proto`.
pub(crate) fn descriptors(file: &str) -> Vec<u8> {
    let roots = ["tests/proto", "proto", "../proto"].map(|root| format!("{}/{root}", env!("CARGO_MANIFEST_DIR")));
    let mut compiler = protox::Compiler::new(roots).unwrap();
    compiler.include_imports(true).include_source_info(true).open_files([file]).unwrap();
    compiler.encode_file_descriptor_set()
}

/// Compiles proto files of a test, which may import those of `tests/proto`.
pub(crate) fn compiled(sources: &[(&'static str, String)], services: &[&str]) -> Files {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(Sources(sources.iter().cloned().collect()));
    resolver.add(protox::file::IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto").into()));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_files(sources.iter().map(|(name, _)| name)).unwrap();
    Files::from_sets(&[&compiler.encode_file_descriptor_set()], services).unwrap()
}

struct Sources(BTreeMap<&'static str, String>);

impl protox::file::FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        protox::file::File::from_source(name, text)
    }
}

/// A service that was read.
pub(crate) fn learned(service: &str, age: u64, file: &str, grpc: &str) -> State {
    let files = Files::from_sets(&[&descriptors(file)], &[grpc]).unwrap();
    let learned = Learned::new(service, Some("0123456789ab".into()), age, files).unwrap();
    State { learned: Some(Arc::new(learned)), ..State::default() }
}

pub(crate) fn states(list: Vec<(&str, State)>) -> BTreeMap<String, State> {
    list.into_iter().map(|(name, state)| (name.to_owned(), state)).collect()
}

/// The schema of `shop.proto`, made once.
pub(crate) fn shop() -> Arc<Schema> {
    static SHOP: OnceLock<Arc<Schema>> = OnceLock::new();
    Arc::clone(SHOP.get_or_init(|| {
        let shop = learned("shop", 0, "shop/v1/shop.proto", "shop.v1.ShopService");
        Arc::new(Schema::build(&states(vec![("shop", shop)]), true, &Schema::default()))
    }))
}

/// A message type of `shop.proto`.
pub(crate) fn message(name: &str) -> MessageDescriptor {
    descriptor(&shop(), "shop.v1.ShopService", &format!("shop.v1.{name}"))
}

/// A message type that a service declares.
pub(crate) fn descriptor(schema: &Schema, service: &str, name: &str) -> MessageDescriptor {
    schema.services()[service].pool.get_message_by_name(name).unwrap()
}

/// Puts JSON into the gRPC frame of a message of `shop.proto`.
pub(crate) fn framed(name: &str, json: &Json) -> Bytes {
    frame(&DynamicMessage::deserialize(message(name), json).unwrap())
}

/// Puts a message into a gRPC frame.
pub(crate) fn frame(message: &DynamicMessage) -> Bytes {
    let message = message.encode_to_vec();
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat().into()
}

/// What a service got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) service: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) options: CallOptions,
    pub(crate) body: Bytes,
}

impl Got {
    /// Reads the message that was sent, as JSON.
    pub(crate) fn json(&self, name: &str) -> Json {
        let message = DynamicMessage::decode(message(name), &self.body[5..]).unwrap();
        serde_json::to_value(message).unwrap()
    }
}

type Answer = dyn Fn(&Got) -> Response<Body> + Send + Sync;

/// A mesh whose every service is one function.
#[derive(Clone)]
pub(crate) struct Stub {
    answer: Arc<Answer>,
    pub(crate) got: Arc<Mutex<Vec<Got>>>,
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub").finish_non_exhaustive()
    }
}

impl Stub {
    pub(crate) fn new(answer: impl Fn(&Got) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), got: Arc::default() }
    }

    pub(crate) fn last(&self) -> Got {
        self.got.lock().unwrap().last().expect("a service was called").clone()
    }
}

impl Upstream for Stub {
    fn call(&self, service: &str, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        let (service, stub) = (service.to_owned(), self.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let options = parts.extensions.get::<CallOptions>().copied().unwrap_or_default();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(status) => return status.into_http(),
            };
            let got = Got { service, path: parts.uri.path().to_owned(), headers: parts.headers, options, body };
            stub.got.lock().unwrap().push(got.clone());
            (stub.answer)(&got)
        })
    }
}

/// Answers with messages and trailers that say OK.
pub(crate) fn answer(frames: Vec<Bytes>) -> Response<Body> {
    let trailers = HeaderMap::from_iter([
        (http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static("0")),
        (http::HeaderName::from_static("x-trailer"), http::HeaderValue::from_static("t")),
    ]);
    let frames = frames.into_iter().map(http_body::Frame::data).chain([http_body::Frame::trailers(trailers)]);
    let stream = futures::stream::iter(frames.map(Ok::<_, tonic::Status>));
    let mut response = Response::new(Body::new(http_body_util::StreamBody::new(stream)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("x-initial", http::HeaderValue::from_static("i"));
    response
}

/// A pipeline over a stub of the shop.
pub(crate) fn pipeline(stub: &Stub) -> Pipeline {
    pipeline_of(shop(), stub)
}

/// A pipeline over a stub.
pub(crate) fn pipeline_of(schema: Arc<Schema>, stub: &Stub) -> Pipeline {
    let schema = Arc::new(ArcSwap::from(schema));
    let own = Local::new(Arc::clone(&schema), HealthReporter::new());
    Pipeline {
        upstreams: Upstreams { mesh: Arc::new(stub.clone()), own },
        health: Health { schema: Arc::clone(&schema), leaving: CancellationToken::new() },
        docs: Docs::default(),
        schema,
        cors: Cors::new(&Origins::Any).unwrap(),
        limits: Limits { body_bytes: 10_000, ..Limits::default() },
        memory: Memory::new(1_000_000),
        metrics: Metrics::new(&selvedge::Telemetry::new().unwrap()),
        telemetry: selvedge::Telemetry::new().unwrap(),
    }
}
