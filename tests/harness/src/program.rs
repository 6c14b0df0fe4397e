//! One program started by a test: its output, its signals, its end.

use std::{
    env,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    output::{Line, Output, Stream},
    tools,
};

/// How long the streams of a program that ended may take to end.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: Output,
}

impl Program {
    /// Starts a program: a name of this workspace (`"selvedge-users"`), or a path.
    ///
    /// It inherits the environment without `SELVEDGE_*`, `CONSUL_*` and `RUST_LOG`, so that a test acts the same everywhere.
    ///
    /// # Errors
    ///
    /// If it was not built, or cannot be started.
    pub fn spawn(program: impl AsRef<Path>, args: &[&str], envs: &[(&str, &str)]) -> Result<Self> {
        let path = locate(program.as_ref())?;
        let mut command = Command::new(&path);
        command.args(args);
        for (name, _) in env::vars_os().filter(|(name, _)| is_a_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.envs(envs.iter().copied());
        Self::start(command)
    }

    /// Starts a command as it is, with its output captured.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        // The tasks end with the streams.
        let (output, _tasks) = Output::read(stdout, stderr);
        Ok(Self { name, child, output })
    }

    /// Waits for a line on either stream, looking at those already printed first; returns it.
    ///
    /// # Errors
    ///
    /// If `limit` passes or the program ends without it; the error shows the last lines.
    pub async fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Result<String> {
        self.output.wait_for(wanted, limit).await.with_context(|| format!("waiting for a line of {}", self.name))
    }

    /// Returns the lines printed so far on both streams, in the order of their arrival.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.output.lines()
    }

    /// Returns what was printed so far on standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.printed(Stream::Stdout)
    }

    /// Returns what was printed so far on standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.printed(Stream::Stderr)
    }

    /// Returns the process id, or none if the program ended and was waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the program to end (SIGTERM).
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Does what Ctrl-C does (SIGINT).
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Freezes the program (SIGSTOP): it keeps its connections and says nothing more.
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen program go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends the program at once (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it cannot be signalled.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// Waits for the end of the program, and for the last of its output.
    ///
    /// # Errors
    ///
    /// If it still runs after `limit`; the error shows the last lines.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = async {
            let status = self.child.wait().await;
            // What it left running may hold its streams open: then they do not end with it.
            drop(timeout(LAST_OUTPUT, self.output.ended()).await);
            status
        };
        match timeout(limit, ended).await {
            Ok(status) => status.with_context(|| format!("cannot wait for {}", self.name)),
            Err(_) => bail!("{} has not ended within {limit:?}; {}", self.name, self.output.tail()),
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.with_context(|| format!("{} has ended", self.name))?;
        kill_process(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    fn printed(&self, stream: Stream) -> String {
        let lines = self.output.lines().into_iter().filter(|line| line.stream == stream);
        lines.fold(String::new(), |text, line| text + &line.text + "\n")
    }
}

/// A bare name is one of our programs; anything else is a path.
fn locate(program: &Path) -> Result<PathBuf> {
    match program.to_str() {
        Some(name) if !name.contains('/') => tools::binary(name),
        _ => Ok(program.to_owned()),
    }
}

/// Tells what would change how our programs or Consul act.
fn is_a_setting(name: &str) -> bool {
    name == "RUST_LOG" || name.starts_with("SELVEDGE_") || name.starts_with("CONSUL_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LIMIT;

    fn shell(script: &str) -> Program {
        Program::spawn("/bin/sh", &["-c", script], &[("GREETING", "hello")]).unwrap()
    }

    #[tokio::test]
    async fn both_streams_are_captured() {
        let mut program = shell("echo $GREETING; echo problem >&2; exit 3");
        assert_eq!(program.wait(LIMIT).await.unwrap().code(), Some(3));
        assert_eq!((program.stdout().as_str(), program.stderr().as_str()), ("hello\n", "problem\n"));
        assert_eq!(program.lines().len(), 2);
    }

    #[tokio::test]
    async fn a_line_is_found_before_and_after_it_is_printed() {
        let program = shell("echo one; read line; echo two; exec sleep 600");
        for _ in 0..2 {
            assert_eq!(program.wait_for_line(|line| line == "one", LIMIT).await.unwrap(), "one");
        }
        assert_eq!(program.wait_for_line(|line| line == "two", LIMIT).await.unwrap(), "two");
    }

    #[tokio::test]
    async fn a_program_that_ends_without_the_line_is_told_from_a_slow_one() {
        let error = shell("echo other").wait_for_line(|line| line == "one", LIMIT).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("ended without the line") && text.contains("other"), "{text}");
    }

    #[tokio::test]
    async fn sigterm_reaches_the_program() {
        let mut program = shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done");
        program.wait_for_line(|line| line == "up", LIMIT).await.unwrap();
        program.terminate().unwrap();
        assert_eq!(program.wait(LIMIT).await.unwrap().code(), Some(7));
        assert_eq!(program.stdout(), "up\nbye\n");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_does_not_hold_up_its_end() {
        let mut program = shell("sleep 20 & echo $!; exit 5");
        assert_eq!(program.wait(LIMIT).await.unwrap().code(), Some(5));
        let left = program.stdout().trim().parse().ok().and_then(Pid::from_raw).unwrap();
        kill_process(left, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_killed_program_cannot_be_signalled() {
        let mut program = shell("exec sleep 600");
        program.kill().await.unwrap();
        assert!(program.id().is_none());
        assert!(program.terminate().unwrap_err().to_string().contains("has ended"));
    }

    #[test]
    fn settings_of_ours_and_of_consul_are_not_inherited() {
        assert!(is_a_setting("SELVEDGE_REGISTRY") && is_a_setting("CONSUL_HTTP_TOKEN") && is_a_setting("RUST_LOG"));
        assert!(!is_a_setting("PATH"));
    }
}
