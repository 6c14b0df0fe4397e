//! The services at size, on both engines: a call through the mesh beside the same statements straight to the engine.

mod calls;
mod floor;
mod lost;
mod measure;
mod world;

use std::{
    fmt::Write as _,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use selvedge_harness::Postgres;
use tempfile::TempDir;

pub(crate) use self::world::{Serve, serve};
use self::{
    calls::{Calls, Workload},
    floor::Floor,
    measure::{AT_ONCE, asked, called, note, warm},
    world::World,
};
use crate::figures::Figures;

/// What is asked of the benchmark.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Rounds; in each, every workload and its floor run once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Products; there are a tenth as many users
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

/// Measures both engines, prints the medians, and writes them to `target/bench/services.json`.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let data = TempDir::new()?;
    let url = |name: &str| format!("sqlite://{}/{name}.db", data.path().display());
    engine("sqlite", [&url("users"), &url("catalog")], plan, &mut figures).await?;
    drop(data);
    // As soon as it is known: to fill a database takes long.
    print!("{}", table(&figures, "sqlite"));
    lost::run(plan.rounds, &mut figures).await?;
    print!("{}", lost::table(&figures));
    if let Some(postgres) = Postgres::start().await? {
        engine("postgres", [&postgres.url(), &postgres.url()], plan, &mut figures).await?;
        print!("{}", table(&figures, "postgres"));
    }
    figures.write(Path::new("target/bench/services.json"))
}

/// Measures one engine. The urls are those of the databases of users and of catalog.
async fn engine(name: &str, [users, catalog]: [&str; 2], plan: Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let world = World::start([users, catalog], plan.rows, "memory").await?;
    let calls = Calls::new(&world.mesh, plan.rows).await?;
    let mut floors = [Floor::connect(users, "users").await?, Floor::connect(catalog, "catalog").await?];
    let numbers = Arc::new(AtomicU64::new(0));
    for round in 0..plan.rounds {
        eprintln!("{name}: round {} of {}", round + 1, plan.rounds);
        warm(&calls, Workload::Echo, &numbers).await?;
        let hop = called(&calls, Workload::Echo, 1, &numbers).await?;
        note(figures, &format!("{}.{name}", Workload::Echo.name()), &hop, &["p50", "p99"]);
        for workload in Workload::ALL {
            let of_service = format!("{}.{name}", workload.name());
            warm(&calls, workload, &numbers).await?;
            let alone = called(&calls, workload, 1, &numbers).await?;
            note(figures, &of_service, &alone, &["p50", "p99"]);
            let crowded = called(&calls, workload, AT_ONCE, &numbers).await?;
            note(figures, &of_service, &crowded, &["rps"]);
            let floor = &mut floors[usize::from(workload.is_of_catalog())];
            let floor = asked(floor, workload, plan.rows, &numbers).await?;
            note(figures, &format!("{}.{name}_floor", workload.name()), &floor, &["p50", "p99", "rps"]);
        }
    }
    Ok(())
}

/// Medians of one engine: of one call at a time, and of calls per second with several.
fn table(figures: &Figures, engine: &str) -> String {
    let mut text = format!(
        "{engine}: medians; p50 and p99 in us of one call at a time, calls/s of {AT_ONCE} at once; adds: p50 above the \
         same statements on one connection, of that the mesh: a call of a service that does nothing\n"
    );
    let mesh = figures.median(&format!("{}.{engine}.p50", Workload::Echo.name())).unwrap_or(f64::NAN);
    for workload in Workload::ALL {
        let name = workload.name();
        let of =
            |arm: &str, metric: &str| figures.median(&format!("{name}.{engine}{arm}.{metric}")).unwrap_or(f64::NAN);
        let (p50, p99, rps) = (of("", "p50"), of("", "p99"), of("", "rps"));
        let (floor, floor_p99) = (of("_floor", "p50"), of("_floor", "p99"));
        let adds = p50 - floor;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<14} p50 {p50:>7.1} p99 {p99:>8.1} calls/s {rps:>7.0}   floor p50 {floor:>7.1} p99 {floor_p99:>8.1} \
             adds {adds:>7.1} = mesh {mesh:>6.1} + service {:>7.1}",
            adds - mesh
        );
    }
    text
}
