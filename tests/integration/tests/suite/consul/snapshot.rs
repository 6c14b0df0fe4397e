//! Consul is down, and the stack starts all the same: from what was known; Consul comes back, and it converges.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use selvedge_harness::{Consul, LIMIT, Program, eventually, free_port};
use tempfile::TempDir;

use crate::{
    instance::{Instance, address_after},
    late,
    stack::output,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_starts_from_its_snapshot_while_consul_is_down_and_converges_when_it_is_back() -> Result<()> {
    let Some(mut consul) = Consul::start().await? else { return Ok(()) };
    let data = TempDir::new()?;
    let (folder, listen) = (data.path().join("known"), format!("127.0.0.1:{}", free_port()?));
    let place = Place { registry: consul.url(), database: format!("sqlite://{}/users.db", data.path().display()) };
    let users = Instance::ready(place.users(&folder, &listen)?).await?;
    users.client().await?.create_user(late::creation("ada-1815")).await?;
    let gateway = Gateway::start(&place, &folder).await?;
    eventually(LIMIT, async || gateway.reads().await).await?;
    eventually(LIMIT, async || {
        let known = fs::read_to_string(folder.join("gateway.snapshot"))?;
        ensure!(known.contains(&format!("\"port\":{}", port(&listen))), "the snapshot does not have it yet");
        Ok(())
    })
    .await?;

    // Both go while nobody can be told.
    consul.kill().await?;
    drop((users, gateway));
    let program = place.users(&folder, &listen)?;
    program.wait_for_line(|line| line.contains("serving") && line.contains(&listen), LIMIT).await?;
    let gateway = Gateway::start(&place, &folder).await?;
    eventually(LIMIT, async || gateway.reads().await).await.context("from the snapshot")?;
    let said = output(&gateway.program);
    ensure!(said.contains("starting from what was known"), "{said}");

    consul.start_again().await?;
    let users = Instance::ready(program).await.context("it registers when Consul is back")?;
    ensure!(users.address == listen, "{} is not {listen}", users.address);
    let second = Instance::ready(place.users(&folder, "127.0.0.1:0")?).await?;
    eventually(LIMIT, async || {
        gateway.reads().await?;
        ensure!(second.asked().await? > 0, "the gateway does not know the second instance yet");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_a_service_that_is_to_have_one_ends_with_the_reason_while_consul_is_down() -> Result<()> {
    let data = TempDir::new()?;
    let registry = format!("http://127.0.0.1:{}", free_port()?);
    let place = Place { registry, database: format!("sqlite://{}/users.db", data.path().display()) };
    let mut program = place.users(&data.path().join("known"), "127.0.0.1:0")?;
    let ended = program.wait(LIMIT).await?;
    let said = output(&program);
    ensure!(!ended.success() && said.contains("no snapshot to start from"), "{ended}: {said}");
    Ok(())
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// Where everything is.
struct Place {
    registry: String,
    database: String,
}

impl Place {
    fn users(&self, folder: &Path, listen: &str) -> Result<Program> {
        let args = ["--registry", &self.registry, "--database", &self.database, "--listen", listen];
        spawn("selvedge-users", &args, folder)
    }
}

struct Gateway {
    program: Program,
    url: String,
}

impl Gateway {
    async fn start(place: &Place, folder: &Path) -> Result<Self> {
        let args = ["--registry", &place.registry, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let program = spawn("selvedge-gateway", &args, folder)?;
        let url = format!("http://{}/v1/users/ada-1815", address_after(&program, "gateway listens").await?);
        Ok(Self { program, url })
    }

    async fn reads(&self) -> Result<()> {
        let answer = reqwest::get(&self.url).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200 && text.contains("ada-1815"), "HTTP {status}: {text}");
        Ok(())
    }
}

fn spawn(program: &str, args: &[&str], folder: &Path) -> Result<Program> {
    let folder = folder.to_str().context("temporary folders have plain names")?;
    Program::spawn(program, args, &[("SELVEDGE_DISCOVERY__SNAPSHOT", folder)])
}
