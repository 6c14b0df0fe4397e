//! Why a call goes where it goes: the policy with the origin of each value, the instances as a pick sees them, and the
//! pick.

use std::fmt;

use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    channel::{Channel, Insight, Way},
    client::{
        budget,
        call::CallOptions,
        cluster::candidates::{Candidate, Candidates},
        route::RouteTable,
    },
    policy::{
        feed::Policies,
        live::{Live, Named},
    },
    telemetry::inspect::Asked,
};

/// Why the next call of a service, and of a method, goes where it goes; printed, it is for people, and serialized, it is
/// data. Nothing changes by asking: the next call goes to the instance that it names, unless something else happens
/// before.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Who calls.
    mesh: String,
    service: String,
    /// `/pkg.Service/Method`.
    method: Option<String>,
    /// How the method is called.
    policy: Vec<Named>,
    /// How the instances are treated.
    cluster: Vec<Named>,
    document: DocumentState,
    retry_budget: budget::Balance,
    #[serde(flatten)]
    instances: Candidates,
}

/// What became of the operator's document.
#[derive(Clone, Debug, Serialize)]
struct DocumentState {
    /// Its key in Consul's KV store; none if documents are not followed.
    key: Option<String>,
    /// The store was asked: it is from the first call on.
    read: bool,
    /// A document is in force.
    in_force: bool,
    /// A later one that changed nothing.
    refused: Option<Refusal>,
}

#[derive(Clone, Debug, Serialize)]
struct Refusal {
    /// Where in the document.
    path: String,
    reason: String,
    /// Seconds since it was read.
    since_s: f64,
}

impl Explanation {
    /// Whether the service was called, so that its instances are known.
    pub(crate) fn is_called(&self) -> bool {
        self.instances.known
    }
}

impl Channel {
    /// Explains the next call of a method: `GetUser`, `pkg.Service/GetUser`, or any method if none is named.
    ///
    /// # Errors
    ///
    /// Why a method cannot be told from others, in a sentence.
    pub fn explain(&self, method: Option<&str>) -> Result<Explanation, String> {
        let method = method.map(str::to_owned);
        self.explain_to("", &Asked { service: self.service().to_owned(), method, headers: HeaderMap::new() })
    }

    /// Explains a call that `mesh` makes.
    pub(crate) fn explain_to(&self, mesh: &str, asked: &Asked) -> Result<Explanation, String> {
        let Way { routes, policies, hashing, insight, .. } = &*self.way;
        let table = routes.load();
        let method = asked.method.as_deref().map(|method| path(&table, method)).transpose()?;
        let Insight { policy, cluster, retry } = insight;
        let rows = method.as_deref().map(|path| table.policy(path, &CallOptions::default()).rows());
        Ok(Explanation {
            mesh: mesh.to_owned(),
            service: self.service().to_owned(),
            policy: rows.unwrap_or_default().into_iter().map(Named::from).collect(),
            method,
            cluster: policy.values(),
            document: DocumentState::of(policy, policies, self.service()),
            retry_budget: retry.budget(),
            instances: cluster.candidates(hashing.of(&asked.headers)),
        })
    }

    /// Returns all that is known of the service.
    pub(crate) fn state(&self) -> Value {
        let Way { routes, policies, insight, .. } = &*self.way;
        let table = routes.load();
        let policy = |path: &&str| {
            let rows = table.policy(path, &CallOptions::default()).rows();
            ((*path).to_owned(), json!(rows.into_iter().map(Named::from).collect::<Vec<_>>()))
        };
        let methods: serde_json::Map<_, _> = table.methods().iter().map(policy).collect();
        let Insight { policy, cluster, retry } = insight;
        json!({
            "service": self.service(),
            "methods": methods,
            "cluster": policy.values(),
            "document": DocumentState::of(policy, policies, self.service()),
            "retry_budget": retry.budget(),
            "instances": cluster.candidates(None),
        })
    }

    /// Returns the name that it is called by.
    pub(crate) fn service(&self) -> &str {
        &self.way.service
    }
}

impl DocumentState {
    fn of(policy: &Live, policies: &Policies, service: &str) -> Self {
        let said = policy.said();
        let refused = said.refused.as_ref().map(|refused| Refusal {
            path: refused.problem.path.clone(),
            reason: refused.problem.reason.clone(),
            since_s: Instant::now().duration_since(refused.at).as_secs_f64(),
        });
        let (key, read) = (policies.key(service), policies.is_read());
        Self { key, read, in_force: said.document.is_some(), refused }
    }
}

/// Returns the path of the method that somebody means.
fn path(table: &RouteTable, method: &str) -> Result<String, String> {
    if method.contains('/') {
        return Ok(format!("/{}", method.trim_start_matches('/')));
    }
    let known = table.methods();
    let meant: Vec<_> = known.iter().filter(|path| path.rsplit('/').next() == Some(method)).collect();
    match meant.as_slice() {
        [path] => Ok((**path).to_owned()),
        [] => Err(format!("no descriptor tells of a method {method}: give its full name, as in pkg.Service/{method}")),
        several => {
            let names: Vec<_> = several.iter().map(|path| path.trim_start_matches('/')).collect();
            Err(format!("{method} may be {}: give its full name", names.join(" or ")))
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mesh, service, method, policy, cluster, document, retry_budget, instances } = self;
        let caller = if mesh.is_empty() { String::new() } else { format!(", as {mesh} calls it") };
        writeln!(f, "{service}{}{caller}\n", method.as_deref().unwrap_or_default())?;
        if !policy.is_empty() {
            writeln!(f, "policy of the method")?;
            values(f, policy)?;
        }
        writeln!(f, "policy of the instances")?;
        values(f, cluster)?;
        document.fmt(f)?;
        writeln!(f, "retries: {retry_budget}\n")?;
        tell(f, instances)
    }
}

impl fmt::Display for DocumentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, read, in_force, refused } = self;
        let Some(key) = key else { return Ok(()) };
        let state = match (read, in_force) {
            (_, true) => "in force",
            (true, false) => "says nothing",
            (false, false) => "not read yet: it is with the first call",
        };
        writeln!(f, "document {key}: {state}")?;
        if let Some(Refusal { path, reason, since_s }) = refused {
            let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
            writeln!(f, "  what it says since {since_s:.0} s is not used: {place}{reason}")?;
        }
        Ok(())
    }
}

fn values(f: &mut fmt::Formatter<'_>, values: &[Named]) -> fmt::Result {
    let width = values.iter().map(|value| value.name.len()).max().unwrap_or_default();
    for Named { name, sourced } in values {
        let text = match &sourced.value {
            Value::String(text) => text.clone(),
            Value::Null => "none".to_owned(),
            other => other.to_string(),
        };
        writeln!(f, "  {name:<width$}  {text:<20} {}", sourced.origin)?;
    }
    writeln!(f)
}

fn tell(f: &mut fmt::Formatter<'_>, instances: &Candidates) -> fmt::Result {
    let Candidates { source, age_s, known, candidates, pick, panics, .. } = instances;
    let age = age_s.map_or_else(String::new, |age| format!(", which answered {age:.1} s ago"));
    match (known, candidates.as_slice()) {
        (false, _) => return writeln!(f, "{source} has not been asked: the service is looked for with its first call"),
        (true, []) => return writeln!(f, "no instance is known to {source}{age}"),
        (true, _) => writeln!(f, "instances, from {source}{age}")?,
    }
    if *panics {
        writeln!(f, "  most of the connected ones are out: all are called")?;
    }
    let width = candidates.iter().map(|one| one.name.len()).max().unwrap_or_default();
    for one in candidates {
        let mark = if pick.as_ref() == Some(&one.name) { '>' } else { ' ' };
        writeln!(f, "{mark} {:<width$}  {:<11} {}", one.name, one.state.name(), facts(one))?;
    }
    match pick {
        Some(pick) => writeln!(f, "the next attempt goes to {pick}"),
        None => writeln!(f, "the next attempt goes nowhere: none of them can be called"),
    }
}

fn facts(one: &Candidate) -> String {
    let Candidate { cost, latency_ms, in_flight, weight, zone, last_error, .. } = one;
    let mut facts = vec![format!("cost {cost:.6}"), format!("in flight {in_flight}"), format!("weight {weight}")];
    facts.extend(latency_ms.map(|latency| format!("latency {latency:.3} ms")));
    facts.extend(zone.as_ref().map(|zone| format!("zone {zone}")));
    facts.extend(one.due.then(|| "due".to_owned()));
    facts.extend((one.slow_start > 1.0).then(|| format!("slow start {:.1}x", one.slow_start)));
    facts.extend(one.last_resort.then(|| "last resort".to_owned()));
    facts.extend(last_error.as_ref().map(|error| format!("last error: {error}")));
    facts.join(", ")
}
