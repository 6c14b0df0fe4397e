//! The policy of one service as it is now: what an operator changes reaches calls of channels that exist.

use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, Guard};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use crate::policy::{
    check::Problem,
    cluster::ClusterPolicy,
    document::Document,
    method::{Origin, Sourced},
};

/// The policy of one service. Cheap to clone; reading it takes no lock.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the program says.
    program: ClusterPolicy,
    /// That, and what the operator says over it.
    cluster: ArcSwap<ClusterPolicy>,
    said: ArcSwap<Said>,
    changed: watch::Sender<()>,
}

/// What the operator says of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The last good document.
    pub(crate) document: Option<Arc<Document>>,
    /// A later one that changed nothing.
    pub(crate) refused: Option<Refused>,
}

/// A document that cannot be kept.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) problem: Problem,
    pub(crate) at: Instant,
}

/// One value of a policy, by its path in a document, and who said it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) sourced: Sourced<Value>,
}

impl From<(&str, Sourced<String>)> for Named {
    fn from((name, sourced): (&str, Sourced<String>)) -> Self {
        let Sourced { value, origin } = sourced;
        Self { name: name.to_owned(), sourced: Sourced { value: value.into(), origin } }
    }
}

/// A policy that others hold.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    shared: Weak<Shared>,
}

impl Observed {
    /// Returns it while others hold it.
    pub(crate) fn live(&self) -> Option<Live> {
        self.shared.upgrade().map(|shared| Live { shared })
    }
}

impl From<ClusterPolicy> for Live {
    fn from(program: ClusterPolicy) -> Self {
        let cluster = ArcSwap::from_pointee(program.clone());
        let (said, changed) = (ArcSwap::default(), watch::Sender::new(()));
        Self { shared: Arc::new(Shared { program, cluster, said, changed }) }
    }
}

impl Live {
    /// Returns how the instances are treated now. It is not for keeping: what is read later may be another.
    pub(crate) fn load(&self) -> Guard<Arc<ClusterPolicy>> {
        self.shared.cluster.load()
    }

    /// Returns what the operator says now.
    pub(crate) fn said(&self) -> Guard<Arc<Said>> {
        self.shared.said.load()
    }

    /// Is told when either changes.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// Returns it without holding it.
    pub(crate) fn observed(&self) -> Observed {
        Observed { shared: Arc::downgrade(&self.shared) }
    }

    /// Takes over a document, or that there is none.
    ///
    /// # Errors
    ///
    /// What cannot be kept over what the program says; then nothing changes.
    pub(crate) fn accept(&self, document: Option<Document>) -> Result<(), Problem> {
        let Shared { program, cluster, said, changed } = &*self.shared;
        let next = document.as_ref().map_or_else(|| Ok(program.clone()), |document| document.cluster(program))?;
        cluster.store(Arc::new(next));
        said.store(Arc::new(Said { document: document.map(Arc::new), refused: None }));
        changed.send_replace(());
        Ok(())
    }

    /// Takes note of a document that changes nothing.
    pub(crate) fn refuse(&self, refused: Refused) {
        let document = self.said().document.clone();
        self.shared.said.store(Arc::new(Said { document, refused: Some(refused) }));
    }

    /// Returns each value of the instances' policy with its origin.
    pub(crate) fn values(&self) -> Vec<Named> {
        let (now, said) = (leaves(&self.load()), self.said());
        let (default, program) = (leaves(&ClusterPolicy::default()), leaves(&self.shared.program));
        let of = |tree: &[(String, Value)], name: &str| {
            tree.iter().find(|(path, _)| path == name).map(|(_, value)| value.clone())
        };
        let named = now.into_iter().map(|(name, value)| {
            let operators = said.document.as_ref().is_some_and(|document| document.says(&name));
            let programs = of(&program, &name).is_some_and(|value| Some(value) != of(&default, &name));
            let origin = match (operators, programs) {
                (true, _) => Origin::Kv,
                (false, true) => Origin::Program,
                (false, false) => Origin::Default,
            };
            Named { name, sourced: Sourced { value, origin } }
        });
        named.collect()
    }
}

/// Returns the values of a policy that are no groups, by path.
fn leaves(policy: &ClusterPolicy) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect("", &serde_json::to_value(policy).unwrap_or_default(), &mut found);
    found
}

fn collect(path: &str, tree: &Value, found: &mut Vec<(String, Value)>) {
    let Value::Object(group) = tree else { return found.push((path.to_owned(), tree.clone())) };
    for (name, value) in group {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(&below, value, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cluster::Balance;

    fn document(text: &str) -> Option<Document> {
        Some(Document::read(text.as_bytes()).unwrap())
    }

    fn value(live: &Live, name: &str) -> (Value, Origin) {
        let found = live.values().into_iter().find(|value| value.name == name).unwrap();
        (found.sourced.value, found.sourced.origin)
    }

    #[test]
    fn what_the_operator_says_lies_over_what_the_program_says() {
        let mut program = ClusterPolicy::default();
        (program.balance, program.panic_percent) = (Balance::RoundRobin, 20);
        let live = Live::from(program);
        live.accept(document("cluster: {panic_percent: 30, breaker: {jitter: 0.1}}")).unwrap();
        assert_eq!((live.load().balance, live.load().panic_percent), (Balance::RoundRobin, 30));
        assert_eq!(value(&live, "balance"), ("round_robin".into(), Origin::Program));
        assert_eq!(value(&live, "panic_percent"), (30.into(), Origin::Kv));
        assert_eq!(value(&live, "breaker.jitter"), (0.1.into(), Origin::Kv));
        assert_eq!(value(&live, "breaker.consecutive_failures"), (7.into(), Origin::Default));
        live.accept(None).unwrap();
        assert_eq!(value(&live, "panic_percent"), (20.into(), Origin::Program), "the operator took it back");
    }

    #[test]
    fn whole_groups_may_be_taken_away_and_added() {
        let live = Live::from(ClusterPolicy::default());
        live.accept(document("cluster: {limit: null, fault: {delay: 1s}}")).unwrap();
        assert_eq!(live.load().limit, None);
        assert_eq!(value(&live, "limit"), (Value::Null, Origin::Kv));
        assert_eq!(value(&live, "fault.delay"), ("1s".into(), Origin::Kv));
        assert_eq!(value(&live, "fault.delay_percent"), (0.0.into(), Origin::Default));
    }

    #[test]
    fn who_waits_for_a_change_hears_of_it() {
        let live = Live::from(ClusterPolicy::default());
        let changed = live.changed();
        assert!(!changed.has_changed().unwrap());
        live.accept(document("cluster: {panic_percent: 0}")).unwrap();
        assert!(changed.has_changed().unwrap());
    }
}
