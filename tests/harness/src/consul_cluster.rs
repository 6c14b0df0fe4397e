//! Three Consul servers and a client agent, for what must hold where servers come and go.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, header::HeaderMap};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    eventually::{LIMIT, eventually},
    ports::free_ports,
    program::Program,
    skip::{current_test, skip},
    tools,
};

/// How many servers elect a leader.
const SERVERS: usize = 3;

/// Clusters of this process so far: each has addresses of its own.
static STARTED: AtomicU8 = AtomicU8::new(0);

/// Three servers and a client agent on addresses of 127.0.0.0/8. All of it speaks TLS, and ACLs deny what nobody
/// allowed. Ended when dropped.
#[derive(Debug)]
pub struct ConsulCluster {
    path: PathBuf,
    token: String,
    net: [u8; 3],
    ports: Ports,
    /// The servers, and the client agent as the last.
    members: Vec<Program>,
    http: Client,
    folder: TempDir,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    https: u16,
    serf: u16,
    server: u16,
}

impl ConsulCluster {
    /// Starts all and waits until a server leads and all four are members. The token, an UUID, may do everything.
    ///
    /// Returns none where no Consul is installed: the test is then skipped, loudly.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    ///
    /// # Panics
    ///
    /// In CI, where no Consul is installed.
    pub async fn start(token: &str) -> Result<Option<Self>> {
        let Some(path) = tools::tool("consul", "SELVEDGE_TEST_CONSUL") else {
            skip(&current_test(), "no consul: run `cargo xtask tools`");
            return Ok(None);
        };
        let [https, serf, server] = free_ports()?;
        let folder = TempDir::with_prefix("selvedge-consul-").context("cannot make a folder for consul")?;
        let [high, low, ..] = process::id().to_be_bytes().map(|byte| byte % 200 + 20)[2..] else { unreachable!() };
        let net = [127, high.wrapping_add(STARTED.fetch_add(1, Ordering::Relaxed)), low];
        let ports = Ports { https, serf, server };
        certificates(&path, folder.path(), net)?;
        let http = client(folder.path(), token)?;
        let mut cluster = Self { path, token: token.to_owned(), net, ports, members: Vec::new(), http, folder };
        for member in 0..=SERVERS {
            let started = cluster.spawn(member)?;
            cluster.members.push(started);
        }
        cluster.settled().await?;
        Ok(Some(cluster))
    }

    /// Returns the URL of the client agent.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(SERVERS)
    }

    /// Returns the file of the certificate authority that signs all of its certificates.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("consul-agent-ca.pem")
    }

    /// Returns which server leads, from 0.
    ///
    /// # Errors
    ///
    /// If none does, as far as the client agent knows.
    pub async fn leader(&self) -> Result<usize> {
        let told = self.get("/v1/status/leader").await?;
        let led = (0..SERVERS).find(|&server| told == format!("{}:{}", self.address(server), self.ports.server));
        led.with_context(|| format!("no leader: {told}"))
    }

    /// Returns a server, to signal it.
    ///
    /// # Panics
    ///
    /// If there is none of that number.
    pub fn server(&mut self, server: usize) -> &mut Program {
        assert!(server < SERVERS, "there are {SERVERS} servers");
        &mut self.members[server]
    }

    /// Starts a server again that was killed, with what it knew.
    ///
    /// # Errors
    ///
    /// If the cluster does not settle.
    pub async fn start_again(&mut self, server: usize) -> Result<()> {
        self.members[server] = self.spawn(server)?;
        self.settled().await
    }

    /// Kills the client agent (SIGKILL), and starts it again at the same address, with nothing.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub async fn empty_client(&mut self) -> Result<()> {
        self.members[SERVERS].kill().await?;
        fs::remove_dir_all(self.data(SERVERS)).context("cannot remove what the agent knew")?;
        self.members[SERVERS] = self.spawn(SERVERS)?;
        self.settled().await
    }

    /// Returns what the client agent answers to a GET.
    ///
    /// # Errors
    ///
    /// If it does not, or not with 200 and JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Waits until a server leads, and all four are members that live.
    async fn settled(&self) -> Result<()> {
        eventually(LIMIT, async || {
            self.leader().await?;
            let members = self.get("/v1/agent/members").await?;
            let alive = members.as_array().into_iter().flatten().filter(|one| one["Status"] == 1).count();
            ensure!(alive == SERVERS + 1, "{alive} members live");
            let nodes = self.get("/v1/catalog/nodes").await?;
            ensure!(nodes.as_array().is_some_and(|nodes| nodes.len() == SERVERS + 1), "not all are in the catalog");
            Ok(())
        })
        .await
        .with_context(|| self.members.iter().map(Program::stdout).collect::<String>())
    }

    fn address(&self, member: usize) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, 11 + u8::try_from(member).unwrap_or(u8::MAX))
    }

    fn url_of(&self, member: usize) -> String {
        format!("https://{}:{}", self.address(member), self.ports.https)
    }

    fn data(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("data-{member}"))
    }

    fn spawn(&self, member: usize) -> Result<Program> {
        let Ports { https, serf, server } = self.ports;
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let (address, token) = (self.address(member), &self.token);
        let mut config = vec![
            format!(
                "ports {{ http = -1 https = {https} dns = -1 grpc = -1 grpc_tls = -1 serf_lan = {serf} serf_wan = -1 server = {server} }}"
            ),
            format!(
                "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = {token:?} agent = {token:?} }} }}"
            ),
            format!(
                "tls {{ defaults {{ ca_file = {:?} cert_file = {:?} key_file = {:?} verify_outgoing = true }} internal_rpc {{ verify_incoming = true verify_server_hostname = true }} }}",
                file("consul-agent-ca.pem"),
                file("dc1-server-consul-0.pem"),
                file("dc1-server-consul-0-key.pem"),
            ),
            "disable_update_check = true performance { raft_multiplier = 1 }".to_owned(),
            // It may come back with nothing, and is the same node.
            format!("node_id = \"00000000-0000-0000-0000-{member:012}\""),
            "limits { http_max_conns_per_client = 2000 }".to_owned(),
        ];
        if member < SERVERS {
            config.push(format!("server = true bootstrap_expect = {SERVERS}"));
        }
        let joined: Vec<_> = (0..SERVERS).map(|other| format!("\"{}:{serf}\"", self.address(other))).collect();
        config.push(format!("retry_join = [{}] retry_interval = \"1s\"", joined.join(", ")));
        let (node, data) = (format!("-node=m{member}"), format!("-data-dir={}", self.data(member).display()));
        let (bind, listen) = (format!("-bind={address}"), format!("-client={address}"));
        let mut args = vec!["agent", "-log-level=warn", "-datacenter=dc1", &node, &data, &bind, &listen];
        args.extend(config.iter().flat_map(|part| ["-hcl", part]));
        Program::spawn(&self.path, &args, &[])
    }
}

/// Makes an authority, and a certificate for all members.
fn certificates(consul: &Path, folder: &Path, net: [u8; 3]) -> Result<()> {
    let [a, b, c] = net;
    let addresses: Vec<_> = (11..=14).map(|d| format!("-additional-ipaddress={a}.{b}.{c}.{d}")).collect();
    let cert =
        ["tls", "cert", "create", "-server", "-dc", "dc1"].into_iter().chain(addresses.iter().map(String::as_str));
    for args in [vec!["tls", "ca", "create"], cert.collect()] {
        let done = Command::new(consul).args(args).current_dir(folder).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

fn client(folder: &Path, token: &str) -> Result<Client> {
    let ca = Certificate::from_pem(&fs::read(folder.join("consul-agent-ca.pem"))?)?;
    let headers = HeaderMap::from_iter([("x-consul-token".parse()?, token.parse()?)]);
    let builder = Client::builder().timeout(Duration::from_secs(5)).default_headers(headers);
    Ok(builder.tls_certs_only([ca]).build()?)
}
