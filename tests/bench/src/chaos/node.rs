//! One server process, and what can be done to it.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::chaos::subject::Conduct;

/// A server in a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts one, and waits until it is registered.
    pub(crate) async fn start(registry: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["chaos-server", "--registry", registry])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let commands = child.stdin.take().context("standard input is piped")?;
        let answers = BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
        let mut node = Self { child, commands, answers };
        node.answer().await?;
        Ok(node)
    }

    /// Makes it conduct itself in a way, from now on.
    pub(crate) async fn conduct(&mut self, conduct: Conduct) -> anyhow::Result<()> {
        let answer = self.command(conduct.word()).await?;
        ensure!(answer == conduct.word(), "the server says {answer:?}");
        Ok(())
    }

    /// Returns how many calls arrived there.
    pub(crate) async fn attempts(&mut self) -> anyhow::Result<u64> {
        Ok(self.command("count").await?.parse()?)
    }

    /// Stops it where it stands: connections stay, and nothing answers.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.id()?, Signal::STOP)?)
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.id()?, Signal::CONT)?)
    }

    fn id(&self) -> anyhow::Result<Pid> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw).context("the server ended")
    }

    async fn command(&mut self, command: &str) -> anyhow::Result<String> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<String> {
        self.answers.next_line().await?.context("the server ended")
    }
}
