//! The whole walk, the same on the embedded registry and on a real Consul.

use selvedge_harness::{Consul, Grpcurl};
use selvedge_proto::users::v1::{GetUserRequest, User};
use serde_json::{Value, json};

use crate::{
    grpc_web::{self, Encoding},
    stack::Stack,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_on_the_embedded_registry() -> anyhow::Result<()> {
    walk(Stack::embedded().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_on_a_real_consul() -> anyhow::Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    walk(Stack::on_consul(consul).await?).await
}

async fn walk(stack: Stack) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    a_user_is_created_by_rest(&stack, &http).await?;
    grpcurl_reads_it_everywhere(&stack).await?;
    grpc_web_reads_it_in_both_encodings(&stack, &http).await?;
    a_products_owner_is_asked_for_through_the_mesh(&stack, &http).await?;
    everything_was_measured(&stack, &http).await
}

async fn a_user_is_created_by_rest(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<()> {
    let url = format!("{}/v1/users?user_id=ada-1815", stack.gateway);
    let body = json!({"displayName": "Ada", "email": "ada@example.com"});
    let response = http.post(&url).json(&body).send().await?;
    assert_eq!(response.status(), 200);
    let user: Value = response.json().await?;
    assert_eq!(user["name"], "users/ada-1815");
    assert_eq!(user["email"], "ada@example.com");
    assert!(user["createTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{user}");

    let again = http.post(&url).json(&body).send().await?;
    assert_eq!(again.status(), 409);
    let status: Value = again.json().await?;
    assert_eq!(status["code"], 6, "{status}");
    Ok(())
}

async fn grpcurl_reads_it_everywhere(stack: &Stack) -> anyhow::Result<()> {
    let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
    let listed = grpcurl.run(&["-plaintext", stack.gateway_address(), "list"]).await?.stdout;
    for service in ["selvedge.users.v1.UserService", "selvedge.catalog.v1.CatalogService", "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{service} is missing in {listed}");
    }
    let described = grpcurl
        .run(&["-plaintext", stack.gateway_address(), "describe", "selvedge.users.v1.UserService.GetUser"])
        .await?
        .stdout;
    assert!(described.contains("google.api.http"), "options were lost: {described}");

    let get = |address: String| {
        let grpcurl = &grpcurl;
        async move {
            let request = r#"{"name": "users/ada-1815"}"#;
            let method = "selvedge.users.v1.UserService/GetUser";
            grpcurl.json(&["-plaintext", "-d", request, &address, method]).await
        }
    };
    assert_eq!(get(stack.gateway_address().to_owned()).await?["email"], "ada@example.com");
    for instance in &stack.users {
        assert_eq!(get(instance.clone()).await?["email"], "ada@example.com", "directly at {instance}");
        let health = grpcurl.json(&["-plaintext", instance, "grpc.health.v1.Health/Check"]).await?;
        assert_eq!(health["status"], "SERVING");
    }
    Ok(())
}

async fn grpc_web_reads_it_in_both_encodings(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<()> {
    for encoding in [Encoding::Binary, Encoding::Text] {
        let get = async |name: &str| {
            let request = GetUserRequest { name: name.into() };
            let path = "/selvedge.users.v1.UserService/GetUser";
            grpc_web::unary::<User>(http, &stack.gateway, path, &request, encoding).await
        };
        let found = get("users/ada-1815").await?;
        assert_eq!((found.status, found.message.unwrap_or_default().email.as_str()), (0, "ada@example.com"));
        let missing = get("users/nobody").await?;
        assert_eq!(missing.status, 5, "{}", missing.text);
    }
    Ok(())
}

async fn a_products_owner_is_asked_for_through_the_mesh(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<()> {
    let create = async |id: &str, owner: &str| {
        let product = json!({
            "displayName": "Analytical engine",
            "owner": owner,
            "price": {"currencyCode": "GBP", "units": "17000"},
            "availableQuantity": "1",
        });
        http.post(format!("{}/v1/products?product_id={id}", stack.gateway)).json(&product).send().await
    };
    let made = create("engine-1", "users/ada-1815").await?;
    assert_eq!(made.status(), 200);
    let read: Value = http.get(format!("{}/v1/products/engine-1", stack.gateway)).send().await?.json().await?;
    assert_eq!(read["owner"], "users/ada-1815");

    let refused = create("engine-2", "users/nobody").await?;
    assert_eq!(refused.status(), 400);
    let status: Value = refused.json().await?;
    let violations = status["details"].as_array().and_then(|details| {
        details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.BadRequest").cloned()
    });
    let violations = violations.unwrap_or_else(|| panic!("no BadRequest in {status}"));
    assert_eq!(violations["fieldViolations"][0]["field"], "product.owner", "{status}");
    Ok(())
}

async fn everything_was_measured(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<()> {
    let metrics = http.get(format!("{}/metrics", stack.admin)).send().await?.text().await?;
    for (name, label) in [
        ("grpc_client_attempt_duration_seconds_count", "selvedge.users.v1.UserService/GetUser"),
        ("grpc_client_attempt_started_total", "selvedge.catalog.v1.CatalogService/CreateProduct"),
        ("grpc_server_call_duration_seconds_count", "selvedge.users.v1.UserService/GetUser"),
    ] {
        let measured = metrics.lines().any(|line| line.starts_with(name) && line.contains(label));
        let named: Vec<_> = metrics.lines().filter(|line| line.starts_with(name)).collect();
        assert!(measured, "{name} of {label} is missing in {named:#?}");
    }
    Ok(())
}
