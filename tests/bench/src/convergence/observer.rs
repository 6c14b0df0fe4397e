//! A mesh in a process of its own, which tells what it sees: what that costs can be measured from outside.

use std::{fs, future, process::Stdio, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use selvedge::{Instances, Mesh};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{Instant, interval, timeout},
};

use crate::{
    convergence::{calls, plan::LIMIT, samples::number},
    echo::pb::{EchoRequest, echo_service_client::EchoServiceClient},
};

/// The service of very many instances.
pub(crate) const CROWD: &str = "crowd";

/// A mesh in a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) process: u32,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Observer {
    /// Starts one that tells how many instances the crowd has, or, with `services`, how many services it has in view.
    pub(crate) async fn start(registry: &str, services: Option<usize>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["observe", "--registry", registry]);
        if let Some(services) = services {
            command.arg("--services").arg(services.to_string());
        }
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let process = child.id().context("the observer ended")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines(), _child: child })
    }

    /// Waits until it sees so many; returns when it did.
    pub(crate) async fn until(&mut self, wanted: usize) -> anyhow::Result<Instant> {
        let look = async {
            loop {
                let line = self.lines.next_line().await?.context("the observer ended")?;
                if line.parse() == Ok(wanted) {
                    return anyhow::Ok(Instant::now());
                }
            }
        };
        timeout(LIMIT, look).await.with_context(|| format!("the observer never saw {wanted}"))?
    }

    /// Returns the memory that it holds, in MiB (`VmRSS` of proc(5)).
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(number(line.trim().trim_end_matches(" kB").parse()?) / 1024.0)
    }
}

/// Tells what it sees until it is killed.
pub(crate) async fn observe(registry: &str, services: Option<usize>) -> anyhow::Result<()> {
    let mesh = calls::mesh(registry)?;
    match services {
        Some(services) => all_in_view(&mesh, services).await,
        None => crowd(&mesh).await,
    }
}

/// Returns the name of one of very many services.
pub(crate) fn service(number: usize) -> String {
    format!("quiet-{number}")
}

/// Prints how many services there are once all of them have instances, and follows them.
async fn all_in_view(mesh: &Mesh, services: usize) -> anyhow::Result<()> {
    let mut followed: Vec<_> = (0..services).map(|number| mesh.instances(&service(number))).collect();
    for one in &mut followed {
        one.wait_for(|seen| matches!(seen, Instances::Known(list) if !list.is_empty())).await?;
    }
    println!("{services}");
    future::pending().await
}

/// Prints how many instances there are whenever that changes, and calls now and then.
async fn crowd(mesh: &Mesh) -> anyhow::Result<()> {
    let mut client = EchoServiceClient::new(mesh.channel(CROWD));
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            drop(client.echo(EchoRequest { payload: Bytes::new() }).await);
        }
    });
    let mut instances = mesh.instances(CROWD);
    loop {
        let count = match &*instances.borrow_and_update() {
            Instances::Unknown => 0,
            Instances::Known(list) => list.len(),
        };
        println!("{count}");
        instances.changed().await?;
    }
}
