//! A service that the build does not know comes, is served, and goes.

use anyhow::ensure;
use prost::Message;
use selvedge_harness::{Grpcurl, LIMIT, Python, eventually};
use serde_json::{Value, json};

use crate::{
    greeter::Greeter,
    grpc_web::{self, Encoding},
    stack::Stack,
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
    let greeter = Greeter::start(&python).await?;
    assert_eq!(rest(&stack, &http).await?.0, 404, "it is there before it was registered");

    greeter.register(&http, &stack.registry).await?;
    it_is_served(&stack, &http, &grpcurl).await?;

    greeter.deregister(&http, &stack.registry).await?;
    it_is_gone(&stack, &http, &grpcurl).await
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
