//! Every status that an endpoint may answer with: each must have a scenario, and no scenario may bring another.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use selvedge_registry::endpoints;

use crate::contract::{
    TOKEN,
    scenarios::{Scenario, all, closed},
    side::{Outcome, Side},
    step::{Request, Step},
};

/// What each endpoint answers. All of them refuse other methods with 405.
const STATUSES: &[(&str, &str, &[u16])] = &[
    ("GET", "/v1/status/leader", &[200, 400, 500]),
    ("GET", "/v1/status/peers", &[200, 400, 500]),
    ("GET", "/v1/agent/self", &[200, 403]),
    ("GET", "/v1/agent/version", &[200]),
    ("GET", "/v1/agent/members", &[200, 400, 403, 500]),
    ("PUT", "/v1/agent/maintenance", &[200, 400, 403]),
    ("GET", "/v1/agent/services", &[200, 400, 403, 500]),
    ("GET", "/v1/agent/service/", &[200, 400, 403, 404]),
    ("PUT", "/v1/agent/service/register", &[200, 400, 403, 500]),
    ("PUT", "/v1/agent/service/deregister/", &[200, 400, 403, 404]),
    ("PUT", "/v1/agent/service/maintenance/", &[200, 400, 403, 404]),
    ("GET", "/v1/agent/health/service/id/", &[200, 400, 403, 404, 429, 500, 503]),
    ("GET", "/v1/agent/health/service/name/", &[200, 400, 403, 404, 429, 500, 503]),
    ("GET", "/v1/agent/checks", &[200, 400, 403, 500]),
    ("PUT", "/v1/agent/check/register", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/agent/check/deregister/", &[200, 400, 403, 404]),
    ("PUT", "/v1/agent/check/pass/", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/agent/check/warn/", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/agent/check/fail/", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/agent/check/update/", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/catalog/register", &[200, 400, 403, 500]),
    ("PUT", "/v1/catalog/deregister", &[200, 400, 403, 500]),
    ("GET", "/v1/catalog/datacenters", &[200]),
    ("GET", "/v1/catalog/nodes", &[200, 400, 403, 500]),
    ("GET", "/v1/catalog/node/", &[200, 400, 403, 500]),
    ("GET", "/v1/catalog/services", &[200, 400, 403, 500]),
    ("GET", "/v1/catalog/service/", &[200, 400, 403, 500]),
    ("GET", "/v1/catalog/connect/", &[200, 400, 403, 500]),
    ("GET", "/v1/health/service/", &[200, 400, 403, 500]),
    ("GET", "/v1/health/connect/", &[200, 400, 403, 500]),
    ("GET", "/v1/health/checks/", &[200, 400, 403, 500]),
    ("GET", "/v1/health/node/", &[200, 400, 403, 500]),
    ("GET", "/v1/health/state/", &[200, 400, 403, 500]),
    ("PUT", "/v1/acl/bootstrap", &[401]),
    ("POST", "/v1/acl/login", &[401]),
    ("POST", "/v1/acl/logout", &[401]),
    ("GET", "/v1/acl/tokens", &[401]),
    ("PUT", "/v1/acl/token", &[401]),
    ("GET", "/v1/acl/token/", &[401]),
    ("PUT", "/v1/acl/token/", &[401]),
    ("DELETE", "/v1/acl/token/", &[401]),
    ("GET", "/v1/kv/", &[200, 400, 403, 404, 500]),
    ("PUT", "/v1/kv/", &[200, 400, 403, 413, 500]),
    ("DELETE", "/v1/kv/", &[200, 400, 403, 500]),
];
const REFUSED: u16 = 405;

/// What was answered, by method and path of the endpoint.
type Answered = BTreeMap<(String, &'static str), Vec<u16>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_of_every_endpoint_is_in_a_scenario() -> Result<()> {
    let mut answered = Answered::new();
    gather(&all(), &Side::embedded(None).await?, &mut answered).await?;
    gather(&closed(), &Side::embedded(Some(TOKEN)).await?, &mut answered).await?;
    let mut wrong = Vec::new();
    for (methods, path) in endpoints() {
        for method in methods.split(',') {
            let row = STATUSES.iter().find(|row| (row.0, row.1) == (method, path)).map(|row| row.2.to_vec());
            let mut got = answered.remove(&(method.to_owned(), path)).unwrap_or_default();
            got.sort_unstable();
            if row.as_ref() != Some(&got) {
                wrong.push(format!("{method} {path}: the scenarios bring {got:?}, the table has {row:?}"));
            }
        }
        let other = answered.iter().any(|((_, asked), got)| *asked == path && got.contains(&REFUSED));
        if !other {
            wrong.push(format!("{path}: no scenario with a method that it refuses"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_table_names_no_endpoint_that_is_not_there() {
    let there: Vec<_> = endpoints().collect();
    let is_there = |row: &&(&str, &str, &[u16])| {
        there.iter().any(|(methods, path)| *path == row.1 && methods.split(',').any(|method| method == row.0))
    };
    let gone: Vec<_> = STATUSES.iter().filter(|row| !is_there(row)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

/// Runs the steps that ask once, and notes what is answered; those that wait bring no other status.
async fn gather(scenarios: &[Scenario], side: &Side, answered: &mut Answered) -> Result<()> {
    for scenario in scenarios {
        let asks = scenario.steps.iter().filter(|step| matches!(step, Step::Ask(..)));
        for step in asks {
            let (Some(request), Outcome::Answer(answer)) = (step.request(), side.run(step).await?) else { continue };
            if let Some(path) = endpoint(&request) {
                let statuses = answered.entry((request.method.to_owned(), path)).or_default();
                if !statuses.contains(&answer.status) {
                    statuses.push(answer.status);
                }
            }
        }
        side.clear().await?;
    }
    Ok(())
}

/// Returns the path of the endpoint that is asked: of several whose path begins the same, the longest.
fn endpoint(request: &Request) -> Option<&'static str> {
    let asked = request.path.split('?').next().unwrap_or_default();
    let is_of = |path: &&str| if path.ends_with('/') { asked.starts_with(path) } else { asked == *path };
    endpoints().map(|(_, path)| path).filter(is_of).max_by_key(|path| path.len())
}
