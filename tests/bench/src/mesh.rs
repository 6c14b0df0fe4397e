//! A call by Selvedge against one by tonic's channels and by Envoy, interleaved in one run.

mod arms;
mod measure;

use std::{path::Path, time::Duration};

use selvedge_registry::Registry;

use self::{
    arms::Arm,
    measure::{Load, METRICS, measure},
};
use crate::{
    figures::Figures,
    server::{Make, Server},
};

/// Which arms and workloads, how often, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Rounds; in each, every arm runs once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that one arm runs in one round
    #[arg(long, default_value_t = 2_000)]
    millis: u64,
    /// Only these arms
    #[arg(long)]
    arm: Vec<String>,
    /// Only these workloads
    #[arg(long)]
    workload: Vec<String>,
}

/// What is called: name, bytes of the message, calls at once.
const WORKLOADS: [(&str, usize, usize); 5] = [
    ("unary_100B_c1", 100, 1),
    ("unary_100B_c16", 100, 16),
    ("unary_100B_c64", 100, 64),
    ("unary_10kB_c16", 10_000, 16),
    (STREAM, 100, 1),
];

/// One call, a thousand messages of the answer.
const STREAM: &str = "stream_1000";

pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let config = selvedge_registry::Config { listen: "127.0.0.1:0".parse()?, ..selvedge_registry::Config::default() };
    let registry = Registry::bind(config).await?;
    let url = format!("http://{}", registry.local_addr());
    let serving = tokio::spawn(registry.run(std::future::pending()));
    let plain = Server::start(Make::Tonic, &url).await?;
    let meshed = Server::start(Make::Selvedge, &url).await?;
    let mut arms = arms::all(&url, &plain, &meshed).await?;
    arms.retain(|arm| is_wanted(&plan.arm, arm.name));
    let mut figures = Figures::default();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for (name, size, at_once) in WORKLOADS.into_iter().filter(|(name, ..)| is_wanted(&plan.workload, name)) {
            let load = Load { at_once, size, span: Duration::from_millis(plan.millis) };
            for arm in &arms {
                let call = if name == STREAM { &arm.stream } else { &arm.unary };
                measure(&arm.processes, &load, call).await?.note(&mut figures, name, arm.name);
            }
        }
    }
    serving.abort();
    print(&figures, &arms);
    figures.write(Path::new("target/bench/mesh.json"))
}

/// Whether a name is among those asked for; all are if none is.
fn is_wanted(asked: &[String], name: &str) -> bool {
    asked.is_empty() || asked.iter().any(|one| one == name)
}

fn print(figures: &Figures, arms: &[Arm]) {
    println!("medians, and their ratio to the first arm");
    let median = |workload: &str, arm: &str, metric: &str| figures.median(&format!("{workload}.{arm}.{metric}"));
    for (workload, ..) in WORKLOADS {
        for Arm { name, .. } in arms {
            let cells = METRICS.iter().filter_map(|metric| {
                let (own, first) = (median(workload, name, metric)?, median(workload, arms[0].name, metric)?);
                Some(format!("{metric} {own:.1} ({:.2})", own / first))
            });
            let cells: Vec<_> = cells.collect();
            if !cells.is_empty() {
                println!("{workload:<16} {name:<14} {}", cells.join("  "));
            }
        }
    }
}
