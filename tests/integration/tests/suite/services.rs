//! The service programs: how they start, what they tell the registry, how they end.

use anyhow::ensure;
use selvedge_harness::{Embedded, LIMIT, Program, eventually};
use selvedge_proto::users::v1::GetUserRequest;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    instance::{Instance, address_after, users},
    late,
    stack::output,
};

const IN_MEMORY: &str = "sqlite::memory:";

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_open_one_empty_database_at_once_both_come_up() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let data = TempDir::new()?;
    // Without the lock, two of them fail about every other time.
    for round in 0..4 {
        let database = format!("sqlite://{}/{round}/users.db", data.path().display());
        let (one, other) = (users(&registry.url(), &database)?, users(&registry.url(), &database)?);
        let (one, other) = (Instance::ready(one).await?, Instance::ready(other).await?);
        let created = one.client().await?.create_user(late::creation("ada-1815")).await?.into_inner();
        let read = other.client().await?.get_user(GetUserRequest { name: "users/ada-1815".into() }).await?.into_inner();
        assert_eq!(read, created);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_at_sigterm_succeeds_and_the_process_ends_well() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let mut users = Instance::ready(users(&registry.url(), IN_MEMORY)?).await?;
    let (send, sent) = oneshot::channel::<()>();
    let call = tokio::spawn(late::create(users.connect().await?, "ada-1815", sent));
    eventually(LIMIT, async || {
        ensure!(users.asked().await? == 1, "the call has not arrived");
        Ok(())
    })
    .await?;

    users.program.terminate()?;
    eventually(LIMIT, async || {
        ensure!(TcpStream::connect(&users.address).await.is_err(), "it still accepts connections");
        Ok(())
    })
    .await?;
    assert!(send.send(()).is_ok(), "the call was given up: {}", output(&users.program));
    call.await??;

    let ended = users.program.wait(LIMIT).await?;
    assert_eq!(ended.code(), Some(0), "{}", output(&users.program));
    assert_eq!(registered(&registry, "users").await?, [], "it left its registration behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_advertised_stands_in_the_registry() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    for (advertised, host, port) in
        [("10.9.8.7", "10.9.8.7", None), ("users.example:7001", "users.example", Some(7001))]
    {
        let args = ["--registry", &registry.url(), "--database", IN_MEMORY, "--advertise", advertised];
        let users = Instance::ready(Program::spawn("selvedge-users", &args, &[])?).await?;
        let listening = users.address.rsplit(':').next().and_then(|port| port.parse().ok());
        let expected = (host.to_owned(), port.or(listening).unwrap_or_default());
        // Healthy or not: the registry cannot reach what is advertised here.
        let found = registered(&registry, "users").await?;
        assert!(found.contains(&expected), "{advertised}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn consuls_own_variable_names_the_registry_and_an_option_goes_before_it() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let address = registry.url().replace("http://", "");
    let here = [("CONSUL_HTTP_ADDR", address.as_str())];
    let args = ["--database", IN_MEMORY];
    let _catalog = Instance::ready(Program::spawn("selvedge-catalog", &args, &here)?).await?;
    assert_eq!(registered(&registry, "catalog?passing").await?.len(), 1);

    // Nobody listens on port 1.
    let nowhere = [("CONSUL_HTTP_ADDR", "127.0.0.1:1")];
    let args = ["--registry", &registry.url(), "--database", IN_MEMORY];
    let _users = Instance::ready(Program::spawn("selvedge-users", &args, &nowhere)?).await?;
    assert_eq!(registered(&registry, "users?passing").await?.len(), 1);

    let args = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let gateway = Program::spawn("selvedge-gateway", &args, &here)?;
    let url = format!("http://{}/v1/users", address_after(&gateway, "gateway listens").await?);
    eventually(LIMIT, async || Ok(reqwest::get(&url).await?.error_for_status().map(drop)?)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_option_is_one_line_and_exit_code_1() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let taken = taken.local_addr()?.to_string();
    let of_all = [
        ("--listen", "nowhere"),
        ("--listen", &taken),
        ("--admin-listen", "1.2.3.4"),
        ("--admin-listen", &taken),
        ("--registry", "ftp://127.0.0.1"),
        ("--log-format", "xml"),
        ("--colour", "red"),
    ];
    let of_services = [
        ("--database", "users.db"),
        ("--database", "postgres://localhost:many/users"),
        ("--log", "very=loud=noise"),
        ("--advertise", "a:b:c"),
    ];
    for program in ["selvedge-users", "selvedge-catalog"] {
        for (option, value) in of_all.iter().chain(&of_services) {
            is_refused(program, option, value).await?;
        }
    }
    for (option, value) in of_all {
        is_refused("selvedge-gateway", option, value).await?;
    }
    Ok(())
}

/// Runs a program with one bad option beside good ones: it must name it, or what it was given.
async fn is_refused(program: &str, option: &str, value: &str) -> anyhow::Result<()> {
    let mut args = vec![option, value];
    let good = [("--admin-listen", "127.0.0.1:0"), ("--database", IN_MEMORY), ("--registry", "http://127.0.0.1:1")];
    for (name, usual) in good {
        if name != option && !(program == "selvedge-gateway" && name == "--database") {
            args.extend([name, usual]);
        }
    }
    // What happens before the refusal is no part of it.
    let mut run = Program::spawn(program, &args, &[("SELVEDGE_LOG", "error")])?;
    let ended = run.wait(LIMIT).await?;
    let (said, case) = (run.stderr(), format!("{program} {option} {value}"));
    assert_eq!(ended.code(), Some(1), "{case}: {said}");
    assert_eq!((said.lines().count(), run.stdout().as_str()), (1, ""), "{case}: {said}");
    assert!(said.contains(option.trim_start_matches('-')) || said.contains(value), "{case}: {said}");
    Ok(())
}

/// The hosts and ports of the instances of a service in the registry; `service` may go on with a query.
async fn registered(registry: &Embedded, service: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let url = format!("{}/v1/health/service/{service}", registry.url());
    let found: Vec<Value> = reqwest::get(url).await?.error_for_status()?.json().await?;
    let place = |entry: &Value| {
        let service = &entry["Service"];
        (service["Address"].as_str().unwrap_or_default().to_owned(), service["Port"].as_u64().unwrap_or_default())
    };
    Ok(found.iter().map(place).collect())
}
