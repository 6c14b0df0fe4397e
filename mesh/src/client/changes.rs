//! Tells all who follow that something changed, those first that have waited longest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Something that changes. Cheap to clone.
///
/// A watch channel wakes its receivers in an order of its own, which would make a simulation another one each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    told: Notify,
    followers: AtomicUsize,
}

impl Changes {
    /// Tells that it changed.
    pub(crate) fn tell(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    /// Follows it: what changes from now on is not missed.
    pub(crate) fn follow(&self) -> Follower {
        self.0.followers.fetch_add(1, Ordering::SeqCst);
        Follower { changes: self.clone(), seen: self.0.count.load(Ordering::SeqCst) }
    }

    /// Returns how many follow it.
    pub(crate) fn followers(&self) -> usize {
        self.0.followers.load(Ordering::SeqCst)
    }
}

/// One who follows.
#[derive(Debug)]
pub(crate) struct Follower {
    changes: Changes,
    seen: u64,
}

impl Follower {
    /// Waits for a change since the last one that was seen.
    pub(crate) async fn changed(&mut self) {
        loop {
            let told = self.changes.0.told.notified();
            tokio::pin!(told);
            // From here on nothing that is told is missed.
            told.as_mut().enable();
            let count = self.changes.0.count.load(Ordering::SeqCst);
            if std::mem::replace(&mut self.seen, count) != count {
                return;
            }
            told.await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.changes.0.followers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_once_by_each_however_late_it_looks() {
        let changes = Changes::default();
        let (mut early, mut late) = (changes.follow(), changes.follow());
        assert!(early.changed().now_or_never().is_none());
        changes.tell();
        changes.tell();
        for follower in [&mut early, &mut late] {
            assert!(follower.changed().now_or_never().is_some());
            assert!(follower.changed().now_or_never().is_none());
        }
        assert!(changes.follow().changed().now_or_never().is_none(), "what was before is not news");
        drop(early);
        assert_eq!(changes.followers(), 1);
    }
}
