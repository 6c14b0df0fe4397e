//! What the phases came to, beside what is expected of them.

use std::{path::Path, time::Duration};

use crate::{chaos::load::Noted, figures::Figures};

/// Errors that count as those of before an ejection: in this time after the begin of a phase.
const UNTIL_EJECTED: Duration = Duration::from_secs(2);

/// What one phase came to.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) phase: &'static str,
    pub(crate) calls: Vec<Noted>,
    /// Attempts that arrived at the servers.
    pub(crate) attempts: u64,
    pub(crate) took: Duration,
}

/// All phases, in their order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// One phase in figures.
#[derive(Debug)]
struct Row {
    phase: &'static str,
    calls: f64,
    failed: f64,
    /// Calls that failed later than [`UNTIL_EJECTED`].
    failed_late: f64,
    p50: f64,
    p99: f64,
    attempts: f64,
    took: f64,
    /// When the last call that failed was due, in seconds.
    last_failure: f64,
}

impl Report {
    pub(crate) fn add(&mut self, seen: Seen) {
        let Seen { phase, mut calls, attempts, took } = seen;
        calls.sort_by_key(|call| call.took);
        let failed: Vec<&Noted> = calls.iter().filter(|call| !call.ok).collect();
        let millis = |share: f64| {
            let at = (calls.len() as f64 * share) as usize;
            calls.get(at.min(calls.len().saturating_sub(1))).map_or(f64::NAN, |call| call.took.as_secs_f64() * 1e3)
        };
        self.rows.push(Row {
            phase,
            calls: calls.len() as f64,
            failed: failed.len() as f64,
            failed_late: failed.iter().filter(|call| call.due > UNTIL_EJECTED).count() as f64,
            p50: millis(0.5),
            p99: millis(0.99),
            attempts: attempts as f64,
            took: took.as_secs_f64(),
            last_failure: failed.iter().map(|call| call.due).max().unwrap_or_default().as_secs_f64(),
        });
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<12} {:>8} {:>9} {:>9} {:>9} {:>14}",
            "phase", "calls", "success", "p50 ms", "p99 ms", "attempts/call"
        );
        for Row { phase, calls, failed, p50, p99, attempts, .. } in &self.rows {
            let (success, each) = (100.0 * (calls - failed) / calls, attempts / calls);
            println!("{phase:<12} {calls:>8} {success:>8.3}% {p50:>9.2} {p99:>9.2} {each:>14.3}");
        }
        println!();
        for (what, value, limit) in self.expectations() {
            let kept = if value <= limit { "as expected" } else { "NOT AS EXPECTED" };
            println!("{what:<58} {value:>9.3}  at most {limit:>9.3}  {kept}");
        }
    }

    /// Writes `target/bench/chaos.json`.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        for row in &self.rows {
            let Row { phase, calls, failed, p50, p99, attempts, .. } = row;
            for (name, value, unit) in [
                ("success", (calls - failed) / calls, "1"),
                ("p50", p50 * 1e3, "us"),
                ("p99", p99 * 1e3, "us"),
                ("attempts_per_call", attempts / calls, "1"),
            ] {
                figures.add(format!("chaos.{phase}.{name}"), value, unit);
            }
        }
        for (what, value, _) in self.expectations() {
            figures.add(format!("chaos.expected.{}", what.replace(' ', "_")), value, "1");
        }
        figures.write(Path::new("target/bench/chaos.json"))
    }

    /// Returns what is expected: what it is, what it came to, and what it may come to at most.
    fn expectations(&self) -> Vec<(&'static str, f64, f64)> {
        let row = |phase: &str| self.rows.iter().find(|row| row.phase == phase);
        let [Some(healthy), Some(slow), Some(failing), Some(frozen), Some(out), Some(back)] =
            ["healthy", "one_slow", "one_failing", "one_frozen", "all_failing", "all_back"].map(row)
        else {
            return Vec::new();
        };
        vec![
            ("p99 with one slow to p99 of all healthy", slow.p99 / healthy.p99, 1.2),
            ("errors after the ejection of one that fails", failing.failed_late, 0.0),
            ("errors after the ejection of one that is frozen", frozen.failed_late, 0.0),
            ("attempts in a total outage", out.attempts, out.calls * 1.2 + 10.0 * out.took),
            ("seconds from the end of the outage to the last error", back.last_failure, 2.0),
        ]
    }
}
