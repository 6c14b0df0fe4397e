//! Lends the connections of a pool.
//!
//! sqlx asks the engine on every way out of its pool, and on every way back: two round trips beside the one of a read.
//! A connection that was just used well needs neither, and is kept here for whoever comes next. All others go sqlx's
//! way: those that are new, that were left in the middle of something, or that nobody wanted for a while.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Connection as _, Database, Pool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Nothing is asked of a connection that was used so lately.
const FRESH: Duration = Duration::from_secs(1);
/// How long a connection stays past sqlx's pool, which knows how old one may grow.
const LONGEST: Duration = Duration::from_secs(60);

/// Lends the connections of one pool. Cheap to clone.
pub(crate) struct Lender<DB: Database> {
    pool: Pool<DB>,
    /// As many as there are connections: whoever has one finds a connection here or in the pool.
    permits: Arc<Semaphore>,
    spares: Arc<Mutex<VecDeque<Spare<DB>>>>,
}

/// A connection that was used well.
struct Spare<DB: Database> {
    connection: PoolConnection<DB>,
    /// When it came out of the pool.
    out: Instant,
    used: Instant,
}

/// A connection that is lent. Dropped, it goes back to the pool, which looks at it first.
pub(crate) struct Lent<DB: Database> {
    connection: PoolConnection<DB>,
    out: Instant,
    lender: Lender<DB>,
    /// After the connection: it is free when that is back.
    permit: OwnedSemaphorePermit,
}

impl<DB: Database> Lender<DB> {
    pub(crate) fn new(pool: Pool<DB>) -> Self {
        let connections = pool.options().get_max_connections();
        let connections = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self { pool, permits: Arc::new(Semaphore::new(connections)), spares: Arc::default() }
    }

    pub(crate) fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// Lends a connection that was used a moment ago, if one is free.
    pub(crate) fn spare(&self) -> Option<Lent<DB>> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let spare = self.kept().pop_back_if(|spare| spare.used.elapsed() < FRESH)?;
        Some(self.lent(spare.connection, spare.out, permit))
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// That there is none in time, or that the engine is not there.
    pub(crate) async fn lend(&self) -> Result<Lent<DB>, sqlx::Error> {
        let waited = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            let spare = self.kept().pop_back();
            if let Some(Spare { mut connection, out, used }) = spare
                && (used.elapsed() < FRESH || connection.ping().await.is_ok())
            {
                return Ok(self.lent(connection, out, permit));
            }
            Ok(self.lent(self.pool.acquire().await?, Instant::now(), permit))
        };
        let most = self.pool.options().get_acquire_timeout();
        timeout(most, waited).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Gives up all that were used before: one of them was broken.
    pub(crate) fn forget(&self) {
        self.kept().clear();
    }

    /// Ends all connections, when those that are lent are back.
    pub(crate) async fn close(&self) {
        // The pool is closed from here on, and what comes back now is not kept.
        let closing = self.pool.close();
        self.forget();
        closing.await;
    }

    fn lent(&self, connection: PoolConnection<DB>, out: Instant, permit: OwnedSemaphorePermit) -> Lent<DB> {
        Lent { connection, out, lender: self.clone(), permit }
    }

    fn keep(&self, spare: Spare<DB>) {
        let mut kept = self.kept();
        if self.pool.is_closed() || spare.out.elapsed() >= LONGEST {
            return;
        }
        kept.push_back(spare);
        // What is not wanted goes to the pool, which ends what is idle for long.
        if kept.front().is_some_and(|oldest| oldest.used.elapsed() >= FRESH) {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Spare<DB>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: Database> Lent<DB> {
    pub(crate) fn get(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }

    /// Gives back a connection on which all that was begun has ended well.
    pub(crate) fn give_back(self) {
        let Self { connection, out, lender, permit } = self;
        lender.keep(Spare { connection, out, used: Instant::now() });
        // Not before the connection is there.
        drop(permit);
    }

    /// Drops the connection, and ends it instead of giving it to others.
    pub(crate) fn end(mut self) {
        self.connection.close_on_drop();
    }
}

impl<DB: Database> Clone for Lender<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), permits: Arc::clone(&self.permits), spares: Arc::clone(&self.spares) }
    }
}

impl<DB: Database> fmt::Debug for Lender<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lender").field("free", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

impl<DB: Database> fmt::Debug for Lent<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("out", &self.out).finish_non_exhaustive()
    }
}
