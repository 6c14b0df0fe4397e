//! Reads of the database that are under way: who wants the same joins one.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::Instant;

/// What a read found, or why it failed.
pub(crate) type Loaded<T> = Result<Option<T>, Arc<sqlx::Error>>;

type Load<T> = Shared<BoxFuture<'static, Loaded<T>>>;

/// Who comes later than this begins anew: a read that hangs does not hold up everybody.
const JOINABLE: Duration = Duration::from_secs(1);

/// The reads that are under way, by key.
#[derive(Clone, Debug)]
pub(crate) struct Loads<T> {
    running: Arc<Mutex<HashMap<String, Running<T>>>>,
    next: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Running<T> {
    number: u64,
    begun: Instant,
    /// Weak: a read that nobody waits for any more ends, and gives its connection back.
    load: WeakShared<BoxFuture<'static, Loaded<T>>>,
}

/// Takes a read out of the list, however it ends.
struct Leave<T> {
    running: Arc<Mutex<HashMap<String, Running<T>>>>,
    key: String,
    number: u64,
}

impl<T: Clone + Send + Sync + 'static> Loads<T> {
    pub(crate) fn new() -> Self {
        Self { running: Arc::default(), next: Arc::default() }
    }

    /// Waits for the read of a key that is under way, or else for the one that `begin` makes.
    pub(crate) fn join<F>(&self, key: &str, begin: impl FnOnce() -> F) -> Load<T>
    where
        F: Future<Output = Loaded<T>> + Send + 'static,
    {
        let mut running = locked(&self.running);
        let joined = running.get(key).filter(|running| running.begun.elapsed() < JOINABLE);
        if let Some(load) = joined.and_then(|running| running.load.upgrade()) {
            return load;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let leave = Leave { running: Arc::clone(&self.running), key: key.to_owned(), number };
        let load = begin();
        let load = async move {
            let _leave = leave;
            load.await
        };
        let load = load.boxed().shared();
        if let Some(weak) = load.downgrade() {
            running.insert(key.to_owned(), Running { number, begun: Instant::now(), load: weak });
        }
        load
    }

    /// Lets nobody else join the read of a key: it may have begun before a write.
    pub(crate) fn forget(&self, key: &str) {
        locked(&self.running).remove(key);
    }
}

impl<T> Drop for Leave<T> {
    fn drop(&mut self) {
        let mut running = locked(&self.running);
        if running.get(&self.key).is_some_and(|running| running.number == self.number) {
            running.remove(&self.key);
        }
    }
}

fn locked<T>(running: &Mutex<HashMap<String, Running<T>>>) -> MutexGuard<'_, HashMap<String, Running<T>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_wants_the_same_waits_for_one_read() {
        let loads = Loads::new();
        let begun = AtomicUsize::new(0);
        let (answer, answered) = oneshot::channel();
        let first = loads.join("a", || {
            begun.fetch_add(1, Ordering::Relaxed);
            async { Ok(answered.await.ok()) }
        });
        let others: Vec<_> = (0..9).map(|_| loads.join("a", || async { panic!("a second read") })).collect();
        // The first gives up: the others go on.
        drop(first);
        answer.send(7).unwrap();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(7));
        }
        assert_eq!(begun.into_inner(), 1);
        assert_eq!(loads.join("a", || async { Ok(Some(8)) }).await.unwrap(), Some(8));
        assert!(locked(&loads.running).is_empty());
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_ends() {
        let loads = Loads::<i32>::new();
        let (held, released) = oneshot::channel::<()>();
        drop(loads.join("a", || async move {
            let _held = held;
            std::future::pending().await
        }));
        assert!(released.await.is_err());
        assert!(locked(&loads.running).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_joins_a_read_from_before_a_write_or_one_that_hangs() {
        let loads = Loads::new();
        let _slow = loads.join("a", std::future::pending);
        loads.forget("a");
        assert_eq!(loads.join("a", || async { Ok(Some(2)) }).await.unwrap(), Some(2));
        let _slow = loads.join("a", std::future::pending);
        tokio::time::advance(JOINABLE).await;
        assert_eq!(loads.join("a", || async { Ok(Some(3)) }).await.unwrap(), Some(3));
    }
}
