//! How far the end of serving has come.

use tokio_util::sync::CancellationToken;

/// Told once by the drain, heard by the listener and by every connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    /// Nothing new is taken: no connection, and after GOAWAY no call. What runs goes on.
    pub(crate) leaving: CancellationToken,
    /// What still runs is cut off.
    pub(crate) over: CancellationToken,
}
