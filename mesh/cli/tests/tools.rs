//! `selvedge explain` and `selvedge policy` as their users call them.

use std::{
    fs,
    future::pending,
    process::{Command, Output},
};

use selvedge::{Config, Mesh, Telemetry};
use selvedge_registry::Registry;
use tonic::{body::Body, codegen::Service as _};

fn selvedge(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    command.env_remove("CONSUL_HTTP_ADDR").env_remove("SELVEDGE_ADMIN_URL");
    command.args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_document_is_checked_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("users.yaml"), folder.path().join("orders.json"));
    fs::write(&good, "methods: {GetUser: {max_attempts: 2}}\n").unwrap();
    fs::write(&bad, r#"{"cluster": {"panic_percent": 101}}"#).unwrap();
    let checked = selvedge(&["policy", "check", good.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).ends_with("users.yaml is a policy, which names GetUser\n"), "{checked:?}");
    let refused = selvedge(&["policy", "check", bad.to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("orders.json: cluster.panic_percent: must be 0 to 100"), "{refused:?}");
    let schema = selvedge(&["policy", "schema"]);
    assert!(text(&schema.stdout).contains("panic_percent"), "{schema:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_explained_by_the_caller_that_the_registry_names() {
    let settings = selvedge_registry::Config { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let registry = Registry::bind(settings).await.unwrap();
    let url = format!("http://{}", registry.local_addr());
    let registry = tokio::spawn(registry.run(pending()));
    let mut config = Config::new("orders");
    config.registry.address.clone_from(&url);
    config.admin.listen = Some(([127, 0, 0, 1], 0).into());
    let mesh = Mesh::builder(config).telemetry(Telemetry::new().unwrap()).build().unwrap();
    let (told, ready) = tokio::sync::oneshot::channel();
    let serve = mesh.serve(tonic::service::Routes::default()).until(pending());
    let serving = tokio::spawn(async move { serve.on_ready(|address| _ = told.send(address)).await });
    let address = ready.await.unwrap();
    // It calls itself, which is a service like any other.
    let request = http::Request::post("/grpc.health.v1.Health/Check").body(Body::empty()).unwrap();
    let Ok(_) = mesh.channel("orders").call(request).await;

    let ask = |arguments: &'static [&'static str]| {
        let registry = url.clone();
        tokio::task::spawn_blocking(move || selvedge(&[arguments, &["--registry", &registry]].concat()))
    };
    let explained = ask(&["explain", "orders/grpc.health.v1.Health/Check", "--caller", "orders"]).await.unwrap();
    let out = text(&explained.stdout);
    assert!(explained.status.success(), "{}", text(&explained.stderr));
    for part in ["as orders calls it", "max_attempts", "the next attempt goes to orders-", &address.port().to_string()]
    {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let json = ask(&["explain", "orders", "--caller", "orders", "--json"]).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told[0]["mesh"], "orders", "{told}");
    let unknown = ask(&["explain", "stock/List", "--caller", "orders"]).await.unwrap();
    assert!(!unknown.status.success());
    assert!(text(&unknown.stderr).contains("orders does not call \"stock\""), "{unknown:?}");
    serving.abort();
    registry.abort();
}
