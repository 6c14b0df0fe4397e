//! Does what time alone changes, when it is due.

use std::future;

use tokio::time::{Instant, sleep_until};

use crate::store::Shared;

/// Keeps the state until it is dropped.
pub(crate) async fn run(store: Shared) {
    let mut changes = store.changes();
    loop {
        let next = store.read(|state| state.next_due());
        tokio::select! {
            () = due(next) => store.write_if(|state| state.keep(Instant::now())),
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

async fn due(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => future::pending().await,
    }
}
