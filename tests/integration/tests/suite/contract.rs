//! The embedded registry answers as Consul does: one list of scenarios, run against both, answer by answer.

mod commands;
mod normal;
mod scenarios;
mod side;
mod step;

use anyhow::{Context, Result, ensure};
use selvedge_harness::Consul;
use selvedge_registry::endpoints;

use crate::contract::{
    scenarios::{Scenario, all, closed},
    side::Side,
    step::{Request, Step},
};

/// What may do everything where nothing else may.
const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_registry_answers_as_consul_does() -> Result<()> {
    let Some(consul) = Consul::start().await? else { return Ok(()) };
    compare(all(), &Side::embedded(None).await?, &Side::real(&consul.url(), None).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_token_opens_either_of_them() -> Result<()> {
    let Some(consul) = Consul::start_closed(TOKEN).await? else { return Ok(()) };
    let real = Side::real(&consul.url(), Some(TOKEN)).await?;
    compare(closed(), &Side::embedded(Some(TOKEN)).await?, &real).await
}

#[test]
fn every_endpoint_is_in_a_scenario() {
    let steps: Vec<_> = all().into_iter().flat_map(|scenario| scenario.steps).collect();
    let requests: Vec<_> = steps.iter().filter_map(Step::request).collect();
    let is_asked = |method: &str, path: &str| {
        let is_of = |asked: &str| if path.ends_with('/') { asked.starts_with(path) } else { asked == path };
        let without_query = |request: &Request| request.path.split('?').next().is_some_and(is_of);
        requests.iter().any(|request| request.method == method && without_query(request))
    };
    let each = endpoints().flat_map(|(methods, path)| methods.split(',').map(move |method| (method, path)));
    let never: Vec<_> = each.filter(|(method, path)| !is_asked(method, path)).collect();
    assert!(never.is_empty(), "never compared: {never:?}");
}

async fn compare(scenarios: Vec<Scenario>, embedded: &Side, real: &Side) -> Result<()> {
    let mut differences = Vec::new();
    for scenario in scenarios {
        run(&scenario, embedded, real, &mut differences).await?;
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
