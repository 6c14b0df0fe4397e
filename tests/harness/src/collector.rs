//! An OpenTelemetry Collector: what receives spans and metrics in the field.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    ports::free_port,
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// A collector on a free port of 127.0.0.1, which takes OTLP over gRPC. Ended when dropped.
#[derive(Debug)]
pub struct Collector {
    _program: Program,
    port: u16,
    /// Where it writes what it receives; removed at the end.
    folder: TempDir,
}

impl Collector {
    /// Starts a collector and waits until it takes spans.
    ///
    /// Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    pub async fn start() -> Result<Option<Self>> {
        let Some(path) = tools::tool("otel-collector", "SELVEDGE_TEST_OTEL_COLLECTOR") else {
            skip(&current_test(), "no otel-collector: run `cargo xtask tools`");
            return Ok(None);
        };
        let (folder, port) = (TempDir::new()?, free_port()?);
        let settings = folder.path().join("settings.yaml");
        fs::write(&settings, settings_of(port, &folder.path().join("received.json").display().to_string()))?;
        let settings = settings.to_str().context("temporary folders have plain names")?;
        let program = Program::spawn(&path, &["--config", settings], &[])?;
        program.wait_for_line(|line| line.contains("Everything is ready"), START).await?;
        Ok(Some(Self { _program: program, port, folder }))
    }

    /// Returns where it takes OTLP, as `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns all that it received so far, as OTLP's JSON: an object for each request.
    ///
    /// # Errors
    ///
    /// If what it wrote cannot be read.
    pub fn received(&self) -> Result<Vec<Value>> {
        let path = self.folder.path().join("received.json");
        let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).context("the collector wrote no JSON")).collect()
    }
}

fn settings_of(port: u16, file: &str) -> String {
    format!(
        r#"
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file]}}
"#
    )
}
