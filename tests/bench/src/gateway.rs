//! The gateway beside Envoy's gRPC-Web and JSON filters, and tonic-web in the server as the floor; interleaved in one run.

mod arms;
mod client;
mod exchange;
mod measure;
pub(crate) mod orders;

use std::{path::Path, time::Duration};

use self::{
    arms::World,
    exchange::{Exchange, Form},
    measure::{METRICS, measure},
};
use crate::figures::Figures;

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

/// What is asked: name, form, bytes of the request's body.
const WORKLOADS: [(&str, Form, usize); 6] = [
    ("grpc_web_100B", Form::GrpcWeb, 100),
    ("grpc_web_10kB", Form::GrpcWeb, 10_000),
    ("grpc_web_1MB", Form::GrpcWeb, 1_000_000),
    ("json_100B", Form::Json, 100),
    ("json_10kB", Form::Json, 10_000),
    ("json_1MB", Form::Json, 1_000_000),
];

/// The arm that the others are compared with.
const PEER: &str = "envoy";

pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let mut world = World::start().await?;
    world.arms.retain(|arm| is_wanted(&plan.arm, arm.name));
    let mut figures = Figures::default();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for (name, form, size) in WORKLOADS.into_iter().filter(|(name, ..)| is_wanted(&plan.workload, name)) {
            let exchange = Exchange::of(form, size);
            for arm in world.arms.iter().filter(|arm| arm.forms.contains(&form)) {
                let measured = measure(arm, &exchange, Duration::from_millis(plan.millis)).await?;
                measured.note(&mut figures, name, arm.name);
            }
        }
    }
    let arms: Vec<_> = world.arms.iter().map(|arm| arm.name).collect();
    print(&figures, &arms);
    figures.write(Path::new("target/bench/gateway.json"))
}

/// Whether a name is among those asked for; all are if none is.
fn is_wanted(asked: &[String], name: &str) -> bool {
    asked.is_empty() || asked.iter().any(|one| one == name)
}

fn print(figures: &Figures, arms: &[&str]) {
    println!("medians, and their ratio to those of {PEER}");
    let median = |workload: &str, arm: &str, metric: &str| figures.median(&format!("{workload}.{arm}.{metric}"));
    for (workload, ..) in WORKLOADS {
        for arm in arms {
            let cells = METRICS.iter().filter_map(|(metric, unit)| {
                let own = median(workload, arm, metric)?;
                let ratio = median(workload, PEER, metric).map(|peer| format!(" ({:.2})", own / peer));
                Some(format!("{metric} {own:.1} {unit}{}", ratio.unwrap_or_default()))
            });
            let cells: Vec<_> = cells.collect();
            if !cells.is_empty() {
                println!("{workload:<14} {arm:<10} {}", cells.join("  "));
            }
        }
    }
}
