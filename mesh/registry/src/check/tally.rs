//! Counts results in a row, so that one lost probe need not fail a check.

use crate::{definition::Probe, record::Status};

/// Counts for one check.
#[derive(Debug)]
pub(crate) struct Tally {
    success_before_passing: u32,
    failures_before_warning: u32,
    failures_before_critical: u32,
    successes: u32,
    failures: u32,
}

impl Tally {
    pub(crate) fn new(probe: &Probe) -> Self {
        let &Probe { success_before_passing, failures_before_warning, failures_before_critical, .. } = probe;
        Self { success_before_passing, failures_before_warning, failures_before_critical, successes: 0, failures: 0 }
    }

    /// Counts a result; returns the status to report, if there are enough in a row for one.
    pub(crate) fn count(&mut self, status: Status) -> Option<Status> {
        match status {
            Status::Passing | Status::Warning => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                (self.successes >= self.success_before_passing).then_some(status)
            }
            Status::Critical => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.failures_before_critical {
                    return Some(Status::Critical);
                }
                (self.failures >= self.failures_before_warning).then_some(Status::Warning)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_count_when_enough_came_in_a_row() {
        use Status::{Critical as C, Passing as P, Warning as W};
        let table: [([u32; 3], &[Status], &[Option<Status>]); 5] = [
            ([0, 0, 0], &[P, C, P], &[Some(P), Some(C), Some(P)]),
            ([0, 2, 2], &[C, C, C, P], &[None, Some(C), Some(C), Some(P)]),
            ([0, 2, 2], &[C, P, C, C], &[None, Some(P), None, Some(C)]),
            ([0, 1, 3], &[C, C, C], &[Some(W), Some(W), Some(C)]),
            ([2, 0, 0], &[P, W, C, P], &[None, Some(W), Some(C), None]),
        ];
        for ([success, warning, critical], results, reported) in table {
            let mut tally = Tally {
                success_before_passing: success,
                failures_before_warning: warning,
                failures_before_critical: critical,
                successes: 0,
                failures: 0,
            };
            let counted: Vec<_> = results.iter().map(|status| tally.count(*status)).collect();
            assert_eq!(counted, reported, "{success} {warning} {critical}");
        }
    }
}
