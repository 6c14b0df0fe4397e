//! Discovery against the real Consul: TLS, access control, and an agent that is killed and comes back empty.

mod child;
mod credentials;
mod many;
mod policy;
mod servers;
mod several;
mod snapshot;
mod soak;
mod traps;

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use selvedge::{Config, Instance, Instances, Mesh, Secret};
use selvedge_harness::{Consul, LIMIT, Program, eventually, free_ports};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub(crate) const TOKEN: &str = "5f9b1c54-8a1e-4d9d-9d0f-0b1f6a1f7c11";

pub(crate) fn mesh(service: &str, change: impl FnOnce(&mut Config)) -> Result<Mesh> {
    let mut config = Config::new(service);
    config.server.drain.propagation = Duration::from_millis(50);
    change(&mut config);
    Ok(Mesh::new(config)?)
}

/// Waits until what is followed is as it should be.
pub(crate) async fn until(
    followed: &mut watch::Receiver<Instances>,
    condition: impl Fn(&[Instance]) -> bool,
) -> Result<Vec<Instance>> {
    let known = |seen: &Instances| match seen {
        Instances::Known(list) => condition(list),
        Instances::Unknown => false,
    };
    let seen = timeout(LIMIT, followed.wait_for(known)).await.context("not in time")??;
    let Instances::Known(list) = &*seen else { unreachable!("that was waited for") };
    Ok(list.to_vec())
}

#[tokio::test]
async fn a_token_is_needed_where_access_is_denied_and_a_registration_heals() -> Result<()> {
    let Some(mut consul) = Consul::start_closed(TOKEN).await? else { return Ok(()) };
    let url = consul.url();
    let with_token = |config: &mut Config| {
        config.registry.address.clone_from(&url);
        config.registry.token = Some(Secret::new(TOKEN));
    };
    let stop = CancellationToken::new();
    let orders = mesh("orders", with_token)?;
    let serving = tokio::spawn(orders.serve(Routes::default()).until(stop.clone().cancelled_owned()).into_future());
    let (caller, stranger) =
        (mesh("caller", with_token)?, mesh("stranger", |config| config.registry.address.clone_from(&url))?);
    let mut followed = caller.instances("orders");
    let first = until(&mut followed, |list| list.len() == 1).await?;
    let mut strange = stranger.instances("orders");
    until(&mut strange, <[Instance]>::is_empty).await.context("without a token nothing is seen")?;

    // Killed, and back with nothing: it is registered again, and was never gone to those who call it.
    consul.kill().await?;
    consul.start_again().await?;
    eventually(LIMIT, async || {
        let services = reqwest::Client::new().get(format!("{url}/v1/agent/services")).header("X-Consul-Token", TOKEN);
        let known = services.send().await?.text().await?;
        ensure!(known.contains(&first[0].id), "not registered yet");
        Ok(())
    })
    .await?;
    let again = until(&mut followed, |list| {
        assert!(!list.is_empty(), "a restart empties no cluster");
        !list[0].last_resort
    })
    .await?;
    assert_eq!(first, again);

    stop.cancel();
    timeout(LIMIT, serving).await???;
    until(&mut followed, <[Instance]>::is_empty).await.context("a drain removes at once")?;
    Ok(())
}

#[tokio::test]
async fn over_tls_all_watches_share_one_connection() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    let folder = TempDir::new()?;
    let path = consul.path();
    certificates(path, folder.path())?;
    let ports = free_ports()?;
    let _agent = agent(path, folder.path(), ports)?;
    let [https, ..] = ports;
    let caller = mesh("caller", |config| {
        config.registry.address = format!("https://127.0.0.1:{https}");
        let file = |name: &str| Some(folder.path().join(name));
        config.registry.ca_cert = file("consul-agent-ca.pem");
        config.registry.client_cert = file("dc1-client-consul-0.pem");
        config.registry.client_key = file("dc1-client-consul-0-key.pem");
    })?;
    let mut followed: Vec<_> = (0..50).map(|number| caller.instances(&format!("s{number}"))).collect();
    let mut own = caller.instances("consul");
    until(&mut own, |list| list.len() == 1).await?;
    for one in &mut followed {
        until(one, <[Instance]>::is_empty).await?;
    }
    eventually(LIMIT, async || {
        let count = connections(https)?;
        ensure!(count == 1, "{count} connections");
        Ok(())
    })
    .await
}

/// Makes an authority, a certificate for an agent, and one for a client, in a folder.
pub(crate) fn certificates(consul: &Path, folder: &Path) -> Result<()> {
    let cert = |kind| ["tls", "cert", "create", kind, "-dc", "dc1"];
    for args in [&["tls", "ca", "create"][..], &cert("-server"), &cert("-client")] {
        let done = Command::new(consul).args(args).current_dir(folder).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// Starts an agent that speaks TLS alone.
pub(crate) fn agent(path: &Path, folder: &Path, ports: [u16; 3]) -> Result<Program> {
    let [https, serf, server] = ports;
    let file = |name: &str| folder.join(name).display().to_string();
    let tls = format!(
        "tls {{ defaults {{ ca_file = {:?} cert_file = {:?} key_file = {:?} }} https {{ verify_incoming = true }} }}",
        file("consul-agent-ca.pem"),
        file("dc1-server-consul-0.pem"),
        file("dc1-server-consul-0-key.pem"),
    );
    let listen = [format!("-https-port={https}"), format!("-serf-lan-port={serf}"), format!("-server-port={server}")];
    let mut args = vec!["agent", "-dev", "-node=n1", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn"];
    args.extend(listen.iter().map(String::as_str));
    args.extend(["-http-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-serf-wan-port=-1"]);
    args.extend(["-hcl", "disable_update_check = true", "-hcl", &tls]);
    Program::spawn(path, &args, &[])
}

/// Connections from this machine to a port of 127.0.0.1.
pub(crate) fn connections(port: u16) -> Result<usize> {
    let remote = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp")?;
    let to = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(2) == Some(&remote.as_str()) && fields.get(3) == Some(&"01")
    };
    Ok(table.lines().filter(to).count())
}
