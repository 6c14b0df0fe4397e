//! A real Consul, for what must hold against the original.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    eventually::{LIMIT, eventually},
    ports::free_ports,
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How often a start is tried: another program may take a port first.
const STARTS: usize = 3;

/// A `consul agent -dev` on free ports of 127.0.0.1. Ended when dropped.
#[derive(Debug)]
pub struct Consul {
    program: Program,
    path: PathBuf,
    ports: Ports,
    /// What may do everything, where nothing else may.
    token: Option<String>,
    /// Where it would write; removed at the end.
    _folder: TempDir,
}

/// Which Consul is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 1.22, which most tests use.
    Current,
    /// 1.19.2, the oldest that is looked at, and only when all tests are asked for.
    Older,
}

impl Release {
    /// Returns those that are asked for: both where `SELVEDGE_TEST_ALL` is `1`, as `cargo xtask test --all` sets it.
    #[must_use]
    pub fn asked() -> &'static [Self] {
        let all = env::var("SELVEDGE_TEST_ALL").is_ok_and(|value| value == "1");
        if all { &[Self::Current, Self::Older] } else { &[Self::Current] }
    }

    /// The name of the tool, and the variable that says where it is.
    fn tool(self) -> (&'static str, &'static str) {
        match self {
            Self::Current => ("consul", "SELVEDGE_TEST_CONSUL"),
            Self::Older => ("older-consul", "SELVEDGE_TEST_OLDER_CONSUL"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    serf: u16,
    server: u16,
}

impl Consul {
    /// Starts a Consul and waits until it leads, knows its node, and answers for its certificates.
    ///
    /// Returns none where no Consul is installed: the test is then skipped, loudly.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    ///
    /// # Panics
    ///
    /// In CI, where no Consul is installed.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_release(Release::Current, None).await
    }

    /// Starts a Consul that denies all to who does not name the token: an UUID, which may do everything.
    ///
    /// # Errors
    ///
    /// As [`Consul::start`].
    ///
    /// # Panics
    ///
    /// As [`Consul::start`].
    pub async fn start_closed(token: &str) -> Result<Option<Self>> {
        Self::start_release(Release::Current, Some(token)).await
    }

    /// Starts a Consul of a release, which denies all to who does not name the token, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Consul::start`].
    ///
    /// # Panics
    ///
    /// As [`Consul::start`].
    pub async fn start_release(release: Release, token: Option<&str>) -> Result<Option<Self>> {
        let (name, variable) = release.tool();
        let Some(path) = tools::tool(name, variable) else {
            skip(&current_test(), &format!("no {name}: run `cargo xtask path {name}`"));
            return Ok(None);
        };
        let mut failed = None;
        for _ in 0..STARTS {
            match Self::start_once(path.clone(), token).await {
                Ok(consul) => return Ok(Some(consul)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Returns its address, as in `http://127.0.0.1:18500`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns its address without the scheme, as `CONSUL_HTTP_ADDR` may have it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// Returns the path of the program, for its other commands.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Returns the agent as a program, to read its output or to signal it.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Ends it at once (SIGKILL): what asks it from now on is refused.
    ///
    /// # Errors
    ///
    /// If it cannot be signalled.
    pub async fn kill(&mut self) -> Result<()> {
        self.program.kill().await
    }

    /// Starts it again at the same address after [`Consul::kill`], empty.
    ///
    /// # Errors
    ///
    /// If it does not come up; the error shows its last lines.
    pub async fn start_again(&mut self) -> Result<()> {
        let token = self.token.as_deref();
        self.program = agent(&self.path, self.ports, token)?;
        ready(&self.program, &self.url(), self.ports.server, token).await
    }

    async fn start_once(path: PathBuf, token: Option<&str>) -> Result<Self> {
        let [http, serf, server] = free_ports()?;
        let folder = TempDir::with_prefix("selvedge-consul-").context("cannot make a folder for consul")?;
        let ports = Ports { http, serf, server };
        let program = agent(&path, ports, token)?;
        let consul = Self { program, path, ports, token: token.map(str::to_owned), _folder: folder };
        ready(&consul.program, &consul.url(), server, token).await?;
        Ok(consul)
    }
}

/// Starts an agent with nothing but what the tests use, and nothing that leaves the machine.
fn agent(path: &PathBuf, ports: Ports, token: Option<&str>) -> Result<Program> {
    let Ports { http, serf, server } = ports;
    let listen = [format!("-http-port={http}"), format!("-serf-lan-port={serf}"), format!("-server-port={server}")];
    let mut args = vec!["agent", "-dev", "-node=n1", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn"];
    args.extend(listen.iter().map(String::as_str));
    args.extend(["-https-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-serf-wan-port=-1"]);
    args.extend(["-hcl", "disable_update_check = true"]);
    // One address makes all connections of a test, watches included.
    args.extend(["-hcl", "limits { http_max_conns_per_client = 2000 }"]);
    let access = token.map(|token| {
        let tokens = format!("tokens {{ initial_management = \"{token}\" agent = \"{token}\" }}");
        format!("acl {{ enabled = true default_policy = \"deny\" {tokens} }}")
    });
    if let Some(access) = &access {
        args.extend(["-hcl", access]);
    }
    Program::spawn(path, &args, &[])
}

/// Waits for what an agent needs to serve all of its API.
async fn ready(program: &Program, url: &str, server_port: u16, token: Option<&str>) -> Result<()> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert("x-consul-token", token.parse()?);
    }
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).default_headers(headers).build()?;
    let leader = format!("127.0.0.1:{server_port}");
    let look = eventually(LIMIT, async || {
        ensure!(json(&client, url, "/v1/status/leader").await? == leader.as_str(), "no leader yet");
        let nodes = json(&client, url, "/v1/catalog/nodes").await?;
        ensure!(nodes.as_array().is_some_and(|nodes| !nodes.is_empty()), "no node yet");
        json(&client, url, "/v1/agent/connect/ca/roots").await.map(drop)
    });
    tokio::select! {
        found = look => found.with_context(|| format!("consul did not come up: {}", program.stdout())),
        failed = program.wait_for_line(|_| false, LIMIT * 2) => failed.map(drop).context("consul ended"),
    }
}

async fn json(client: &reqwest::Client, url: &str, path: &str) -> Result<Value> {
    Ok(client.get(format!("{url}{path}")).send().await?.error_for_status()?.json().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn consul_starts_ends_and_starts_again() -> Result<()> {
        let Some(mut consul) = Consul::start().await? else { return Ok(()) };
        let client = reqwest::Client::new();
        let own = json(&client, &consul.url(), "/v1/agent/self").await?;
        assert_eq!(own["Config"]["NodeName"], "n1");
        consul.kill().await?;
        assert!(json(&client, &consul.url(), "/v1/agent/self").await.is_err());
        consul.start_again().await?;
        json(&client, &consul.url(), "/v1/agent/self").await.map(drop)
    }

    #[tokio::test]
    async fn two_consuls_do_not_meet() -> Result<()> {
        let (Some(one), Some(two)) = tokio::try_join!(Consul::start(), Consul::start())? else { return Ok(()) };
        let client = reqwest::Client::new();
        for consul in [one, two] {
            let members = json(&client, &consul.url(), "/v1/agent/members").await?;
            assert_eq!(members.as_array().map(Vec::len), Some(1));
        }
        Ok(())
    }
}
