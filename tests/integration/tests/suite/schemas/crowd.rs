//! Ten thousand clients that have nothing to say.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use selvedge_harness::{Embedded, LIMIT, Program};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{instance::address_after, stack::output};

const CLIENTS: usize = 9_900;
/// What a connection may cost the gateway, in bytes: its buffer for a head is the most of it.
const EACH: usize = 40 * 1024;

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

async fn served(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(GET).await?;
    let mut answer = [0; 15];
    timeout(LIMIT, stream.read_exact(&mut answer)).await.context("no answer")??;
    ensure!(&answer == b"HTTP/1.1 200 OK", "{}", answer.escape_ascii());
    Ok(stream)
}

/// Returns the memory that a process has, in bytes.
fn resident(program: &Program) -> anyhow::Result<usize> {
    let id = program.id().context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// Returns how many files this process, and so one that it starts, may have open.
fn files() -> anyhow::Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no such limit")?;
    Ok(line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out() -> anyhow::Result<()> {
    if files()? < CLIENTS + 200 {
        selvedge_harness::skip(&selvedge_harness::current_test(), "fewer than 10,100 files: `ulimit -n 20000`");
        return Ok(());
    }
    let registry = Embedded::start().await?;
    let args = ["--registry", &registry.url(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let program = Program::spawn("selvedge-gateway", &args, &[])?;
    let address = address_after(&program, "gateway listens").await?;
    let first = served(&address).await?;
    let before = resident(&program)?;
    let mut idle = vec![first];
    while idle.len() < CLIENTS {
        let next = (0..50).map(|_| served(&address));
        idle.extend(futures::future::try_join_all(next).await.with_context(|| output(&program))?);
    }
    let each = resident(&program)?.saturating_sub(before) / idle.len();
    println!("{} idle connections: {each} bytes each", idle.len());
    ensure!(each < EACH, "{each} bytes for each connection");
    timeout(Duration::from_secs(30), served(&address)).await.context("another one was not served")??;
    drop(idle);
    served(&address).await?;
    Ok(())
}
