//! The embedded registry answers as Consul does: one list of scenarios, run against both, answer by answer.

mod normal;
mod scenarios;
mod side;
mod step;

use anyhow::{Context, Result, ensure};
use selvedge_harness::Consul;

use crate::contract::{
    scenarios::{Scenario, all},
    side::Side,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_registry_answers_as_consul_does() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    let real = Side::real(&consul.url()).await?;
    let embedded = Side::embedded().await?;
    let mut differences = Vec::new();
    for scenario in all() {
        run(&scenario, &embedded, &real, &mut differences).await?;
    }
    ensure!(differences.is_empty(), "{} answers differ\n\n{}", differences.len(), differences.join("\n\n"));
    Ok(())
}

/// Runs a scenario on both sides, which are empty before and after it.
async fn run(scenario: &Scenario, embedded: &Side, real: &Side, differences: &mut Vec<String>) -> Result<()> {
    for step in &scenario.steps {
        let at = || format!("{}: {step}", scenario.name);
        let ours = embedded.run(step).await.with_context(at)?;
        let theirs = real.run(step).await.with_context(at)?;
        if ours != theirs {
            differences.push(format!("{}\n{}", at(), difference(&ours.to_string(), &theirs.to_string())));
        }
    }
    embedded.clear().await?;
    real.clear().await
}

/// Returns the lines that only one side has: `-` the embedded registry's, `+` those of Consul.
fn difference(ours: &str, theirs: &str) -> String {
    let only = |sign: &str, of: &str, other: &str| {
        let alone = of.lines().filter(|line| !other.lines().any(|known| known == *line));
        alone.map(|line| format!("  {sign} {line}\n")).collect::<String>()
    };
    let lines = only("-", ours, theirs) + &only("+", theirs, ours);
    if lines.is_empty() { format!("the same lines in another order:\n{ours}") } else { lines }
}
