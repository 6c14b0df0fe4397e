//! Says once that the registry is gone, and once that it is back, however many watches notice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{debug, info, warn};

use crate::consul::request::Failure;

/// How one registry stands, over all that is asked of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    name: Arc<str>,
    tallies: Arc<Mutex<Tallies>>,
}

/// The view of one watch, or of all single requests together.
#[derive(Debug)]
pub(crate) struct Report {
    standing: Standing,
    trouble: Option<Trouble>,
    /// ACLs left something out of its last answer.
    filtered: bool,
}

/// What is wrong, as one view sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Gone,
    Refusing,
}

#[derive(Debug, Default)]
struct Tallies {
    gone: Tally,
    refusing: Tally,
    filtered: Tally,
}

/// How many views see a trouble, and whether it was told.
#[derive(Debug, Default)]
struct Tally {
    views: usize,
    told: bool,
}

impl Standing {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), tallies: Arc::default() }
    }

    /// Begins a view that found nothing wrong yet.
    pub(crate) fn report(&self) -> Report {
        Report { standing: self.clone(), trouble: None, filtered: false }
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// Takes note of a failure: logs it if no view saw its like before.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        let trouble = if failure.is_refusal() { Trouble::Refusing } else { Trouble::Gone };
        if self.trouble == Some(trouble) {
            return;
        }
        self.settle();
        self.trouble = Some(trouble);
        let first = self.standing.tallies().of(trouble).begins();
        let (registry, error) = (&self.standing.name, &failure.error);
        match trouble {
            _ if !first => debug!(%registry, %error, "the registry fails"),
            Trouble::Gone => warn!(%registry, %error, "the registry is gone: going on with what is known"),
            Trouble::Refusing => warn!(%registry, %error, "the registry refuses: going on with what is known"),
        }
    }

    /// Whether the last that was noted is that nobody answers.
    pub(crate) fn is_gone(&self) -> bool {
        self.trouble == Some(Trouble::Gone)
    }

    /// Takes note of an answer.
    pub(crate) fn succeeded(&mut self) {
        self.settle();
    }

    /// Takes note of whether ACLs left something out of an answer: logs it if no view saw its like before.
    pub(crate) fn read(&mut self, filtered: bool, path: impl FnOnce() -> String) {
        if std::mem::replace(&mut self.filtered, filtered) == filtered {
            return;
        }
        let mut tallies = self.standing.tallies();
        if !filtered {
            tallies.filtered.ends();
        } else if tallies.filtered.begins() {
            let (registry, path) = (&self.standing.name, path());
            warn!(%registry, path, "the token sees a part of what is registered: services and instances are missing from the answer, and may be from others; grant it service:read and node:read");
        }
    }

    /// Ends the trouble, and logs it if this was the last view that saw it.
    fn settle(&mut self) {
        let Some(trouble) = self.trouble.take() else { return };
        let last = self.standing.tallies().of(trouble).ends();
        let registry = &self.standing.name;
        match trouble {
            _ if !last => {}
            Trouble::Gone => info!(%registry, "the registry is back"),
            Trouble::Refusing => info!(%registry, "the registry refuses no more"),
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let mut tallies = self.standing.tallies();
        if let Some(trouble) = self.trouble {
            tallies.of(trouble).views -= 1;
        }
        tallies.filtered.views -= usize::from(self.filtered);
    }
}

impl Tallies {
    fn of(&mut self, trouble: Trouble) -> &mut Tally {
        match trouble {
            Trouble::Gone => &mut self.gone,
            Trouble::Refusing => &mut self.refusing,
        }
    }
}

impl Tally {
    /// One more view sees it; returns whether to tell.
    fn begins(&mut self) -> bool {
        self.views += 1;
        !std::mem::replace(&mut self.told, true)
    }

    /// A view had an answer; returns whether to tell that all is well.
    fn ends(&mut self) -> bool {
        self.views -= 1;
        self.views == 0 && std::mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{
        consul::{logs::Logs, request::Cause},
        error::{Error, ErrorKind},
    };

    fn failure(cause: Cause) -> Failure {
        Failure { cause, error: Error::new(ErrorKind::Registry, "no") }
    }

    /// Returns how many warnings and how many notices were logged so far.
    fn told(logs: &Logs) -> (usize, usize) {
        (logs.lines("WARN").len(), logs.lines("INFO").len())
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let (logs, standing) = (Logs::capture(), Standing::new("consul"));
        let (mut one, mut two) = (standing.report(), standing.report());
        for _ in 0..2 {
            one.failed(&failure(Cause::Unreachable));
            two.failed(&failure(Cause::Cut));
        }
        one.succeeded();
        assert_eq!(told(&logs), (1, 0), "the other still fails");
        one.failed(&failure(Cause::Unreachable));
        assert_eq!(told(&logs), (1, 0), "the same outage");
        one.succeeded();
        two.succeeded();
        assert_eq!(told(&logs), (1, 1));
        two.failed(&failure(Cause::Unreachable));
        assert_eq!(told(&logs), (2, 1), "another outage");
    }

    #[test]
    fn a_view_that_ends_in_an_outage_does_not_hide_its_end() {
        let (logs, standing) = (Logs::capture(), Standing::new("consul"));
        let (mut one, mut two) = (standing.report(), standing.report());
        one.failed(&failure(Cause::Unreachable));
        drop(one);
        two.failed(&failure(Cause::Unreachable));
        two.succeeded();
        assert_eq!(told(&logs), (1, 1));
    }

    #[test]
    fn a_registry_that_refuses_is_back_but_not_well() {
        let (logs, standing) = (Logs::capture(), Standing::new("consul"));
        let mut report = standing.report();
        report.failed(&failure(Cause::Unreachable));
        report.failed(&failure(Cause::Status(StatusCode::FORBIDDEN)));
        assert_eq!(told(&logs), (2, 1));
        assert!(logs.lines("WARN")[1].contains("refuses"));
        report.succeeded();
        assert_eq!(told(&logs), (2, 2));
    }

    #[test]
    fn what_acls_leave_out_is_told_once_for_all_views() {
        let (logs, standing) = (Logs::capture(), Standing::new("consul"));
        let (mut one, mut two) = (standing.report(), standing.report());
        for _ in 0..2 {
            one.read(true, || "/v1/a".into());
            two.read(true, || "/v1/b".into());
        }
        assert_eq!(told(&logs), (1, 0));
        for part in ["/v1/a", "service:read and node:read"] {
            assert!(logs.lines("WARN")[0].contains(part), "{part}");
        }
        drop(one);
        two.read(false, || "/v1/b".into());
        two.read(true, || "/v1/b".into());
        assert_eq!(told(&logs), (2, 0), "another time");
    }

    #[test]
    fn too_many_requests_and_the_agents_own_errors_are_no_refusal() {
        for (status, refusal) in [(400, true), (403, true), (404, true), (429, false), (500, false), (503, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(failure(Cause::Status(status)).is_refusal(), refusal, "{status}");
        }
    }
}
