//! The tour in README.md runs as written.

use std::{fs, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use selvedge_harness::{Grpcurl, LIMIT, Program, repository};
use tempfile::TempDir;
use tokio::process::Command;

/// `cargo run` may have to build first.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_run_as_written() -> anyhow::Result<()> {
    let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
    let text = fs::read_to_string(repository().join("README.md"))?;
    let blocks = blocks(&text);
    let (first, tour) = blocks.split_first().context("README.md has no fenced sh block")?;
    assert_eq!(first.trim(), "cargo run");
    assert!(tour.len() > 5, "only {} blocks", tour.len());

    let data = TempDir::new()?;
    let mut stack = Program::start(shell(first, &grpcurl, &data)?)?;
    stack.wait_for_line(|line| line.starts_with("ready in "), BUILD_LIMIT).await?;
    for block in tour {
        let block_ends = shell(block, &grpcurl, &data)?.stdin(Stdio::null()).output();
        let output =
            tokio::time::timeout(BUILD_LIMIT, block_ends).await.with_context(|| format!("hangs:\n{block}"))??;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{}:\n{block}\n{said}\n{}", output.status, crate::stack::output(&stack));
    }
    stack.interrupt()?;
    stack.wait(LIMIT).await?;
    Ok(())
}

/// A shell in the repository, with a data folder of its own and grpcurl on its path.
fn shell(block: &str, grpcurl: &Grpcurl, data: &TempDir) -> anyhow::Result<Command> {
    let tools = grpcurl.path().parent().context("grpcurl has no folder")?;
    let path = std::env::var("PATH")?;
    let mut command = Command::new("bash");
    // `exec` where it is one command, so that signals reach the command and not the shell.
    let script = if block.lines().count() == 1 { format!("exec {block}") } else { block.to_owned() };
    command
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(repository())
        .env("XDG_DATA_HOME", data.path())
        .env("PATH", format!("{}:{path}", tools.display()))
        .kill_on_drop(true);
    Ok(command)
}

/// The blocks fenced as `sh`, in order.
fn blocks(text: &str) -> Vec<String> {
    let parts = text.split("\n```");
    parts.filter_map(|part| part.strip_prefix("sh\n")).map(str::to_owned).collect()
}
