//! A whole gateway between a stub for Consul and an upstream on a real port.

mod disk;
mod editions;
mod hostile;
mod reflecting;
mod versions;

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue},
    routing::get,
};
use base64::Engine as _;
use selvedge::Origin;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::testing::{Stub, answer, framed, pipeline};

/// Long enough for a slow machine; no test waits for it to pass.
const SOON: Duration = Duration::from_secs(30);

/// What is registered, by id: names, tags and ports. Its version is Consul's index.
type Catalog = (u64, BTreeMap<String, (String, Vec<String>, u16)>);

/// A stub for Consul's catalog and health, with blocking queries.
#[derive(Clone)]
struct Consul {
    catalog: Arc<watch::Sender<Catalog>>,
    /// The version of the list of services that the gateway has.
    known: Arc<watch::Sender<u64>>,
}

type Answer = ([(HeaderName, HeaderValue); 1], Json<Value>);

impl Consul {
    async fn start() -> (Self, String) {
        let consul = Self { catalog: Arc::new(watch::Sender::new((1, BTreeMap::new()))), known: Arc::default() };
        let router = Router::new()
            .route("/v1/catalog/services", get(services))
            .route("/v1/health/service/{name}", get(instances))
            .route("/v1/kv/selvedge/policy/", get(policies))
            .with_state(consul.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (consul, url)
    }

    /// Registers the only instance of a service.
    fn register(&self, name: &str, tags: &[&str], port: u16) {
        self.register_as(name, name, tags, port);
    }

    fn register_as(&self, id: &str, name: &str, tags: &[&str], port: u16) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.catalog.send_modify(|(index, instances)| {
            *index += 1;
            instances.insert(id.to_owned(), (name.to_owned(), tags, port));
        });
    }

    fn deregister(&self, id: &str) {
        self.catalog.send_modify(|(index, instances)| {
            *index += 1;
            instances.remove(id);
        });
    }

    /// Waits until the gateway has the present list of services, and asks for the next.
    async fn is_known(&self) {
        let now = self.catalog.borrow().0;
        let known = async { self.known.subscribe().wait_for(|known| *known >= now).await.map(drop) };
        timeout(SOON, known).await.expect("the gateway asks on").unwrap();
    }

    /// Waits until there is something newer than the query knows.
    async fn newer(&self, query: &BTreeMap<String, String>) -> Catalog {
        let known: u64 = query.get("index").and_then(|index| index.parse().ok()).unwrap_or_default();
        self.catalog.subscribe().wait_for(|(index, _)| *index > known).await.unwrap().clone()
    }
}

async fn services(State(consul): State<Consul>, Query(query): Query<BTreeMap<String, String>>) -> Answer {
    if let Some(known) = query.get("index").and_then(|index| index.parse().ok()) {
        consul.known.send_replace(known);
    }
    let (index, instances) = consul.newer(&query).await;
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, tags, _) in instances.into_values() {
        all.entry(name).or_default().extend(tags);
    }
    indexed(index, json!(all))
}

async fn instances(
    State(consul): State<Consul>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let (index, instances) = consul.newer(&query).await;
    let of = instances.iter().filter(|(_, (service, ..))| *service == name);
    let instances = of.map(|(id, (_, tags, port))| {
        let service = json!({ "ID": id, "Service": name, "Address": "127.0.0.1", "Port": port, "Tags": tags });
        json!({ "Node": { "Node": "n", "Address": "127.0.0.1" }, "Service": service, "Checks": [] })
    });
    indexed(index, json!(instances.collect::<Vec<_>>()))
}

/// The operator's policies never change: methods of `shop` have two attempts.
async fn policies(Query(query): Query<BTreeMap<String, String>>) -> Answer {
    if query.contains_key("index") {
        std::future::pending::<()>().await;
    }
    let document = base64::engine::general_purpose::STANDARD.encode("service: {max_attempts: 2}");
    indexed(1, json!([{ "Key": "selvedge/policy/shop", "Value": document }]))
}

fn indexed(index: u64, body: Value) -> Answer {
    ([(HeaderName::from_static("x-consul-index"), HeaderValue::from(index))], Json(body))
}

/// Serves the shop, with reflection, as an instance of a service would.
async fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stub = Stub::new(|_| answer(vec![framed("Item", &json!({ "name": "items/1" }))]));
    tokio::spawn(listener::serve(listener, Arc::new(pipeline(&stub)), CancellationToken::new()));
    port
}

struct Running {
    address: SocketAddr,
    leave: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

/// Starts a gateway that holds on to services that vanished for so long.
async fn gateway(registry: &str, hold: Duration) -> Running {
    let mut options = options(registry);
    options.mesh.discovery.hold = hold;
    start(Gateway::new(options).unwrap()).await
}

fn options(registry: &str) -> Options {
    let mut mesh = selvedge::Config::new("gateway");
    mesh.registry.address = registry.to_owned();
    Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Options::new(mesh) }
}

async fn start(gateway: Gateway) -> Running {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let leave = CancellationToken::new();
    let left = leave.clone().cancelled_owned();
    let ended = tokio::spawn(gateway.run(left, |address| sender.send(address).unwrap()));
    Running { address: timeout(SOON, receiver).await.unwrap().unwrap(), leave, ended }
}

async fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Looks again and again until there is something to see.
async fn seen<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON * 2, looking).await.unwrap_or_else(|_| panic!("{what} was never seen"))
}

/// Asks until the answer begins like this.
async fn until(address: SocketAddr, path: &str, wanted: &str) -> String {
    let asking = async {
        loop {
            let text = fetch(address, path).await;
            if text.starts_with(wanted) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, asking).await.unwrap_or_else(|_| panic!("{path} never answered {wanted}"))
}

#[tokio::test]
async fn a_service_is_served_while_it_is_registered_and_tagged() {
    let (consul, url) = Consul::start().await;
    let running = gateway(&url, Duration::ZERO).await;
    until(running.address, "/readyz", "HTTP/1.1 200").await;
    consul.register("shop", &["grpc"], upstream().await);
    consul.register("nobody", &["grpc", "gateway"], 1);
    until(running.address, "/readyz", "HTTP/1.1 200").await;
    assert!(fetch(running.address, "/v1/items/1").await.starts_with("HTTP/1.1 404"), "without the tag gateway");

    consul.register("shop", &["grpc", "gateway", "schema-0123456789ab"], upstream().await);
    let text = until(running.address, "/v1/items/1", "HTTP/1.1 200").await;
    assert!(text.contains("\"items/1\""), "{text}");

    consul.deregister("shop");
    until(running.address, "/v1/items/1", "HTTP/1.1 404").await;

    running.leave.cancel();
    timeout(SOON, running.ended).await.expect("the drain ended").unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn what_vanished_keeps_its_routes_and_what_is_no_longer_exposed_does_not() {
    let (consul, url) = Consul::start().await;
    let running = gateway(&url, Duration::from_secs(3_600)).await;
    consul.register("shop", &["grpc", "gateway"], upstream().await);
    until(running.address, "/v1/items/1", "HTTP/1.1 200").await;
    consul.deregister("shop");
    consul.is_known().await;
    consul.register("other", &[], 1);
    consul.is_known().await;
    assert!(fetch(running.address, "/v1/items/1").await.starts_with("HTTP/1.1 200"), "it was closed");
    consul.register("shop", &["grpc"], upstream().await);
    until(running.address, "/v1/items/1", "HTTP/1.1 404").await;
    running.leave.cancel();
    timeout(SOON, running.ended).await.expect("the drain ended").unwrap().unwrap();
}

#[tokio::test]
async fn what_descriptors_say_of_a_method_and_the_operator_over_them_holds_for_its_calls() {
    let (consul, url) = Consul::start().await;
    consul.register("shop", &["grpc", "gateway"], upstream().await);
    let gateway = Gateway::new(options(&url)).unwrap();
    let shop = gateway.mesh.channel("shop");
    let running = start(gateway).await;
    until(running.address, "/v1/items/1", "HTTP/1.1 200").await;
    let policy = shop.policy("/shop.v1.ShopService/GetItem", &selvedge::CallOptions::default());
    assert_eq!(policy.idempotency.origin, Origin::Proto, "{policy}");
    assert_eq!((policy.max_attempts.value, policy.max_attempts.origin), (2, Origin::Kv), "{policy}");
    running.leave.cancel();
    timeout(SOON, running.ended).await.expect("the drain ended").unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let options = Options { listen, ..Options::new(selvedge::Config::new("gateway")) };
    let error = run(options, std::future::pending(), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains(&listen.to_string()) && error.contains("--listen"), "{error}");
}
