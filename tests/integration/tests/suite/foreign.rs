//! A service that the build does not know: Python's grpcio, registered by hand.

use std::path::Path;

use anyhow::{Context as _, ensure};
use prost::Message;
use selvedge_harness::{Grpcurl, LIMIT, Program, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    grpc_web::{self, Encoding},
    stack::{Stack, path},
};

const SERVICE: &str = "integration.greeter.v1.GreeterService";

#[derive(Clone, PartialEq, Message)]
struct GreetRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    language: String,
}

#[derive(Clone, PartialEq, Message)]
struct GreetResponse {
    #[prost(string, tag = "1")]
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_unknown_to_the_build_comes_and_goes() -> anyhow::Result<()> {
    let Some(python) = Python::find() else { return Ok(()) };
    let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
    let stack = Stack::embedded().await?;
    let http = reqwest::Client::new();
    let generated = TempDir::new()?;
    let (_greeter, port) = greeter(&python, &generated).await?;
    assert_eq!(rest(&stack, &http).await?.0, 404, "it is there before it was registered");

    let registration = json!({
        "Name": "greeter", "ID": "greeter-1", "Address": "127.0.0.1", "Port": port, "Tags": ["grpc", "gateway"],
        "Check": {"TCP": format!("127.0.0.1:{port}"), "Interval": "1s", "Status": "passing"},
    });
    let url = format!("{}/v1/agent/service/register", stack.registry);
    http.put(url).json(&registration).send().await?.error_for_status()?;
    it_is_served(&stack, &http, &grpcurl).await?;

    let url = format!("{}/v1/agent/service/deregister/greeter-1", stack.registry);
    http.put(url).send().await?.error_for_status()?;
    it_is_gone(&stack, &http, &grpcurl).await
}

/// Generates the modules as a Python developer would, and starts the service.
async fn greeter(python: &Python, generated: &TempDir) -> anyhow::Result<(Program, u16)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let here = here.to_str().context("a plain path")?;
    let out = path(generated);
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let (own, google, py, grpc) =
        (format!("-I{here}"), format!("-I{protos}"), format!("--python_out={out}"), format!("--grpc_python_out={out}"));
    let files = [&format!("{here}/greeter.proto"), "google/api/annotations.proto", "google/api/http.proto"];
    python.run(&[&["-m", "grpc_tools.protoc", &own, &google, &py, &grpc], &files[..]].concat()).await?;
    let program = python.spawn(&[&format!("{here}/greeter.py"), out])?;
    let line = program.wait_for_line(|line| line.starts_with("listening on "), LIMIT).await?;
    let port = line.rsplit(' ').next().context("a port")?.parse()?;
    Ok((program, port))
}

async fn rest(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<(u16, Value)> {
    let response = http.get(format!("{}/v1/greetings/ada?language=de", stack.gateway)).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

async fn it_is_served(stack: &Stack, http: &reqwest::Client, grpcurl: &Grpcurl) -> anyhow::Result<()> {
    let greeting = eventually(LIMIT, async || {
        let (status, body) = rest(stack, http).await?;
        ensure!(status == 200, "HTTP {status}: {body}");
        Ok(body)
    });
    assert_eq!(greeting.await?["text"], "Hallo, ada");

    let custom = http.post(format!("{}/v1/greetings:greet", stack.gateway));
    let custom: Value = custom.json(&json!({"name": "greetings/bob", "language": "fr"})).send().await?.json().await?;
    assert_eq!(custom["text"], "Salut, bob");

    for encoding in [Encoding::Binary, Encoding::Text] {
        let greet = async |language: &str| {
            let request = GreetRequest { name: "greetings/ada".into(), language: language.into() };
            let path = format!("/{SERVICE}/Greet");
            grpc_web::unary::<GreetResponse>(http, &stack.gateway, &path, &request, encoding).await
        };
        assert_eq!(greet("fr").await?.message.unwrap_or_default().text, "Salut, ada");
        let refused = greet("xx").await?;
        assert_eq!(refused.status, 3, "{}", refused.text);
    }

    let listed = grpcurl.run(&["-plaintext", stack.gateway_address(), "list"]).await?.stdout;
    assert!(listed.lines().any(|line| line == SERVICE), "{listed}");
    let request = r#"{"name": "greetings/ada", "times": 3}"#;
    let method = format!("{SERVICE}/GreetMany");
    let streamed = grpcurl.run(&["-plaintext", "-d", request, stack.gateway_address(), &method]).await?.stdout;
    assert_eq!(streamed.matches("Hello, ada").count(), 3, "{streamed}");
    Ok(())
}

async fn it_is_gone(stack: &Stack, http: &reqwest::Client, grpcurl: &Grpcurl) -> anyhow::Result<()> {
    eventually(LIMIT, async || {
        let (status, body) = rest(stack, http).await?;
        ensure!(status == 404, "HTTP {status}: {body}");
        Ok(())
    })
    .await?;
    let request = GreetRequest { name: "greetings/ada".into(), language: String::new() };
    let path = format!("/{SERVICE}/Greet");
    let refused = grpc_web::unary::<GreetResponse>(http, &stack.gateway, &path, &request, Encoding::Binary).await?;
    assert_eq!(refused.status, 12, "{}", refused.text);
    let listed = grpcurl.run(&["-plaintext", stack.gateway_address(), "list"]).await?.stdout;
    assert!(!listed.contains(SERVICE), "{listed}");
    Ok(())
}
