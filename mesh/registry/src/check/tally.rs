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
        // As in Consul, the first result counts at once, whichever it is.
        let (successes, failures) = (success_before_passing, failures_before_critical);
        Self { success_before_passing, failures_before_warning, failures_before_critical, successes, failures }
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
    use std::time::Duration;

    use super::*;
    use crate::definition::Target;

    /// Counts results, written as the first letters of their statuses; `.` is a result that is not reported.
    fn counted([success, warning, critical]: [u32; 3], results: &str) -> String {
        let mut tally = Tally::new(&Probe {
            target: Target::Tcp { address: String::new() },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            success_before_passing: success,
            failures_before_warning: warning,
            failures_before_critical: critical,
        });
        let status = |letter| match letter {
            'p' => Status::Passing,
            'w' => Status::Warning,
            _ => Status::Critical,
        };
        let letter = |status: Status| status.as_str().chars().next().unwrap_or('.');
        results.chars().map(|result| tally.count(status(result)).map_or('.', letter)).collect()
    }

    #[test]
    fn results_count_when_enough_came_in_a_row() {
        let table = [
            ([0, 0, 0], "pcpw", "pcpw"),
            ([0, 2, 2], "pccp", "p.cp"),
            ([0, 2, 2], "pcpcc", "p.p.c"),
            ([0, 1, 3], "pcccc", "pwwcc"),
            ([0, 3, 3], "cpccc", "cp..c"),
            ([2, 0, 0], "pcpwp", "pc.wp"),
        ];
        for (thresholds, results, reported) in table {
            assert_eq!(counted(thresholds, results), reported, "{thresholds:?} {results}");
        }
    }
}
