//! How long each change took.

use std::time::Duration;

use tokio::time::Instant;

use crate::figures::Figures;

#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds a change; if nothing followed it, it took no time.
    pub(crate) fn add(&mut self, began: Instant, ended: Option<Instant>) {
        self.0.push(ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(began)));
    }

    /// Prints and notes the percentiles, in milliseconds.
    pub(crate) fn note(mut self, figures: &mut Figures, change: &str, engine: &str) {
        self.0.sort_unstable();
        let at = |percent: usize| self.0.get((self.0.len() * percent).div_ceil(100).saturating_sub(1));
        let millis = |percent| at(percent).map_or(f64::NAN, |span| span.as_secs_f64() * 1e3);
        let (p50, p99) = (millis(50), millis(99));
        println!("{change:<18} {engine:<9} p50 {p50:>8.2} ms   p99 {p99:>8.2} ms   of {}", self.0.len());
        figures.add(format!("{change}.{engine}.p50"), p50, "ms");
        figures.add(format!("{change}.{engine}.p99"), p99, "ms");
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
