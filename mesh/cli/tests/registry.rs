//! `selvedge registry` as its users start and end it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

fn start(listen: &str) -> anyhow::Result<Child> {
    start_with(listen, &[])
}

fn start_with(listen: &str, options: &[&str]) -> anyhow::Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    command.args(["registry", "--listen", listen]).args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Returns the address in the one line that it prints.
fn address(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(line.contains("for one machine") && line.contains("Consul"), "{line}");
    let (_, rest) = line.split_once("http://").context("no address")?;
    Ok(rest.split(',').next().unwrap_or_default().parse()?)
}

fn ask(address: SocketAddr, request: &str) -> anyhow::Result<TcpStream> {
    send(address, "GET", request, "")
}

fn send(address: SocketAddr, method: &str, path: &str, rest: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{rest}\r\n").as_bytes())?;
    Ok(stream)
}

fn answer(mut stream: TcpStream) -> anyhow::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn both_signals_end_it_well_even_while_somebody_waits() -> anyhow::Result<()> {
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = start("127.0.0.1:0")?;
        let address = address(&mut child)?;
        let leader = answer(ask(address, "/v1/status/leader")?)?;
        assert!(leader.starts_with("HTTP/1.1 200 OK"), "{leader}");
        let _waiting = ask(address, "/v1/catalog/services?index=9999999999999&wait=10m")?;
        kill_process(Pid::from_child(&child), signal)?;
        assert!(child.wait()?.success(), "{signal:?}");
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_one_line_that_says_what_to_do() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let output = start(&address.to_string())?.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr)?;
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&format!("cannot listen on {address}: in use; ")), "{text}");
    Ok(())
}

#[test]
fn what_was_answered_is_there_after_a_kill() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().context("a path that is no text")?;
    let options = ["--data-dir", path];
    for round in 0..3 {
        let mut child = start_with("127.0.0.1:0", &options)?;
        let address = address(&mut child)?;
        for earlier in 0..round {
            let text = answer(ask(address, &format!("/v1/kv/key-{earlier}?raw"))?)?;
            assert!(text.ends_with("value"), "{round} {text}");
        }
        let text = answer(send(address, "PUT", &format!("/v1/kv/key-{round}"), "content-length: 5\r\n\r\nvalue")?)?;
        assert!(text.ends_with("true"), "{text}");
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

#[test]
fn a_token_closes_it_and_is_not_printed() -> anyhow::Result<()> {
    let mut child = start_with("127.0.0.1:0", &["--token", "s3cret"])?;
    let address = address(&mut child)?;
    let refused = answer(ask(address, "/v1/kv/x")?)?;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    let read = answer(send(address, "GET", "/v1/agent/self", "x-consul-token: s3cret\r\n")?)?;
    assert!(read.starts_with("HTTP/1.1 200 ") && !read.contains("s3cret"), "{read}");
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    let output = child.wait_with_output()?;
    assert!(!String::from_utf8(output.stderr)?.contains("s3cret"));
    Ok(())
}

#[test]
fn faults_are_there_only_where_they_were_asked_for() -> anyhow::Result<()> {
    for (options, status) in [(&[][..], "404"), (&["--faults"], "200")] {
        let mut child = start_with("127.0.0.1:0", options)?;
        let address = address(&mut child)?;
        let list = answer(ask(address, "/__dev/")?)?;
        assert!(list.starts_with(&format!("HTTP/1.1 {status} ")), "{options:?}: {list}");
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}
