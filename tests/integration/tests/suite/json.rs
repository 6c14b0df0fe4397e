//! JSON of the gateway beside that of Python's `google.protobuf.json_format`, on messages made by chance.

use selvedge_harness::Python;
use tempfile::TempDir;

use crate::stack::{Stack, path};

/// How many messages are compared, each as JSON to the service and as JSON from it.
const MESSAGES: &str = "400";

#[tokio::test(flavor = "multi_thread")]
async fn json_is_that_of_pythons_json_format_both_ways() -> anyhow::Result<()> {
    let Some(python) = Python::find() else { return Ok(()) };
    let (stack, generated) = (Stack::embedded().await?, TempDir::new()?);
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/tests/proto");
    let google = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let (every, shared) = (format!("-I{protos}"), format!("-I{google}"));
    let (py, grpc) = (format!("--python_out={}", path(&generated)), format!("--grpc_python_out={}", path(&generated)));
    let files =
        ["every/v1/every.proto", "every/v1/older.proto", "google/api/annotations.proto", "google/api/http.proto"];
    python.run(&[&["-m", "grpc_tools.protoc", &every, &shared, &py, &grpc], &files[..]].concat()).await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/compare_json.py");
    let said = python.run(&[script, path(&generated), &stack.registry, &stack.gateway, MESSAGES]).await?;
    assert_eq!(said.trim(), format!("{MESSAGES} agreed"));
    Ok(())
}
