//! The threads of a runtime, for what each of them has of its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;

/// Returns the number of this thread: those of a process are counted as they ask for it.
pub(crate) fn number() -> usize {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = ASKED.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}

/// Returns how many threads run the tasks of this runtime; one where there is no runtime.
pub(crate) fn count() -> usize {
    Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}
