//! What went wrong with a request while its service was already being called.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::error::Failure;

/// Shared by the request that is being read and the answer that is being written.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    failure: OnceLock<Failure>,
    told: CancellationToken,
}

impl Broken {
    /// Says what went wrong.
    pub(crate) fn tell(&self, failure: Failure) {
        _ = self.failure.set(failure);
        self.told.cancel();
    }

    /// Returns what went wrong, if something did.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// Waits until something goes wrong.
    pub(crate) async fn wait(&self) -> Failure {
        self.told.cancelled().await;
        self.failure.get().cloned().expect("it is set before it is told")
    }
}
