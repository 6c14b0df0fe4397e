//! The services at size, on both engines: a call through the mesh beside the same statements straight to the engine.

mod behind;
mod calls;
mod floor;
mod lost;
mod measure;
mod workload;
mod world;

use std::{
    fmt::Write as _,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use selvedge_harness::Postgres;
use tempfile::TempDir;

pub(crate) use self::{
    behind::{Serve as ServeFloor, serve as serve_floor},
    world::{Serve, serve},
};
use self::{
    calls::Calls,
    floor::Floor,
    measure::{AT_ONCE, asked, called, called_behind, note, warm},
    workload::Workload,
    world::World,
};
use crate::figures::Figures;

/// What is asked of the benchmark.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Rounds; in each, every workload and its floor run once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Products; there are a tenth as many users
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Only this engine; may be repeated [default: all]
    #[arg(long, value_enum)]
    engine: Vec<Engine>,
    /// Only this workload; may be repeated [default: all]
    #[arg(long, value_enum)]
    workload: Vec<Workload>,
}

/// What the services stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    /// Reads by name with a cache that is lost.
    Redis,
    Postgres,
}

/// Where the figures are written: anew after each engine, since to fill the next one's databases takes minutes.
const FIGURES: &str = "target/bench/services.json";

/// Measures the engines, prints the medians, and writes them to `target/bench/services.json`.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let is_asked = |engine: Engine| plan.engine.is_empty() || plan.engine.contains(&engine);
    if is_asked(Engine::Sqlite) {
        let data = TempDir::new()?;
        let url = |name: &str| format!("sqlite://{}/{name}.db", data.path().display());
        engine("sqlite", [&url("users"), &url("catalog")], &plan, &mut figures).await?;
    }
    if is_asked(Engine::Redis) {
        lost::run(plan.rounds, &mut figures).await?;
        print!("{}", lost::table(&figures));
        figures.write(Path::new(FIGURES))?;
    }
    if is_asked(Engine::Postgres)
        && let Some(postgres) = Postgres::start().await?
    {
        engine("postgres", [&postgres.url(), &postgres.url()], &plan, &mut figures).await?;
    }
    Ok(())
}

/// Measures one engine. The urls are those of the databases of users and of catalog.
async fn engine(name: &str, [users, catalog]: [&str; 2], plan: &Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let world = World::start([users, catalog], plan.rows, "memory").await?;
    let calls = Calls::new(&world.mesh, plan.rows).await?;
    let mut floors = [Floor::connect(users, "users").await?, Floor::connect(catalog, "catalog").await?];
    let numbers = Arc::new(AtomicU64::new(0));
    let workloads: Vec<_> = plan.workloads().collect();
    for round in 0..plan.rounds {
        eprintln!("{name}: round {} of {}", round + 1, plan.rounds);
        warm(&calls, Workload::Echo, &numbers).await?;
        let hop = called(&calls, Workload::Echo, 1, &numbers).await?;
        note(figures, &format!("{}.{name}", Workload::Echo.name()), &hop, &["p50", "p99"]);
        for &workload in &workloads {
            let of_service = format!("{}.{name}", workload.name());
            warm(&calls, workload, &numbers).await?;
            let alone = called(&calls, workload, 1, &numbers).await?;
            note(figures, &of_service, &alone, &["p50", "p99"]);
            let behind = called_behind(&calls, workload, &numbers).await?;
            note(figures, &format!("{}.{name}_floor_behind_mesh", workload.name()), &behind, &["p50", "p99"]);
            let crowded = called(&calls, workload, AT_ONCE, &numbers).await?;
            note(figures, &of_service, &crowded, &["rps"]);
            let floor = &mut floors[usize::from(workload.is_of_catalog())];
            let floor = asked(floor, workload, plan.rows, &numbers).await?;
            note(figures, &format!("{}.{name}_floor", workload.name()), &floor, &["p50", "p99", "rps"]);
            eprintln!(
                "{name}: {} p50 {} us",
                workload.name(),
                figures.median(&format!("{of_service}.p50")).unwrap_or(0.0)
            );
        }
    }
    print!("{}", table(figures, name, &workloads));
    figures.write(Path::new(FIGURES))
}

impl Plan {
    fn workloads(&self) -> impl Iterator<Item = Workload> {
        Workload::ALL.into_iter().filter(|workload| self.workload.is_empty() || self.workload.contains(workload))
    }
}

/// Medians of one engine: of one call at a time, and of calls per second with several.
fn table(figures: &Figures, engine: &str, workloads: &[Workload]) -> String {
    let mut text = format!(
        "{engine}: medians; p50 and p99 in us of one call at a time, calls/s of {AT_ONCE} at once; floor: the same statements \
         on one connection; mesh: a call of a service that does nothing; behind: the same statements on one connection \
         by a service that does nothing else; service: what is above that\n"
    );
    let mesh = figures.median(&format!("{}.{engine}.p50", Workload::Echo.name())).unwrap_or(f64::NAN);
    for workload in workloads {
        let name = workload.name();
        let of =
            |arm: &str, metric: &str| figures.median(&format!("{name}.{engine}{arm}.{metric}")).unwrap_or(f64::NAN);
        let (p50, p99, rps) = (of("", "p50"), of("", "p99"), of("", "rps"));
        let (floor, floor_p99, behind) = (of("_floor", "p50"), of("_floor", "p99"), of("_floor_behind_mesh", "p50"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<14} p50 {p50:>7.1} p99 {p99:>8.1} calls/s {rps:>7.0}   floor p50 {floor:>7.1} p99 {floor_p99:>8.1} \
             mesh {mesh:>6.1} p50 - floor - mesh {:>7.1}   behind {behind:>7.1} service {:>7.1}",
            p50 - floor - mesh,
            p50 - behind
        );
    }
    text
}
