//! One watch of the products: first the present state if it was asked for, then every change.
//!
//! It reads as its reader takes: what is read ahead is one batch, whoever does not read.

use std::{collections::VecDeque, future::Future, panic, time::Duration};

use futures::{Stream, stream};
use selvedge_kit::{
    change_log::{Change, Follower, Kind},
    token,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    error::{Ended, Error},
    product::Product,
    store::Store,
};

/// How many products or changes are read at once.
pub(crate) const BATCH: i64 = 50;
/// How long a reader may leave what it was sent.
const SLOWEST: Duration = Duration::from_secs(30);

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A product as it is.
    Present(Product),
    /// The present state is told: from here on, all are changes.
    Bookmark,
    /// A change.
    Changed(Kind, Product),
}

/// What is told, and the token of the place after it.
#[derive(Clone, Debug)]
pub struct Event {
    /// What is told.
    pub told: Told,
    /// Leads on after it.
    pub resume_token: String,
}

/// A place in a watch; what a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Changes up to this revision were told, or are in the present state.
    revision: i64,
    /// Of the present state as of that revision, products up to this sequence number were told; nothing if all were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    state_after: Option<i64>,
}

/// What makes watches end, and go on.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Tells of changes.
    pub follower: Follower,
    /// Is cancelled when the instance drains.
    pub leaving: CancellationToken,
}

/// One watch.
#[derive(Debug)]
struct Watch {
    store: Store,
    news: watch::Receiver<i64>,
    signals: Signals,
    /// Up to here, all was read.
    read: Place,
    /// Up to here, all was told.
    told: Place,
    ahead: VecDeque<(Told, Place)>,
    handed: Instant,
}

impl Place {
    pub(crate) fn now(revision: i64) -> Self {
        Self { revision, state_after: None }
    }

    pub(crate) fn state(revision: i64) -> Self {
        Self { revision, state_after: Some(0) }
    }

    pub(crate) fn open(resume_token: &str) -> Option<Self> {
        token::open(PURPOSE, resume_token)
    }

    fn seal(self) -> String {
        token::seal(PURPOSE, &self)
    }
}

/// What the tokens are good for.
const PURPOSE: &str = "products:watch";

/// Tells all from a place on. Whether it begins with a bookmark: so that a caller who has no token yet is given one.
pub(crate) fn watch(
    store: Store,
    signals: Signals,
    from: Place,
    bookmark: bool,
) -> impl Stream<Item = Result<Event, Ended>> + Send + 'static {
    let ahead = bookmark.then_some((Told::Bookmark, from)).into_iter().collect();
    let news = signals.follower.news();
    let watch = Watch { store, news, signals, read: from, told: from, ahead, handed: Instant::now() };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => Some((Ok(event), Some(watch))),
            Err(error) => {
                let resume_token = watch.told.seal();
                Some((Err(Ended { error, resume_token }), None))
            }
        }
    })
}

impl Watch {
    async fn next(&mut self) -> Result<Event, Error> {
        // Nobody asks for the next one while the one before waits to be taken.
        if self.handed.elapsed() > SLOWEST {
            return Err(Error::SlowReader);
        }
        while self.ahead.is_empty() {
            self.read_on().await?;
        }
        let (told, place) = self.ahead.pop_front().expect("it is not empty");
        self.told = place;
        self.handed = Instant::now();
        Ok(Event { told, resume_token: place.seal() })
    }

    /// Reads what comes next; waits for it if there is nothing.
    async fn read_on(&mut self) -> Result<(), Error> {
        if self.signals.leaving.is_cancelled() {
            return Err(Error::Draining);
        }
        if let Some(after) = self.read.state_after {
            return self.read_state(after).await;
        }
        // Before the read, so that what comes meanwhile is news.
        self.news.borrow_and_update();
        let (store, revision) = (self.store.clone(), self.read.revision);
        let changes = unhurried(async move { store.changes(revision, BATCH).await }).await?;
        for Change { revision, kind, resource } in changes {
            self.read = Place::now(revision);
            self.ahead.push_back((Told::Changed(kind, resource), self.read));
        }
        if self.ahead.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }

    /// What changed after the revision is left out: it comes as a change.
    async fn read_state(&mut self, after: i64) -> Result<(), Error> {
        let (store, revision) = (self.store.clone(), self.read.revision);
        let products = unhurried(async move { store.present(revision, after, BATCH).await }).await?;
        let Some(last) = products.last() else {
            self.read.state_after = None;
            self.ahead.push_back((Told::Bookmark, self.read));
            return Ok(());
        };
        self.read.state_after = Some(last.sequence);
        for product in products {
            let place = Place { state_after: Some(product.sequence), ..self.read };
            self.ahead.push_back((Told::Present(product), place));
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Error> {
        tokio::select! {
            changed = self.news.changed() => changed.map_err(|_| Error::Draining)?,
            () = self.signals.leaving.cancelled() => return Err(Error::Draining),
        }
        // It waited for changes, not for its reader.
        self.handed = Instant::now();
        Ok(())
    }
}

/// Runs a read to its end, also while nobody polls the watch: a reader that stops would keep a connection of the
/// database for as long as it likes.
async fn unhurried<T: Send + 'static>(
    read: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match AbortOnDropHandle::new(tokio::spawn(read)).await {
        Ok(read) => read,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
