//! Calls at a steady pace while instances are slow, fail, freeze and come back (`cargo xtask bench chaos`).

mod load;
mod node;
mod report;
pub(crate) mod subject;

use std::time::Duration;

use selvedge::{CallOptions, Channel, Config, Mesh};
use selvedge_registry::Registry;
use tokio::time::{Instant, sleep};

use crate::{
    chaos::{
        load::Load,
        node::Node,
        report::{Report, Seen},
        subject::{Conduct, SERVICE},
    },
    echo::DESCRIPTORS,
};

/// Server processes.
const NODES: usize = 10;
/// The share of what they can do that is asked of them.
const SHARE: f64 = 0.3;
/// How long a call waits in all, and each attempt.
const DEADLINE: Duration = Duration::from_secs(3);
const PER_TRY: Duration = Duration::from_millis(500);
/// How long calls go on before anything is noted.
const WARM_UP: Duration = Duration::from_secs(3);

/// One part of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    trouble: Trouble,
}

/// What is done to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// One conducts itself like this.
    One(Conduct),
    /// One is stopped (SIGSTOP).
    Frozen,
    /// All conduct themselves like this.
    All(Conduct),
}

const PHASES: [Phase; 6] = [
    Phase { name: "healthy", trouble: Trouble::None },
    Phase { name: "one_slow", trouble: Trouble::One(Conduct::Slow) },
    Phase { name: "one_failing", trouble: Trouble::One(Conduct::Failing) },
    Phase { name: "one_frozen", trouble: Trouble::Frozen },
    Phase { name: "all_failing", trouble: Trouble::All(Conduct::Failing) },
    Phase { name: "all_back", trouble: Trouble::None },
];

/// Runs all phases, each for so long, prints what they came to, and writes `target/bench/chaos.json`.
pub(crate) async fn run(span: Duration) -> anyhow::Result<()> {
    let config = selvedge_registry::Config { listen: "127.0.0.1:0".parse()?, ..selvedge_registry::Config::default() };
    let registry = Registry::bind(config).await?;
    let url = format!("http://{}", registry.local_addr());
    let serving = tokio::spawn(registry.run(std::future::pending()));
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(Node::start(&url).await?);
    }
    let mut config = Config::new("chaos");
    config.registry.address = url;
    let mesh = Mesh::builder(config).upstream_descriptors(DESCRIPTORS).build()?;
    let rate = subject::capacity() * NODES as f64 * SHARE;
    println!("{NODES} servers, {rate:.0} calls a second, {} s each phase", span.as_secs());
    let load = Load { channel: mesh.channel(SERVICE), options: options(), rate };
    load.run(WARM_UP).await?;
    let mut report = Report::default();
    for phase in PHASES {
        eprintln!("{}", phase.name);
        report.add(run_phase(phase, &load, &mut nodes, span).await?);
    }
    serving.abort();
    report.print();
    report.write()
}

fn options() -> CallOptions {
    let mut options = CallOptions::default();
    (options.policy.deadline, options.policy.per_try_timeout) = (Some(DEADLINE), Some(PER_TRY));
    options
}

/// Brings the trouble about, calls, and ends the trouble.
async fn run_phase(phase: Phase, load: &Load<Channel>, nodes: &mut [Node], span: Duration) -> anyhow::Result<Seen> {
    let before = count(nodes).await?;
    begin(phase.trouble, nodes).await?;
    let began = Instant::now();
    let calls = load.run(span).await?;
    let took = began.elapsed();
    end(phase.trouble, nodes).await?;
    let attempts = count(nodes).await? - before;
    // What is out because of this phase comes back in before the next; but how soon all come back is what the last tells.
    if matches!(phase.trouble, Trouble::One(_) | Trouble::Frozen) {
        load.run(span).await?;
    }
    Ok(Seen { phase: phase.name, calls, attempts, took })
}

async fn begin(trouble: Trouble, nodes: &mut [Node]) -> anyhow::Result<()> {
    match trouble {
        Trouble::None => Ok(()),
        Trouble::One(conduct) => nodes[0].conduct(conduct).await,
        Trouble::Frozen => nodes[0].freeze(),
        Trouble::All(conduct) => all(nodes, conduct).await,
    }
}

async fn end(trouble: Trouble, nodes: &mut [Node]) -> anyhow::Result<()> {
    match trouble {
        Trouble::None => Ok(()),
        Trouble::Frozen => {
            nodes[0].thaw()?;
            // What waited in its sockets arrives now.
            sleep(PER_TRY).await;
            Ok(())
        }
        Trouble::One(_) | Trouble::All(_) => all(nodes, Conduct::Good).await,
    }
}

async fn all(nodes: &mut [Node], conduct: Conduct) -> anyhow::Result<()> {
    for node in nodes {
        node.conduct(conduct).await?;
    }
    Ok(())
}

async fn count(nodes: &mut [Node]) -> anyhow::Result<u64> {
    let mut attempts = 0;
    for node in nodes {
        attempts += node.attempts().await?;
    }
    Ok(attempts)
}
