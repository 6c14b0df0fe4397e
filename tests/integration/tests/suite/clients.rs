//! Clients that nobody here wrote, as programs: `buf curl`, and Python's grpcio. See `walk` for grpcurl.

use anyhow::{Context as _, ensure};
use selvedge_harness::{Answer, Buf, LIMIT, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    greeter::Greeter,
    stack::{Stack, path},
};

const GREETER: &str = "integration.greeter.v1.GreeterService";

#[tokio::test(flavor = "multi_thread")]
async fn buf_curl_calls_by_grpc_and_by_grpc_web() -> anyhow::Result<()> {
    let (Some(buf), Some(python)) = (Buf::find(), Python::find()) else { return Ok(()) };
    let (stack, _greeter) = with_greeter(&python).await?;
    let folder = TempDir::new()?;
    let schema = format!("{}/mesh.binpb", path(&folder));
    let set = reqwest::get(format!("{}/descriptor.binpb", stack.gateway)).await?.error_for_status()?;
    std::fs::write(&schema, set.bytes().await?)?;
    // By reflection, which needs a stream both ways, and by the descriptors.
    let known = ["--schema", &schema];
    let ways = [
        (&["--protocol", "grpc", "--http2-prior-knowledge"][..], &[][..]),
        (&["--protocol", "grpc", "--http2-prior-knowledge"], &known),
        (&["--protocol", "grpcweb", "--http2-prior-knowledge"], &[]),
        (&["--protocol", "grpcweb", "--http2-prior-knowledge"], &known),
        (&["--protocol", "grpcweb"], &known),
    ];
    for (number, (protocol, schema)) in ways.into_iter().enumerate() {
        let args = [&["curl"], protocol, schema].concat();
        let curl = Curl { buf: &buf, gateway: &stack.gateway, args };
        all_answers(&curl, number).await.with_context(|| format!("{protocol:?} {schema:?}"))?;
    }
    Ok(())
}

/// A `buf curl` with its options.
struct Curl<'a> {
    buf: &'a Buf,
    gateway: &'a str,
    args: Vec<&'a str>,
}

impl Curl<'_> {
    async fn call(&self, method: &str, request: &Value, more: &[&str]) -> anyhow::Result<Answer> {
        let (url, request) = (format!("{}/{method}", self.gateway), request.to_string());
        self.buf.run(&[&self.args[..], more, &["-d", &request, &url]].concat()).await
    }
}

async fn all_answers(curl: &Curl<'_>, number: usize) -> anyhow::Result<()> {
    let user = json!({"displayName": "Ada", "email": format!("ada-{number}@example.com")});
    let create = json!({"user": user, "userId": format!("ada-{number}815")});
    let created = curl.call("selvedge.users.v1.UserService/CreateUser", &create, &[]).await?;
    let created: Value = serde_json::from_str(&created.stdout).context(created.stderr)?;
    assert_eq!(created["name"], format!("users/ada-{number}815"));

    let request = json!({"name": "greetings/ada", "times": 3});
    let streamed = curl.call(&format!("{GREETER}/GreetMany"), &request, &[]).await?;
    assert_eq!(streamed.stdout.matches("Hello, ada").count(), 3, "{streamed:?}");

    let orphan = json!({"displayName": "Loom", "owner": "users/nobody-there", "price": {"currencyCode": "EUR"}});
    let refused =
        curl.call("selvedge.catalog.v1.CatalogService/CreateProduct", &json!({"product": orphan}), &[]).await?;
    // Eight times the code, so that it is told from errors of its own.
    assert_eq!(refused.status.code(), Some(24), "{refused:?}");
    let error: Value = serde_json::from_str(&refused.stderr).context(refused.stderr)?;
    let kinds: Vec<_> = error["details"].as_array().into_iter().flatten().map(|detail| &detail["type"]).collect();
    assert!(error["code"] == "invalid_argument" && kinds.contains(&&json!("google.rpc.BadRequest")), "{error}");

    let request = json!({"name": "greetings/ada"});
    let greeted = curl.call(&format!("{GREETER}/Greet"), &request, &["-v", "-H", "x-echo-note: a note"]).await?;
    // Sent, received in the headers, and received in the trailers, which of gRPC-Web are not shown.
    let shown = if curl.args.contains(&"grpc") { 3 } else { 2 };
    assert_eq!(greeted.stderr.to_lowercase().matches("x-echo-note: a note").count(), shown, "{greeted:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_python_needs_to_know_the_address_only() -> anyhow::Result<()> {
    let Some(python) = Python::find() else { return Ok(()) };
    let (stack, _greeter) = with_greeter(&python).await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/client.py");
    let said: Value = serde_json::from_str(&python.run(&[script, stack.gateway_address()]).await?)?;
    let services = said["services"].as_array().context("no services")?;
    for service in [GREETER, "selvedge.catalog.v1.CatalogService", "selvedge.users.v1.UserService"] {
        assert!(services.contains(&json!(service)), "{service} is not among {services:?}");
    }
    let mut expected = json!({
        "created": "users/grace-1906",
        "refused": ["INVALID_ARGUMENT", true],
        "first": "KIND_BOOKMARK",
        "cancelled": "CANCELLED",
        "late": "DEADLINE_EXCEEDED",
        "greeting": "Hello, grace",
        "metadata_came_back": [true, true],
        "greetings": 1000,
    });
    expected["services"] = said["services"].clone();
    assert_eq!(said, expected);
    Ok(())
}

/// Starts the stack with a service beside it that answers metadata, and waits until the gateway serves all.
async fn with_greeter(python: &Python) -> anyhow::Result<(Stack, Greeter)> {
    let (stack, http) = (Stack::embedded().await?, reqwest::Client::new());
    let greeter = Greeter::start(python).await?;
    greeter.register(&http, &stack.registry).await?;
    eventually(LIMIT, async || {
        for path in ["/v1/greetings/ada", "/v1/users", "/v1/products"] {
            let response = http.get(format!("{}{path}", stack.gateway)).send().await?;
            ensure!(response.status().is_success(), "{path}: {}", response.status());
        }
        Ok(())
    })
    .await?;
    Ok((stack, greeter))
}
