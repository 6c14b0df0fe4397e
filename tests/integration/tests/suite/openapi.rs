//! What is told of the mesh, read by tools that are not ours: validators, a prober of answers, and a client that knows
//! descriptors only.

use std::fs;

use anyhow::{Context as _, ensure};
use selvedge_harness::{Grpcurl, LIMIT, Node, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stack::{Stack, path};

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_the_live_mesh_is_valid_in_both_forms() -> anyhow::Result<()> {
    let (Some(python), Some(node)) = (Python::find(), Node::find()) else { return Ok(()) };
    let stack = Stack::embedded().await?;
    let http = reqwest::Client::new();
    let folder = TempDir::new()?;
    complete(&stack, &http).await?;
    node.project(folder.path())?;
    for name in ["openapi.json", "openapi.yaml"] {
        let text = http.get(format!("{}/{name}", stack.gateway)).send().await?.error_for_status()?.text().await?;
        let file = format!("{}/{name}", path(&folder));
        fs::write(&file, text)?;
        python.run(&["-m", "openapi_spec_validator", "--schema", "3.1", &file]).await?;
        let telemetry = ("REDOCLY_TELEMETRY", "off");
        let lint = ["node_modules/@redocly/cli/bin/cli.js", "lint", "--extends", "spec", name];
        node.run(folder.path(), &lint, &[telemetry, ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")]).await?;
    }
    // One document, whichever form it is read in.
    let same = "import json, sys, yaml; folder = sys.argv[1]; \
         assert json.load(open(folder + '/openapi.json')) == yaml.safe_load(open(folder + '/openapi.yaml'))";
    python.run(&["-c", same, path(&folder)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_speaks_in_the_words_of_the_protos() -> anyhow::Result<()> {
    let stack = Stack::embedded().await?;
    let document = complete(&stack, &reqwest::Client::new()).await?;
    let get = &document["paths"]["/v1/users/{user}"]["get"];
    assert_eq!(get["summary"], "Returns one user");
    assert_eq!(get["parameters"][0]["schema"]["pattern"], "^[^/]+$");
    assert_eq!(get["responses"]["200"]["content"]["application/json"]["schema"], reference("selvedge.users.v1.User"));
    let user = &document["components"]["schemas"]["selvedge.users.v1.User"];
    assert_eq!(user["description"], "Someone who uses the system.");
    assert_eq!(user["properties"]["createTime"]["readOnly"], true);
    assert!(user["required"].as_array().is_some_and(|names| names.contains(&json!("displayName"))), "{user}");
    let refused = &document["components"]["responses"]["Refused"]["content"]["application/json"]["schema"];
    assert_eq!(*refused, reference("google.rpc.Status"));
    Ok(())
}

/// Requests made of the document, good and bad ones; the same in every run.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_the_stack_or_is_answered_otherwise_than_documented() -> anyhow::Result<()> {
    let Some(python) = Python::find() else { return Ok(()) };
    let (stack, http, folder) = (Stack::embedded().await?, reqwest::Client::new(), TempDir::new()?);
    complete(&stack, &http).await?;
    for (collection, body) in [
        ("users?user_id=ada-1815", json!({"displayName": "Ada", "email": "ada@example.com"})),
        (
            "products?product_id=engine-1",
            json!({"displayName": "Engine", "owner": "users/ada-1815", "price": {"currencyCode": "GBP"}}),
        ),
    ] {
        http.post(format!("{}/v1/{collection}", stack.gateway)).json(&body).send().await?.error_for_status()?;
    }
    // What there is stays: or nothing but 404 would be found after a while. Every call has time: or it is answered 504.
    let config = format!("{}/schemathesis.toml", path(&folder));
    fs::write(
        &config,
        "[parameters]\n\"header.x-server-timeout\" = \"20\"\n[[operations]]\nexclude-method = \"DELETE\"\n[operations.parameters]\nuser = \"ada-1815\"\nproduct = \"engine-1\"\n",
    )?;
    let document = format!("{}/openapi.json", stack.gateway);
    let answers = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
         response_schema_conformance,unsupported_method,allow_header_conformance";
    // A stream has no end. That wrong data are refused is tried elsewhere: JSON may say null where a schema knows none.
    let bounds = ["--seed", "1", "--max-examples", "30", "--request-timeout", "30"];
    let probe = [
        "-m",
        "schemathesis.cli",
        "--config-file",
        &config,
        "run",
        &document,
        "--exclude-operation-id",
        "CatalogService_WatchProducts",
    ];
    let how =
        ["--phases", "examples,coverage,fuzzing", "--checks", answers, "--generation-database", "none", "--no-color"];
    let said = python.run(&[&probe[..], &bounds, &how].concat()).await?;
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<usize>().ok());
    ensure!(tested.is_some_and(|operations| operations >= 13), "{tested:?} operations were tested: {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_calls_by_the_descriptors_alone() -> anyhow::Result<()> {
    let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
    let stack = Stack::embedded().await?;
    let http = reqwest::Client::new();
    complete(&stack, &http).await?;
    let response = http.get(format!("{}/descriptor.binpb", stack.gateway)).send().await?.error_for_status()?;
    assert!(!response.headers().contains_key("x-left-out"), "{:?}", response.headers());
    let folder = TempDir::new()?;
    let file = format!("{}/mesh.binpb", path(&folder));
    fs::write(&file, response.bytes().await?)?;
    for (method, list) in
        [("users.v1.UserService/ListUsers", "users"), ("catalog.v1.CatalogService/ListProducts", "products")]
    {
        let method = format!("selvedge.{method}");
        let args = ["-plaintext", "-emit-defaults", "-protoset", &file, "-d", "{}", stack.gateway_address(), &method];
        let page = grpcurl.json(&args).await?;
        assert_eq!(page[list], json!([]), "{page}");
    }
    Ok(())
}

/// Waits until both services are in the document.
async fn complete(stack: &Stack, http: &reqwest::Client) -> anyhow::Result<Value> {
    eventually(LIMIT, async || {
        let response = http.get(format!("{}/openapi.json", stack.gateway)).send().await?.error_for_status()?;
        let document: Value = response.json().await?;
        let paths = document["paths"].as_object().context("no paths")?;
        ensure!(paths.contains_key("/v1/users") && paths.contains_key("/v1/products"), "only {:?}", paths.keys());
        Ok(document)
    })
    .await
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
