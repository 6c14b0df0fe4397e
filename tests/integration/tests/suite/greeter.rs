//! A service that the build does not know: Python's grpcio, registered by hand.

use std::path::Path;

use anyhow::Context as _;
use selvedge_harness::{LIMIT, Program, Python};
use serde_json::json;
use tempfile::TempDir;

use crate::stack::path;

/// A running greeter, which answers metadata `x-echo-…` with the same.
#[derive(Debug)]
pub(crate) struct Greeter {
    _program: Program,
    port: u16,
    _generated: TempDir,
}

impl Greeter {
    /// Generates its modules as a Python developer would, and starts it; the mesh does not know it yet.
    pub(crate) async fn start(python: &Python) -> anyhow::Result<Self> {
        let generated = TempDir::new()?;
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let here = here.to_str().context("a plain path")?;
        let out = path(&generated);
        let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
        let (own, google, py, grpc) = (
            format!("-I{here}"),
            format!("-I{protos}"),
            format!("--python_out={out}"),
            format!("--grpc_python_out={out}"),
        );
        let files = [&format!("{here}/greeter.proto"), "google/api/annotations.proto", "google/api/http.proto"];
        python.run(&[&["-m", "grpc_tools.protoc", &own, &google, &py, &grpc], &files[..]].concat()).await?;
        let program = python.spawn(&[&format!("{here}/greeter.py"), out])?;
        let line = program.wait_for_line(|line| line.starts_with("listening on "), LIMIT).await?;
        let port = line.rsplit(' ').next().context("a port")?.parse()?;
        Ok(Self { _program: program, port, _generated: generated })
    }

    /// Tells a registry of it, as its operator would.
    pub(crate) async fn register(&self, http: &reqwest::Client, registry: &str) -> anyhow::Result<()> {
        let port = self.port;
        let registration = json!({
            "Name": "greeter", "ID": "greeter-1", "Address": "127.0.0.1", "Port": port, "Tags": ["grpc", "gateway"],
            "Check": {"TCP": format!("127.0.0.1:{port}"), "Interval": "1s", "Status": "passing"},
        });
        let url = format!("{registry}/v1/agent/service/register");
        http.put(url).json(&registration).send().await?.error_for_status()?;
        Ok(())
    }

    /// Takes it out again.
    pub(crate) async fn deregister(&self, http: &reqwest::Client, registry: &str) -> anyhow::Result<()> {
        let url = format!("{registry}/v1/agent/service/deregister/greeter-1");
        http.put(url).send().await?.error_for_status()?;
        Ok(())
    }
}
