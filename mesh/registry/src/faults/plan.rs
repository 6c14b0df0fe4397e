//! Which faults are to strike, where, and how often.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no leader: reads fail unless they are `stale`, and so do writes to what the leader keeps.
    NoLeader,
    /// It is refused without being looked at.
    Status(StatusCode),
    /// It is late.
    Delay(Duration),
    /// Its answer ends in the middle.
    Cut,
    /// It answers that there is nothing.
    Empty,
}

/// A fault that is to strike.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// What the path of a request begins with.
    pub(crate) path: String,
    /// How many more requests it strikes, if not all.
    pub(crate) left: Option<u32>,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoLeader => "no-leader",
            Self::Status(_) => "status",
            Self::Delay(_) => "delay",
            Self::Cut => "cut",
            Self::Empty => "empty",
        }
    }
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Mutex<Vec<Fault>>,
}

impl Plan {
    /// Adds a fault in place of the one of its name.
    pub(crate) fn begin(&self, fault: Fault) {
        self.change(|faults| {
            faults.retain(|other| other.kind.as_str() != fault.kind.as_str());
            faults.push(fault);
        });
    }

    /// Ends the faults of a name.
    pub(crate) fn end(&self, name: &str) {
        self.change(|faults| faults.retain(|fault| fault.kind.as_str() != name));
    }

    pub(crate) fn end_all(&self) {
        self.change(Vec::clear);
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.change(|faults| faults.clone())
    }

    /// Returns what strikes a request, and counts it.
    pub(crate) fn take(&self, path: &str) -> Vec<Kind> {
        self.change(|faults| {
            let struck: Vec<_> = faults.iter_mut().filter(|fault| path.starts_with(&fault.path)).collect();
            let kinds = struck.iter().map(|fault| fault.kind).collect();
            for left in struck.into_iter().filter_map(|fault| fault.left.as_mut()) {
                *left = left.saturating_sub(1);
            }
            faults.retain(|fault| fault.left != Some(0));
            kinds
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        change(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_paths_and_as_often_as_it_is_to() {
        let plan = Plan::default();
        plan.begin(Fault { kind: Kind::Cut, path: "/v1/health".to_owned(), left: Some(2) });
        plan.begin(Fault { kind: Kind::Empty, path: "/v1/".to_owned(), left: None });
        assert_eq!(plan.take("/v1/kv/x"), [Kind::Empty]);
        assert_eq!(plan.take("/v1/health/service/x"), [Kind::Cut, Kind::Empty]);
        plan.end("empty");
        assert_eq!(plan.take("/v1/health/service/x"), [Kind::Cut]);
        assert!(plan.take("/v1/health/service/x").is_empty());
    }
}
