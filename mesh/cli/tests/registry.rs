//! `selvedge registry` as its users start and end it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

fn start(listen: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    command.args(["registry", "--listen", listen]).stdout(Stdio::piped()).stderr(Stdio::piped());
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
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())?;
    Ok(stream)
}

#[test]
fn both_signals_end_it_well_even_while_somebody_waits() -> anyhow::Result<()> {
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = start("127.0.0.1:0")?;
        let address = address(&mut child)?;
        let mut leader = String::new();
        ask(address, "/v1/status/leader")?.read_to_string(&mut leader)?;
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
