//! Three processes of a service under steady calls: one is killed, one is stopped, one is added.

mod load;

use std::time::Duration;

use anyhow::ensure;
use selvedge_harness::{Embedded, LIMIT, Program, eventually};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::load::{Load, Tally};

/// How long the calls go on, whatever happens meanwhile.
const STEADY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_instances_come_and_go() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let data = TempDir::new()?;
    let users = Users { registry: registry.url(), database: format!("sqlite://{}/users.db", data.path().display()) };
    let mut killed = users.start().await?;
    let mut stopped = users.start().await?;
    let kept = users.start().await?;
    let gateway = Gateway::start(&registry.url()).await?;

    let began = Instant::now();
    let stop = CancellationToken::new();
    let load = Load::start(&registry.url(), &gateway.url, &stop).await?;
    load.reaches(500).await?;

    killed.program.kill().await?;
    load.is_peaceful();
    load.goes_on(500).await?;

    stopped.program.terminate()?;
    let ended = stopped.program.wait(LIMIT).await?;
    ensure!(ended.success(), "SIGTERM: {ended}\n{}", crate::stack::output(&stopped.program));
    load.goes_on(500).await?;

    let added = users.start().await?;
    let fair = Duration::from_secs(5);
    eventually(fair, async || added.has_half_of_a_fair_share_beside(&kept).await).await?;

    load.goes_on_until(began + STEADY).await;
    stop.cancel();
    let Tally { idempotent, created, failures, rate } = load.end().await?;
    println!("rolling: {idempotent} idempotent calls, {created} creations, {rate} a second, {} failed", failures.len());
    ensure!(rate >= 200, "only {rate} calls a second");
    ensure!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    Ok(())
}

/// How processes of the service are started.
struct Users {
    registry: String,
    database: String,
}

/// One process of the service.
struct Instance {
    program: Program,
    admin: String,
}

impl Users {
    async fn start(&self) -> anyhow::Result<Instance> {
        let args = ["--registry", &self.registry, "--database", &self.database, "--listen", "127.0.0.1:0"];
        let program = Program::spawn("selvedge-users", &args, &[])?;
        let admin = address_after(&program, "admin listener").await?;
        address_after(&program, "ready").await?;
        Ok(Instance { program, admin: format!("http://{admin}") })
    }
}

impl Instance {
    /// Compares what both are asked of the next hundred calls.
    async fn has_half_of_a_fair_share_beside(&self, other: &Self) -> anyhow::Result<()> {
        let (own_before, others_before) = (self.served().await?, other.served().await?);
        let next = eventually(LIMIT, async || {
            let (own, others) = (self.served().await? - own_before, other.served().await? - others_before);
            ensure!(own + others >= 100, "{} calls", own + others);
            Ok((own, others))
        });
        let (own, others) = next.await?;
        let fair = (own + others) / 2;
        ensure!(own * 2 >= fair, "{own} of {} calls", own + others);
        Ok(())
    }

    /// How many calls of users' API it has been asked so far.
    async fn served(&self) -> anyhow::Result<u64> {
        let text = reqwest::get(format!("{}/metrics", self.admin)).await?.text().await?;
        let counts = text.lines().filter(|line| {
            line.starts_with("grpc_server_call_started_total") && line.contains("selvedge.users.v1.UserService")
        });
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

/// The gateway as a process.
struct Gateway {
    _program: Program,
    url: String,
}

impl Gateway {
    async fn start(registry: &str) -> anyhow::Result<Self> {
        let args = ["--registry", registry, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let program = Program::spawn("selvedge-gateway", &args, &[])?;
        let url = format!("http://{}", address_after(&program, "gateway listens").await?);
        let http = reqwest::Client::new();
        eventually(LIMIT, async || {
            Ok(http.get(format!("{url}/v1/users")).send().await?.error_for_status().map(drop)?)
        })
        .await?;
        Ok(Self { _program: program, url })
    }
}

/// Returns the address in the log line that tells of it.
async fn address_after(program: &Program, what: &str) -> anyhow::Result<String> {
    let find = |line: &str| {
        line.contains(what).then(|| {
            line.split(|c: char| c.is_whitespace() || c == '=' || c == '"').find(|w| is_address(w)).map(str::to_owned)
        })?
    };
    let line = program.wait_for_line(|line| find(line).is_some(), LIMIT).await?;
    Ok(find(&line).expect("the line was found by it"))
}

fn is_address(word: &str) -> bool {
    word.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0)
}
