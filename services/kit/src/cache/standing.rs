//! Whether Redis answers, and what it is owed: writes that it must hear of before anybody reads of it again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::cache::entry::Entry;

/// Writes that are remembered; the oldest are forgotten first.
const MOST_OWED: usize = 100_000;

/// Whether Redis is asked.
#[derive(Debug)]
pub(crate) struct Standing {
    state: Mutex<State>,
    /// Wakes who asks Redis whether it is back.
    fell: Notify,
    /// A copy is not older than this: then, nothing is owed any more.
    ttl: Duration,
}

#[derive(Debug, Default)]
struct State {
    up: bool,
    owed: HashMap<String, Owed>,
}

#[derive(Clone, Debug)]
struct Owed {
    entry: Entry,
    since: Instant,
}

impl Standing {
    /// Nothing is known yet: Redis is away until it answers.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { state: Mutex::default(), fell: Notify::new(), ttl }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state().up
    }

    /// Redis did not answer in time: until it does, it is not asked.
    pub(crate) fn fall(&self) {
        self.state().up = false;
        self.fell.notify_one();
    }

    /// Waits until Redis is away.
    pub(crate) async fn fallen(&self) {
        while self.is_up() {
            self.fell.notified().await;
        }
    }

    /// Remembers a write that Redis did not take, unless a newer one is remembered.
    pub(crate) fn owe(&self, key: &str, entry: Entry) {
        let now = Instant::now();
        let mut state = self.state();
        if state.owed.get(key).is_some_and(|owed| owed.entry.version >= entry.version) {
            return;
        }
        state.owed.insert(key.to_owned(), Owed { entry, since: now });
        if state.owed.len() > MOST_OWED {
            let oldest = state.owed.iter().min_by_key(|(_, owed)| owed.since).map(|(key, _)| key.clone());
            oldest.and_then(|key| state.owed.remove(&key));
        }
    }

    /// Returns some of what is owed, and how long each may still live; or declares Redis up if nothing is.
    pub(crate) fn owed_or_up(&self) -> Vec<(String, Entry, Duration)> {
        const AT_ONCE: usize = 100;
        let mut state = self.state();
        state.owed.retain(|_, owed| owed.since.elapsed() < self.ttl);
        state.up = state.owed.is_empty();
        let left = |owed: &Owed| self.ttl - owed.since.elapsed().min(self.ttl);
        state.owed.iter().take(AT_ONCE).map(|(key, owed)| (key.clone(), owed.entry.clone(), left(owed))).collect()
    }

    /// Redis took an entry.
    pub(crate) fn paid(&self, key: &str, entry: &Entry) {
        let mut state = self.state();
        if state.owed.get(key).is_some_and(|owed| owed.entry.version <= entry.version) {
            state.owed.remove(key);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::Version;

    const TTL: Duration = Duration::from_secs(30);

    fn entry(revision: i64) -> Entry {
        Entry::new(Version { sequence: 1, revision }, 1, Some(&revision))
    }

    #[tokio::test(start_paused = true)]
    async fn redis_is_up_when_it_was_told_all_that_it_missed() {
        let standing = Standing::new(TTL);
        assert!(!standing.is_up());
        standing.owe("a", entry(2));
        standing.owe("a", entry(1));
        let owed = standing.owed_or_up();
        assert_eq!(owed, [("a".to_owned(), entry(2), TTL)]);
        assert!(!standing.is_up());
        // Written once more while the first was on its way.
        standing.owe("a", entry(3));
        standing.paid("a", &owed[0].1);
        tokio::time::advance(TTL / 3).await;
        assert_eq!(standing.owed_or_up(), [("a".to_owned(), entry(3), TTL - TTL / 3)]);
        standing.paid("a", &entry(3));
        assert_eq!(standing.owed_or_up(), []);
        assert!(standing.is_up());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_owed_longer_than_a_copy_lives() {
        let standing = Standing::new(TTL);
        standing.owe("a", entry(1));
        tokio::time::advance(TTL).await;
        assert_eq!(standing.owed_or_up(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_that_redis_fell() {
        let standing = Standing::new(TTL);
        standing.owed_or_up();
        let waiting = standing.fallen();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        standing.fall();
        waiting.await;
    }
}
