//! How much is measured, and how long it may take.

use std::time::Duration;

use tokio::time::sleep;

/// How long anything may take before the benchmark gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Changes of each kind
    #[arg(long, default_value_t = 100)]
    pub(crate) changes: usize,
    /// Milliseconds of rest before each change
    #[arg(long, default_value_t = 1_050)]
    rest: u64,
    /// Instances of the large service; 0 leaves it out
    #[arg(long, default_value_t = 1_000)]
    pub(crate) crowd: usize,
    /// Services in view of a process that idles; 0 leaves it out
    #[arg(long, default_value_t = 1_000)]
    pub(crate) services: usize,
}

impl Plan {
    /// Rests before a change, so that it is the first after a quiet while.
    pub(crate) async fn rest(self) {
        sleep(Duration::from_millis(self.rest)).await;
    }
}
