//! The connections to a database, and what is done over them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    future::{Either, ready},
    stream::{self, BoxStream},
};
use selvedge::Context;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, postgres::PgConnectOptions};
use tokio::time::{Instant, timeout};

use crate::database::statement::{Row, Statement};

/// A transaction that writes takes SQLite's lock at its begin. A deferred one could find on its first write that
/// another wrote meanwhile, and then no waiting helps it.
const BEGIN_WRITE: &str = "begin immediate";

/// A pool of connections to a database whose schema is up to date. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    /// It is known not to answer: nobody waits for it.
    away: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Writes that happen all or not at all: without [`Transaction::commit`], not at all.
#[derive(Debug)]
pub struct Transaction {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Database {
    /// Begins a transaction that writes.
    ///
    /// # Errors
    ///
    /// That there is no connection, or that another writes for too long.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let inner = match &self.pool {
            Pool::Sqlite(pool) => Inner::Sqlite(self.in_time(pool.begin_with(BEGIN_WRITE)).await?),
            Pool::Postgres(pool) => Inner::Postgres(self.in_time(pool.begin()).await?),
        };
        Ok(Transaction { inner })
    }

    /// Returns the first row that a statement gives, if it gives one.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn optional(&self, statement: Statement) -> Result<Option<Row>, sqlx::Error> {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let mut connection = self.in_time(pool.acquire()).await?;
                Ok(statement.sqlite().fetch_optional(&mut *connection).await?.map(Row::from))
            }
            Pool::Postgres(pool) => {
                let mut connection = self.in_time(pool.acquire()).await?;
                Ok(statement.postgres().fetch_optional(&mut *connection).await?.map(Row::from))
            }
        }
    }

    /// Returns all rows that a statement gives.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn all(&self, statement: Statement) -> Result<Vec<Row>, sqlx::Error> {
        self.rows(statement).try_collect().await
    }

    /// Returns the rows of a statement as they come: whoever has enough drops the stream.
    pub fn rows(&self, statement: Statement) -> impl Stream<Item = Result<Row, sqlx::Error>> + Send + use<> {
        let rows: BoxStream<'static, _> = match &self.pool {
            Pool::Sqlite(pool) => statement.sqlite().fetch(pool).map_ok(Row::from).boxed(),
            Pool::Postgres(pool) => statement.postgres().fetch(pool).map_ok(Row::from).boxed(),
        };
        if self.is_away() {
            Either::Left(stream::once(ready(Err(sqlx::Error::PoolTimedOut))))
        } else {
            Either::Right(rows)
        }
    }

    /// Says whether the database answers: while it does not, calls fail at once instead of waiting for it.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Asks a file for something that is not remembered, also while it is away; nothing of a server.
    pub(crate) async fn ask_file(&self) -> Result<(), sqlx::Error> {
        match &self.pool {
            Pool::Sqlite(pool) => {
                sqlx::query("select 1 from sqlite_schema limit 1").fetch_optional(pool).await.map(drop)
            }
            Pool::Postgres(_) => Ok(()),
        }
    }

    /// Waits for a connection no longer than the call that is served allows.
    async fn in_time<T>(&self, connection: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        if self.is_away() {
            return Err(sqlx::Error::PoolTimedOut);
        }
        match Context::current().deadline {
            Some(deadline) => {
                timeout(patience(deadline - Instant::now()), connection).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }
            None => connection.await,
        }
    }

    /// Returns how its server is reached, if it is on one.
    pub(crate) fn server(&self) -> Option<Arc<PgConnectOptions>> {
        match &self.pool {
            Pool::Sqlite(_) => None,
            Pool::Postgres(pool) => Some(pool.connect_options()),
        }
    }

    /// Ends all connections; statements that run are waited for.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Returns the first row that a statement gives, if it gives one.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn optional(&mut self, statement: Statement) -> Result<Option<Row>, sqlx::Error> {
        match &mut self.inner {
            Inner::Sqlite(inner) => Ok(statement.sqlite().fetch_optional(&mut **inner).await?.map(Row::from)),
            Inner::Postgres(inner) => Ok(statement.postgres().fetch_optional(&mut **inner).await?.map(Row::from)),
        }
    }

    /// Returns the one row that a statement gives.
    ///
    /// # Errors
    ///
    /// Those of the engine, and [`sqlx::Error::RowNotFound`].
    pub async fn one(&mut self, statement: Statement) -> Result<Row, sqlx::Error> {
        self.optional(statement).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs a statement, and returns how many rows it touched.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn run(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        match &mut self.inner {
            Inner::Sqlite(inner) => Ok(statement.sqlite().execute(&mut **inner).await?.rows_affected()),
            Inner::Postgres(inner) => Ok(statement.postgres().execute(&mut **inner).await?.rows_affected()),
        }
    }

    /// Says whether the engine tells what a transaction tells.
    pub(crate) fn tells(&self) -> bool {
        match &self.inner {
            Inner::Sqlite(_) => false,
            Inner::Postgres(_) => true,
        }
    }

    /// Makes the writes last.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.inner {
            Inner::Sqlite(inner) => inner.commit().await,
            Inner::Postgres(inner) => inner.commit().await,
        }
    }
}

/// Of what is left of a call's time, how much may pass before a connection is there: a caller hears in time that there is
/// none, and its mesh can try twice more.
fn patience(left: Duration) -> Duration {
    left / 4
}

impl From<SqlitePool> for Database {
    fn from(pool: SqlitePool) -> Self {
        Self { pool: Pool::Sqlite(pool), away: Arc::default() }
    }
}

impl From<PgPool> for Database {
    fn from(pool: PgPool) -> Self {
        Self { pool: Pool::Postgres(pool), away: Arc::default() }
    }
}
