//! What is followed at present: one feed for each name, shared by all who follow it.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    select,
    sync::watch::{Receiver, Sender},
    time::{Instant, sleep_until},
};

/// How what a source tells becomes what followers see.
pub(crate) trait View {
    /// What one answer of the source says.
    type Told;
    /// What followers see.
    type Seen: PartialEq;

    /// Takes note of an answer.
    fn see(&mut self, told: Self::Told, now: Instant) -> Self::Seen;

    /// Returns what was known before this process began, for when the source cannot be asked.
    fn remembered(&mut self, _now: Instant) -> Option<Self::Seen> {
        None
    }

    /// When something that is seen expires without an answer.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Returns what is seen when all that is due expired, if that changes anything.
    fn expire(&mut self, _now: Instant) -> Option<Self::Seen> {
        None
    }
}

/// What is followed at present, by name.
#[derive(Debug)]
pub(crate) struct Feeds<K, V> {
    open: Arc<Mutex<HashMap<K, Sender<V>>>>,
}

/// The side of a feed that knows the news.
#[derive(Debug)]
pub(crate) struct Feed<K, V> {
    name: K,
    news: Sender<V>,
    feeds: Feeds<K, V>,
}

impl<K: Clone + Eq + Hash, V: Default> Feeds<K, V> {
    /// Follows what is followed already, or begins to.
    pub(crate) fn follow(&self, name: K, begin: impl FnOnce(Feed<K, V>)) -> Receiver<V> {
        let mut open = self.lock();
        if let Some(news) = open.get(&name) {
            return news.subscribe();
        }
        let (news, receiver) = tokio::sync::watch::channel(V::default());
        open.insert(name.clone(), news.clone());
        begin(Feed { name, news, feeds: self.clone() });
        receiver
    }
}

impl<K, V> Feeds<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Sender<V>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Feeds<K, V> {
    fn clone(&self) -> Self {
        Self { open: Arc::clone(&self.open) }
    }
}

impl<K, V> Default for Feeds<K, V> {
    fn default() -> Self {
        Self { open: Arc::default() }
    }
}

impl<K: Eq + Hash, V: PartialEq> Feed<K, V> {
    /// Tells followers what they do not know yet, and returns whether it was news: a new index of Consul often is
    /// none.
    pub(crate) fn publish(&self, value: V) -> bool {
        self.news.send_if_modified(|known| {
            let news = *known != value;
            *known = value;
            news
        })
    }

    /// Waits for something, and publishes what expires meanwhile. It comes to nothing when nobody follows any more.
    pub(crate) async fn meanwhile<T>(
        &self,
        awaited: impl Future<Output = T>,
        view: &mut impl View<Seen = V>,
    ) -> Option<T> {
        let mut awaited = pin!(awaited);
        loop {
            select! {
                () = self.abandoned() => return None,
                done = &mut awaited => return Some(done),
                () = reached(view.due()) => {
                    if let Some(seen) = view.expire(Instant::now()) {
                        self.publish(seen);
                    }
                }
            }
        }
    }

    /// Waits until nobody follows, and closes the feed.
    async fn abandoned(&self) {
        loop {
            self.news.closed().await;
            // Under the lock: somebody may have come just now.
            let mut open = self.feeds.lock();
            if self.news.receiver_count() == 0 {
                open.remove(&self.name);
                return;
            }
        }
    }
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
