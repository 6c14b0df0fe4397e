//! Churn: instances come, go, flap and change address, the agent restarts. Nothing leaks, and the final view is right.

use std::{collections::BTreeSet, env, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use selvedge::{Instances, Mesh};
use selvedge_harness::{Embedded, LIMIT, Program, eventually, free_port};
use serde_json::json;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::consul::{
    child::{self, Cost},
    mesh,
};

const SERVICES: usize = 4;
/// Servers that play the instances.
const SERVERS: usize = 6;
/// More than this: a leak in each round is told from what differs from one moment to another.
const ROUNDS: usize = 10;
/// Instances of a service when nothing is odd.
const STEADY: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn churn_leaks_nothing_and_the_final_view_is_right() -> Result<()> {
    if let Some(registry) = child::registry() {
        return calls_on(&registry).await;
    }
    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut world = World::start(&listen).await?;
    world.make_steady().await?;
    let test = "consul::soak::churn_leaks_nothing_and_the_final_view_is_right";
    let program = child::start(test, &world.registry.url())?;
    let steady = world.view();
    program.wait_for_line(|line| line.contains(&steady), LIMIT).await?;

    // What is kept for good is there after some rounds.
    let first = round(&mut world, &program).await?;
    let (until, mut rounds) = (Instant::now() + lasting(), 1);
    while Instant::now() < until {
        round(&mut world, &program).await?;
        rounds += 1;
    }
    ensure!(rounds > ROUNDS, "only {rounds} rounds: a leak in each would not be told from the usual");
    // How many questions are under way differs from one moment to another.
    let last = eventually(LIMIT, async || {
        let last = held(&world, &program, 0)?;
        ensure!(last.cost.memory < first.cost.memory + 20 * 1024, "memory grew from {first:?} to {last:?}");
        ensure!(last.cost.sockets < first.cost.sockets + ROUNDS, "sockets grew from {first:?} to {last:?}");
        ensure!(last.tasks < first.tasks + ROUNDS, "tasks grew from {first:?} to {last:?}");
        Ok(last)
    })
    .await?;
    println!("soak: {rounds} rounds, from {first:?} to {last:?}");
    Ok(())
}

/// Half a minute, or five where all tests are asked for.
fn lasting() -> Duration {
    let all = env::var("SELVEDGE_TEST_ALL").is_ok_and(|value| value == "1");
    Duration::from_secs(if all { 300 } else { 25 })
}

/// What the child held when all was steady.
#[derive(Clone, Copy, Debug)]
struct Held {
    cost: Cost,
    tasks: usize,
}

/// A while of churn, a restart of the agent in it, until all is steady again and seen so.
async fn round(world: &mut World, program: &Program) -> Result<Held> {
    for step in 0..30 {
        world.churn(step).await?;
    }
    world.restart().await?;
    for step in 0..10 {
        world.churn(step).await?;
    }
    world.make_steady().await?;
    let told = program.lines().len();
    // Connections that are given up and tasks that end take a moment.
    eventually(LIMIT, async || held(world, program, told)).await
}

/// What the child holds, once it said after so many lines that it sees what is there.
fn held(world: &World, program: &Program, told: usize) -> Result<Held> {
    let (lines, view) = (program.lines(), world.view());
    let line = lines.iter().skip(told).rev().find(|line| line.text.contains("tasks ")).context("nothing said")?;
    ensure!(line.text.contains(&view), "seen: {}, expected: {view}", line.text);
    let tasks = line.text.rsplit(' ').next().unwrap_or_default().parse()?;
    let cost = Cost::of(program)?;
    // Each instance has a connection, and the agent some.
    ensure!(cost.sockets <= SERVICES * STEADY + 16 + 4, "{} sockets", cost.sockets);
    Ok(Held { cost, tasks })
}

/// The agent, and servers that play the instances.
struct World {
    registry: Embedded,
    listen: String,
    servers: Vec<SocketAddr>,
    http: reqwest::Client,
    /// Which server plays which instance of a service.
    registered: BTreeSet<(usize, usize)>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl World {
    async fn start(listen: &str) -> Result<Self> {
        let (mut servers, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..SERVERS {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            servers.push(listener.local_addr()?);
            let (_, health) = tonic_health::server::health_reporter();
            let served = Server::builder().add_service(health).serve_with_incoming(TcpListenerStream::new(listener));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(async move { served.await.unwrap_or_default() })));
        }
        let (registry, http) = (Embedded::start_at(listen).await?, reqwest::Client::new());
        let (listen, registered) = (listen.to_owned(), BTreeSet::new());
        Ok(Self { registry, listen, servers, http, registered, _tasks: tasks })
    }

    /// What the child is to see.
    fn view(&self) -> String {
        let ports = |service: usize| {
            let of = self.registered.iter().filter(|(of, _)| *of == service);
            let ports: BTreeSet<_> = of.map(|&(_, at)| self.servers[at].port()).collect();
            format!("{ports:?}")
        };
        (0..SERVICES).map(ports).collect::<Vec<_>>().join(" ")
    }

    /// One change: an instance comes or goes, flaps, or changes its address.
    async fn churn(&mut self, step: usize) -> Result<()> {
        let (service, at) = (rand::random_range(0..SERVICES), rand::random_range(0..SERVERS));
        match step % 3 {
            0 if self.registered.contains(&(service, at)) => self.remove(service, at).await,
            0 => self.add(service, at).await,
            1 => {
                self.add(service, at).await?;
                self.put(&format!("service/maintenance/{}?enable=true", id(service, at)), "").await?;
                self.put(&format!("service/maintenance/{}?enable=false", id(service, at)), "").await
            }
            _ => {
                self.register(&id(service, at), service, self.servers[(at + 1) % SERVERS]).await?;
                self.add(service, at).await
            }
        }
    }

    /// Leaves each service its first instances, and no others.
    async fn make_steady(&mut self) -> Result<()> {
        for (service, at) in (0..SERVICES).flat_map(|service| (0..SERVERS).map(move |at| (service, at))) {
            if at < STEADY {
                self.add(service, at).await?;
            } else if self.registered.contains(&(service, at)) {
                self.remove(service, at).await?;
            }
        }
        Ok(())
    }

    /// The agent is killed, and comes back empty; who was registered registers again.
    async fn restart(&mut self) -> Result<()> {
        self.registry.program().kill().await?;
        self.registry = Embedded::start_at(&self.listen).await?;
        for (service, at) in self.registered.clone() {
            self.add(service, at).await?;
        }
        Ok(())
    }

    async fn add(&mut self, service: usize, at: usize) -> Result<()> {
        self.registered.insert((service, at));
        self.register(&id(service, at), service, self.servers[at]).await
    }

    async fn remove(&mut self, service: usize, at: usize) -> Result<()> {
        self.registered.remove(&(service, at));
        self.put(&format!("service/deregister/{}", id(service, at)), "").await
    }

    async fn register(&self, id: &str, service: usize, address: SocketAddr) -> Result<()> {
        let name = format!("s{service}");
        let body = json!({"ID": id, "Name": name, "Address": address.ip().to_string(), "Port": address.port()});
        self.put("service/register", &body.to_string()).await
    }

    async fn put(&self, path: &str, body: &str) -> Result<()> {
        let url = format!("{}/v1/agent/{path}", self.registry.url());
        let answer = self.http.put(url).body(body.to_owned()).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{path}: {status}: {text}");
        Ok(())
    }
}

fn id(service: usize, at: usize) -> String {
    format!("s{service}-{at}")
}

/// The part of the process that is measured: it calls all services, and says what it sees.
async fn calls_on(registry: &str) -> Result<()> {
    let mesh = mesh("caller", |config| config.registry.address = registry.into())?;
    let _callers: Vec<_> = (0..SERVICES)
        .map(|service| AbortOnDropHandle::new(tokio::spawn(call(mesh.clone(), format!("s{service}")))))
        .collect();
    let followed: Vec<_> = (0..SERVICES).map(|service| mesh.instances(&format!("s{service}"))).collect();
    loop {
        let views: Vec<_> = followed.iter().map(|one| seen(&one.borrow())).collect();
        println!("{} tasks {}", views.join(" "), Handle::current().metrics().num_alive_tasks());
        sleep(Duration::from_millis(100)).await;
    }
}

fn seen(instances: &Instances) -> String {
    let Instances::Known(list) = instances else { return "nothing".into() };
    let ports: BTreeSet<_> = list.iter().filter(|one| !one.last_resort).map(|one| one.port).collect();
    format!("{ports:?}")
}

/// Calls without end; whether a call succeeds while all changes is not what is looked at here.
async fn call(mesh: Mesh, service: String) {
    let mut client = HealthClient::new(mesh.channel(&service));
    loop {
        let _ = client.check(HealthCheckRequest::default()).await;
        sleep(Duration::from_millis(2)).await;
    }
}
