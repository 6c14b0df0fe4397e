//! The embedded registry answers as Consul does: one list of scenarios, run against both, answer by answer.

mod commands;
mod normal;
mod older;
mod scenarios;
mod side;
mod statuses;
mod step;

use anyhow::{Context, Result, ensure};
use selvedge_harness::{Consul, Release};

use crate::contract::{
    older::Differences,
    scenarios::{Scenario, all, closed},
    side::Side,
};

/// What may do everything where nothing else may.
const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_registry_answers_as_consul_does() -> Result<()> {
    for release in Release::asked() {
        let Some(consul) = Consul::start_release(*release, None).await? else { return Ok(()) };
        let real = Side::real(&consul.url(), None).await?;
        let mut known = Differences::of(*release);
        let compared = compare(all(), &Side::embedded(None).await?, &real, &mut known).await;
        compared.with_context(|| format!("{release:?}"))?;
        ensure!(known.never_met().is_empty(), "{release:?} has these differences no longer: {:?}", known.never_met());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_token_opens_either_of_them() -> Result<()> {
    for release in Release::asked() {
        let Some(consul) = Consul::start_release(*release, Some(TOKEN)).await? else { return Ok(()) };
        let real = Side::real(&consul.url(), Some(TOKEN)).await?;
        let embedded = Side::embedded(Some(TOKEN)).await?;
        let compared = compare(closed(), &embedded, &real, &mut Differences::of(*release)).await;
        compared.with_context(|| format!("{release:?}"))?;
    }
    Ok(())
}

async fn compare(scenarios: Vec<Scenario>, embedded: &Side, real: &Side, known: &mut Differences) -> Result<()> {
    let mut differences = Vec::new();
    for scenario in scenarios {
        differences.extend(run(&scenario, embedded, real, known).await?);
    }
    ensure!(differences.is_empty(), "{} answers differ\n\n{}", differences.len(), differences.join("\n\n"));
    Ok(())
}

/// Runs a scenario on both sides, which are empty before and after it; returns what differs beyond what is known.
async fn run(scenario: &Scenario, embedded: &Side, real: &Side, known: &mut Differences) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for step in &scenario.steps {
        let at = || format!("{}: {step}", scenario.name);
        let ours = embedded.run(step).await.with_context(at)?;
        let theirs = real.run(step).await.with_context(at)?;
        let Some(expected) = known.expected(step, ours) else { continue };
        if expected != theirs {
            differences.push(format!("{}\n{}", at(), difference(&expected.to_string(), &theirs.to_string())));
        }
    }
    embedded.clear().await?;
    real.clear().await?;
    Ok(differences)
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
