//! The `consul` command works with the embedded registry as with a Consul: what it prints is compared.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use selvedge_harness::Consul;
use tempfile::tempdir;
use tokio::process::Command;

use crate::contract::{normal::normal, side::Side};

/// A registration as the command reads it from a file.
const WEB: &str =
    r#"{"service":{"name":"web","id":"web-1","port":80,"tags":["x"],"meta":{"v":"1"},"check":{"ttl":"60s"}}}"#;

/// What is run, word by word; `{file}` stands for that file.
const COMMANDS: &[&[&str]] = &[
    &["catalog", "datacenters"],
    &["catalog", "services"],
    &["services", "register", "{file}"],
    &["services", "register", "-name=other", "-port=9", "-tag=a", "-meta=k=v", "-address=10.0.0.2"],
    &["catalog", "services", "-tags"],
    &["catalog", "services", "-node-meta=none=x"],
    &["catalog", "nodes"],
    &["catalog", "nodes", "-service=none"],
    &["catalog", "nodes", "-filter=Node == none"],
    &["services", "deregister", "-id=none"],
    &["watch", "-type=services"],
    &["watch", "-type=nodes"],
    &["watch", "-type=service", "-service=web"],
    &["watch", "-type=service", "-service=web", "-passingonly=true"],
    &["watch", "-type=checks", "-state=critical"],
    &["watch", "-type=checks", "-service=web"],
    &["maint"],
    &["maint", "-enable", "-service=web-1", "-reason=drain"],
    &["maint"],
    &["maint", "-disable", "-service=web-1"],
    &["maint", "-enable", "-reason=all"],
    &["maint", "-disable"],
    &["maint", "-enable", "-service=none"],
    &["services", "deregister", "{file}"],
    &["services", "deregister", "-id=other"],
    &["catalog", "services"],
    &["kv", "put", "a/b", "one"],
    &["kv", "put", "-flags=3", "a/c", "two"],
    &["kv", "put", "-cas", "-modify-index=1", "a/b", "three"],
    &["kv", "get", "a/b"],
    &["kv", "get", "-base64", "a/b"],
    &["kv", "get", "-detailed", "a/c"],
    &["kv", "get", "none"],
    &["watch", "-type=key", "-key=a/b"],
    &["watch", "-type=keyprefix", "-prefix=a"],
    &["kv", "get", "-recurse", "a"],
    &["kv", "get", "-keys", "-separator=/", ""],
    &["kv", "export"],
    &["kv", "import", r#"[{"key":"imported","flags":0,"value":"aGVsbG8="}]"#],
    &["kv", "export", "i"],
    &["kv", "delete", "a/b"],
    &["kv", "delete", "-recurse", "a"],
    &["kv", "get", "-keys", ""],
    &["acl", "bootstrap"],
    &["acl", "token", "list"],
    &["acl", "token", "read", "-self"],
    &["login", "-type=jwt", "-method=none", "-bearer-token-file={file}", "-token-sink-file={file}.token"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consul_command_works_with_both() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    let real = Side::real(&consul.url(), None).await?;
    let embedded = Side::embedded(None).await?;
    let folder = tempdir()?;
    let file = folder.path().join("web.json");
    std::fs::write(&file, WEB)?;
    let mut differences = Vec::new();
    for words in COMMANDS {
        let ours = run(consul.path(), &embedded, words, &file).await?;
        let theirs = run(consul.path(), &real, words, &file).await?;
        if ours != theirs {
            differences.push(format!("consul {}\n- {ours}\n+ {theirs}", words.join(" ")));
        }
    }
    ensure!(differences.is_empty(), "{} outputs differ\n\n{}", differences.len(), differences.join("\n\n"));
    Ok(())
}

/// Runs a command; returns how it ended, and what it printed.
async fn run(program: &Path, side: &Side, words: &[&str], file: &Path) -> Result<String> {
    let file = file.to_str().context("a path that is no text")?;
    let words = words.iter().map(|word| word.replace("{file}", file));
    let mut command = Command::new(program);
    command.args(words).env_clear().env("CONSUL_HTTP_ADDR", side.address());
    let output = command.output().await?;
    side.synced().await?;
    let (printed, failed) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let printed = match serde_json::from_str(&printed) {
        Ok(json) => format!("{:#}", normal(json, side.address())),
        Err(_) => printed.lines().map(own_replaced).collect::<Vec<_>>().join("\n"),
    };
    let printed = format!("{printed}\n{failed}").replace(side.address(), "OWN").replace(file, "FILE");
    Ok(format!("{}\n{printed}", output.status))
}

/// Replaces what is each side's own in a line of a table: an index, the first part of the id of a node.
fn own_replaced(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let is_id = word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
        if is_id || line.contains("Index") && word.parse::<u64>().is_ok() { "own" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}
