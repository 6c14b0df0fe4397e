//! `cargo run`: its options, what it keeps, how it ends, and how it refuses to start.

use selvedge_harness::{LIMIT, Program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::stack::{Stack, output, path};

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_restart_and_the_end_drains_in_order() -> anyhow::Result<()> {
    let data = TempDir::new()?;
    let args = ["--registry-listen", "127.0.0.1:0", "--data-dir", path(&data), "--instances", "1"];
    let http = reqwest::Client::new();

    let mut first = Stack::start(&args).await?;
    assert_eq!(first.users.len(), 1);
    let user = json!({"display_name": "Ada", "email": "ada@example.com"});
    let url = format!("{}/v1/users?user_id=ada-1815", first.gateway);
    http.post(url).json(&user).send().await?.error_for_status()?;
    first.program.interrupt()?;
    assert!(first.program.wait(LIMIT).await?.success(), "{}", first.output());

    let second = Stack::start(&args).await?;
    let read: Value = http.get(format!("{}/v1/users/ada-1815", second.gateway)).send().await?.json().await?;
    assert_eq!(read["email"], "ada@example.com");
    Ok(())
}

/// Runs the program, which must refuse to start, and returns what it says.
async fn refusal(args: &[&str]) -> anyhow::Result<String> {
    let free = ["--gateway-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0"];
    // clap takes an option once: the case's own value stands in place of the free port.
    let kept: Vec<&str> = free.chunks(2).filter(|pair| !args.contains(&pair[0])).flatten().copied().collect();
    let data = TempDir::new()?;
    let data_dir = ["--data-dir", path(&data)];
    let mut program = Program::spawn("selvedge-local", &[&kept[..], &data_dir[..], args].concat(), &[])?;
    let status = program.wait(LIMIT).await?;
    assert!(!status.success(), "it started with {args:?}");
    Ok(output(&program))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_what_to_do() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    for option in ["--registry-listen", "--gateway-listen", "--admin-listen"] {
        let said = refusal(&[option, &address]).await?;
        assert!(said.contains(&address), "{option}: {said}");
    }
    let said = refusal(&["--registry-listen", &address]).await?;
    assert!(said.contains("--registry http://"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consul_that_is_not_there_and_a_bad_url_are_named() -> anyhow::Result<()> {
    let port = selvedge_harness::free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let said = refusal(&["--registry", &url]).await?;
    assert!(said.contains(&url) && said.contains("consul agent -dev"), "{said}");
    let said = refusal(&["--registry", "ftp://127.0.0.1"]).await?;
    assert!(said.contains("--registry") && said.contains("ftp"), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    Ok(())
}
