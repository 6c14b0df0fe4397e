//! What explain names is what the pick takes; and what operators write into the KV store reaches calls.

use std::pin::pin;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use tonic::Code;

use super::support::*;
use crate::{
    Config, Explanation, Mesh, Telemetry,
    client::call::CallOptions,
    consul::fake::Fake,
    policy::{
        cluster::{Balance, ClusterPolicy},
        method::{MethodPolicy, Origin},
    },
};

async fn stubs(count: usize) -> Vec<Stub> {
    let mut stubs = Vec::new();
    for _ in 0..count {
        stubs.push(Stub::start(echo).await);
    }
    stubs
}

async fn world_of(stubs: &[Stub], balance: Balance) -> World {
    let addresses: Vec<_> = stubs.iter().map(|stub| stub.address).collect();
    let world = world_with(Some(&addresses), |_| {}, ClusterPolicy { balance, ..ClusterPolicy::default() });
    world.call().await.unwrap();
    let connected = || stubs.iter().all(|stub| stub.connections.load(std::sync::atomic::Ordering::SeqCst) > 0);
    eventually("all are connected", connected).await;
    world
}

fn data(explanation: &Explanation) -> Value {
    serde_json::to_value(explanation).unwrap()
}

/// Asks which endpoint is next, makes a call, and returns which was named and which served it.
async fn named_and_taken(world: &World, stubs: &[Stub]) -> (String, String) {
    let served = || stubs.iter().map(Stub::served).collect::<Vec<_>>();
    let before = served();
    // Nothing is waited for between the question and the pick, and the clock stands still: both see the same.
    tokio::time::pause();
    let named = data(&world.channel.explain(None).unwrap())["pick"].as_str().unwrap().to_owned();
    let mut call = pin!(world.call());
    let begun = futures::poll!(&mut call);
    tokio::time::resume();
    assert!(begun.is_pending());
    call.await.unwrap();
    let at = served().iter().zip(&before).position(|(now, before)| now > before).unwrap();
    let taken = stubs[at].address;
    (named, format!("users-{} at {taken}", taken.port()))
}

#[tokio::test]
async fn what_explain_names_is_what_the_pick_takes_a_thousand_times() {
    let stubs = stubs(4).await;
    let world = world_of(&stubs, Balance::PeakEwma).await;
    let mut taken = std::collections::BTreeSet::new();
    for pick in 0..1_000 {
        let (named, served) = named_and_taken(&world, &stubs).await;
        assert_eq!(named, served, "pick {pick}");
        taken.insert(served);
    }
    assert!(taken.len() > 1, "there was a choice");
}

#[tokio::test]
async fn whatever_the_way_of_balancing_explain_names_the_pick() {
    for balance in [Balance::LeastRequest, Balance::RoundRobin, Balance::RingHash, Balance::Maglev] {
        let stubs = stubs(3).await;
        let world = world_of(&stubs, balance).await;
        for pick in 0..50 {
            let (named, served) = named_and_taken(&world, &stubs).await;
            assert_eq!(named, served, "{balance:?}, pick {pick}");
        }
    }
}

#[tokio::test]
async fn candidates_are_told_with_what_a_pick_sees_of_them() {
    let stub = Stub::start(echo).await;
    let world = world_with(None, |_| {}, ClusterPolicy::default());
    let asked = world.channel.explain(None).unwrap();
    assert!(asked.to_string().contains("with its first call"), "{asked}");
    world.set(&[stub.address, "127.0.0.1:1".parse().unwrap()]);
    world.call().await.unwrap();
    let error = || data(&world.channel.explain(None).unwrap())["candidates"][1]["last_error"].is_string();
    eventually("the other cannot be reached", error).await;
    let explanation = world.channel.explain(Some("test.Echo/Run")).unwrap();
    let told = data(&explanation);
    assert_eq!(told["candidates"][0]["state"], "ready", "{told}");
    assert_eq!(told["candidates"][1]["state"], "unconnected", "{told}");
    assert_eq!(told["retry_budget"], json!({"calls": 1, "retries": 0, "allowed": 100}));
    let text = explanation.to_string();
    for line in ["users/test.Echo/Run", "  deadline ", "  outlier.interval ", "the next attempt goes to users-"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains(&format!("> users-{} at", stub.address.port())), "{text}");
}

/// A mesh whose registry knows one instance of `users`.
fn mesh(fake: &Fake, stub: &Stub) -> Mesh {
    fake.set(
        "/v1/health/service/users",
        1,
        json!([{
            "Node": {"Node": "n1", "Address": "127.0.0.1"},
            "Service": {"ID": "users-1", "Service": "users", "Port": stub.address.port()},
            "Checks": [],
        }]),
    );
    let config = Config { registry: fake.config(), ..Config::new("orders") };
    Mesh::builder(config).telemetry(Telemetry::new().unwrap()).build().unwrap()
}

fn write(fake: &Fake, index: u64, document: &str) {
    let pairs = json!([{"Key": "selvedge/policy/users", "Value": STANDARD.encode(document)}]);
    fake.set("/v1/kv/selvedge/policy/", index, pairs);
}

async fn call(mesh: &Mesh) -> Result<Bytes, tonic::Status> {
    let mut client = tonic::client::Grpc::new(mesh.channel("users"));
    client.ready().await.unwrap();
    client.unary(tonic::Request::new(Bytes::from("hello")), PATH, Raws).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn what_an_operator_writes_reaches_calls_and_what_is_bad_changes_nothing() {
    let (fake, stub) = (Fake::start(), Stub::start(echo).await);
    let mesh = mesh(&fake, &stub);
    call(&mesh).await.unwrap();
    let users = mesh.channel("users");
    let attempts = || users.policy("/test.Echo/Run", &CallOptions::default()).max_attempts;

    write(&fake, 2, "methods: {Run: {max_attempts: 5}}\ncluster: {fault: {abort: ABORTED, abort_percent: 100}}");
    eventually("it is read", || attempts().value == 5).await;
    assert_eq!(attempts().origin, Origin::Kv);
    assert_eq!(call(&mesh).await.unwrap_err().code(), Code::Aborted);

    write(&fake, 3, "methods: {Run: {max_attempts: 5, colour: red}}");
    let refused = || data(&users.explain(None).unwrap())["document"]["refused"].clone();
    eventually("it is refused", || !refused().is_null()).await;
    assert_eq!(refused()["path"], "methods.Run.colour");
    assert_eq!(call(&mesh).await.unwrap_err().code(), Code::Aborted, "the one before stays");
    let text = users.explain(None).unwrap().to_string();
    assert!(text.contains("document selvedge/policy/users: in force"), "{text}");
    assert!(text.contains("is not used: methods.Run.colour: unknown field `colour`"), "{text}");

    write(&fake, 4, "methods: {Run: {max_attempts: 2}}");
    eventually("it is mended", || attempts().value == 2).await;
    call(&mesh).await.unwrap();
    let policy = MethodPolicy { max_attempts: Some(1), ..MethodPolicy::default() };
    let options = CallOptions { policy, ..CallOptions::default() };
    assert_eq!(users.policy("/test.Echo/Run", &options).max_attempts.origin, Origin::CallSite);
}

#[tokio::test]
async fn the_admin_listener_tells_of_all_meshes_of_its_process() {
    let (fake, stub) = (Fake::start(), Stub::start(echo).await);
    let mesh = mesh(&fake, &stub);
    call(&mesh).await.unwrap();
    let listener = Telemetry::bind_admin("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let telemetry = mesh.telemetry().clone();
    let serving =
        tokio::spawn(async move { telemetry.serve_admin(listener, axum::Router::new(), std::future::pending()).await });
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = get("/explain?service=users&method=test.Echo/Run").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("as orders calls it") && text.contains("the next attempt goes to users-1 at"), "{text}");
    let (_, json) = get("/explain?service=users&format=json&mesh=orders").await;
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told[0]["candidates"][0]["name"], format!("users-1 at {}", stub.address), "{told}");
    let (_, state) = get("/state").await;
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((&state[0]["mesh"], &state[0]["services"][0]["service"]), (&json!("orders"), &json!("users")));
    for (path, status, reason) in [
        ("/explain?service=stock", 404, "orders does not call \"stock\": it calls users"),
        ("/explain?service=users&method=Run", 404, "give its full name"),
        ("/explain?service=users&mesh=nobody", 404, "no such mesh"),
        ("/explain", 400, "which service?"),
    ] {
        let (got, text) = get(path).await;
        assert!(got == status && text.contains(reason), "{path}: {got} {text}");
    }
    serving.abort();
}
