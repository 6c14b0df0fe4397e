//! What is told of the mesh, read by tools that are not ours: validators, and a client that knows descriptors only.

use std::fs;

use anyhow::{Context as _, ensure};
use selvedge_harness::{Grpcurl, LIMIT, Python, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stack::{Stack, path};

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_the_live_mesh_is_valid_in_both_forms() -> anyhow::Result<()> {
    let Some(python) = Python::find() else { return Ok(()) };
    let stack = Stack::embedded().await?;
    let http = reqwest::Client::new();
    let folder = TempDir::new()?;
    complete(&stack, &http).await?;
    for name in ["openapi.json", "openapi.yaml"] {
        let text = http.get(format!("{}/{name}", stack.gateway)).send().await?.error_for_status()?.text().await?;
        let file = format!("{}/{name}", path(&folder));
        fs::write(&file, text)?;
        python.run(&["-m", "openapi_spec_validator", "--schema", "3.1", &file]).await?;
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
