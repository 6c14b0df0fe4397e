//! The gateway's live schema as its operators see it: a cold start without anybody to ask, and hostile crowds.

mod crowd;

use anyhow::{Context as _, ensure};
use selvedge_harness::{Embedded, LIMIT, Program, eventually};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    instance::{Instance, address_after, users},
    stack::{output, path},
};

/// A gateway that keeps what it knows in a folder.
struct Gateway {
    program: Program,
    url: String,
    admin: String,
}

impl Gateway {
    async fn start(registry: &str, kept: &TempDir) -> anyhow::Result<Self> {
        let args = ["--registry", registry, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let program = Program::spawn("selvedge-gateway", &args, &[("SELVEDGE_DISCOVERY__SNAPSHOT", path(kept))])?;
        let url = format!("http://{}", address_after(&program, "gateway listens").await?);
        let admin = format!("http://{}", address_after(&program, "admin listener").await?);
        Ok(Self { program, url, admin })
    }

    async fn answers(&self, status: u16) -> anyhow::Result<()> {
        eventually(LIMIT, async || {
            let answer = reqwest::get(format!("{}/v1/users", self.url)).await?.status();
            ensure!(answer == status, "HTTP {answer} instead of {status}");
            Ok(())
        })
        .await
        .with_context(|| output(&self.program))
    }

    /// Waits until verbose readiness says that the schema of users came from there.
    async fn has_its_schema_from(&self, source: &str) -> anyhow::Result<()> {
        eventually(LIMIT, async || {
            let told: Value = reqwest::get(format!("{}/readyz?verbose", self.admin)).await?.json().await?;
            let known = &told["schema"]["services"]["users"]["schemas"][0];
            ensure!(known["source"] == source && known["digest"].is_string(), "{told:#}");
            Ok(())
        })
        .await
        .with_context(|| output(&self.program))
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.program.terminate()?;
        let ended = self.program.wait(LIMIT).await?;
        ensure!(ended.success(), "{ended}: {}", output(&self.program));
        Ok(())
    }
}

/// Waits until the folder holds what a start needs: where the instances are, and the schemas.
async fn is_kept(folder: &TempDir) -> anyhow::Result<()> {
    eventually(LIMIT, async || {
        let instances = std::fs::read_to_string(folder.path().join("gateway.snapshot"))?;
        ensure!(instances.contains(r#""id":"users-"#), "{instances}");
        Ok(std::fs::metadata(folder.path().join("gateway.schemas")).map(drop)?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_started_while_nobody_can_be_asked_serves_what_was_known() -> anyhow::Result<()> {
    let mut registry = Embedded::start().await?;
    let (url, data, kept) = (registry.url(), TempDir::new()?, TempDir::new()?);
    let database = format!("sqlite://{}/users.db", data.path().display());
    let mut instance = Instance::ready(users(&url, &database)?).await?;
    let first = Gateway::start(&url, &kept).await?;
    first.answers(200).await?;
    first.has_its_schema_from("instance").await?;
    is_kept(&kept).await?;
    first.end().await?;

    // Neither the registry nor the service is there: a route that is known says so, and is not unknown.
    registry.program().kill().await?;
    instance.program.kill().await?;
    let second = Gateway::start(&url, &kept).await?;
    second.answers(503).await?;
    second.has_its_schema_from("disk").await?;
    second.program.wait_for_line(|line| line.contains("schema taken from disk"), LIMIT).await?;

    let registry = Embedded::start_at(url.trim_start_matches("http://")).await?;
    let _instance = Instance::ready(users(&registry.url(), &database)?).await?;
    second.answers(200).await?;
    second.has_its_schema_from("instance").await?;
    second.end().await
}
