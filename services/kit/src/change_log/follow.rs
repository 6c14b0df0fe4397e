//! Learns of new changes for all watchers of an instance, and forgets old ones.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::{
    change_log::log::{compact, newest},
    database::Database,
    time,
};

/// How often to look for changes while anybody watches.
const POLL: Duration = Duration::from_millis(100);
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
    let mut compacted = Instant::now();
    loop {
        sleep(POLL).await;
        // One is the follower's own.
        if news.receiver_count() > 1 {
            look(&database, &news).await;
        }
        if compacted.elapsed() >= COMPACT {
            compacted = Instant::now();
            if let Err(error) = compact(&database, time::now_micros()).await {
                warn!(%error, "old changes are not removed: it is tried again in a minute");
            }
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
