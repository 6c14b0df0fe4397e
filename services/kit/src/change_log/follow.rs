//! Learns of new changes for all watchers of an instance, and forgets old ones.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::{
    change_log::log::{CHANNEL, compact, newest},
    database::{Database, Listener},
    time,
};

/// How often to look for changes while anybody watches, where nobody tells of them.
const POLL: Duration = Duration::from_millis(100);
/// How often to look where they are told of, in case that a word was lost.
const POLL_WHERE_TOLD: Duration = Duration::from_secs(2);
/// How long to listen on when nobody watches any more: who was cut off comes back.
const UNWATCHED: Duration = Duration::from_secs(10);
/// When to listen again after a failure.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How often to forget old ones.
const COMPACT: Duration = Duration::from_secs(60);

/// Tells watchers that there are changes. Cheap to clone; ends with its last clone.
#[derive(Clone, Debug)]
pub struct Follower {
    news: watch::Receiver<i64>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Follower {
    /// Follows the changes in a database.
    #[must_use]
    pub fn start(database: Database) -> Self {
        let (sender, news) = watch::channel(0);
        let task = AbortOnDropHandle::new(tokio::spawn(run(database, sender)));
        Self { news, _task: Arc::new(task) }
    }

    /// Returns what changes whenever there may be something new to read.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<i64> {
        self.news.clone()
    }
}

async fn run(database: Database, news: watch::Sender<i64>) {
    let told = AtomicBool::new(false);
    tokio::select! {
        never = poll(&database, &news, &told) => match never {},
        never = listen(&database, &news, &told) => match never {},
        never = forget(&database) => match never {},
    }
}

/// Looks for changes now and then.
async fn poll(database: &Database, news: &watch::Sender<i64>, told: &AtomicBool) -> Infallible {
    let mut looked = Instant::now();
    loop {
        sleep(POLL).await;
        let often = !told.load(Ordering::Relaxed);
        if is_watched(news) && (often || looked.elapsed() >= POLL_WHERE_TOLD) {
            look(database, news).await;
            looked = Instant::now();
        }
    }
}

/// Hears of changes, where the engine tells of them, while anybody watches: whom nobody listens to, the engine need not
/// wake after each change.
async fn listen(database: &Database, news: &watch::Sender<i64>, told: &AtomicBool) -> Infallible {
    loop {
        while !is_watched(news) {
            sleep(POLL).await;
        }
        match database.listen(CHANNEL).await {
            Ok(Some(mut listener)) => {
                told.store(true, Ordering::Relaxed);
                // What came before it listened.
                look(database, news).await;
                hear(&mut listener, news).await;
                told.store(false, Ordering::Relaxed);
            }
            Ok(None) => return std::future::pending().await,
            Err(error) => debug!(%error, "changes cannot be listened for: they are looked for"),
        }
        sleep(LISTEN_AGAIN).await;
    }
}

/// Hears of changes until the connection is lost, or nobody has been watching for a while.
async fn hear(listener: &mut Listener, news: &watch::Sender<i64>) {
    let mut watched = Instant::now();
    loop {
        match timeout(UNWATCHED, listener.next()).await {
            Ok(Ok(Some(revision))) => {
                let revision: i64 = revision.parse().unwrap_or_default();
                news.send_if_modified(|known| std::mem::replace(known, revision.max(*known)) < revision);
            }
            Ok(Ok(None) | Err(_)) => {
                debug!("changes are not told of any more: they are looked for");
                return;
            }
            Err(_) => {}
        }
        if is_watched(news) {
            watched = Instant::now();
        } else if watched.elapsed() >= UNWATCHED {
            return;
        }
    }
}

/// Says whether anybody watches: one receiver is the follower's own.
fn is_watched(news: &watch::Sender<i64>) -> bool {
    news.receiver_count() > 1
}

async fn forget(database: &Database) -> Infallible {
    loop {
        sleep(COMPACT).await;
        if let Err(error) = compact(database, time::now_micros()).await {
            warn!(%error, "old changes are not removed: it is tried again in a minute");
        }
    }
}

async fn look(database: &Database, news: &watch::Sender<i64>) {
    match newest(database).await {
        Ok(newest) => {
            news.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        }
        // Calls that need the database say so louder.
        Err(error) => debug!(%error, "new changes cannot be looked for"),
    }
}
