//! The connections to a database, and what is read over them.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use selvedge::Context;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, postgres::PgConnectOptions};
use tokio::time::{Instant, timeout};

use crate::database::{
    connection::Connection,
    failure::Failure,
    lend::Lender,
    statement::{Row, Statement},
    transaction::Transaction,
};

/// A pool of connections to a database whose schema is up to date. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    /// It is known not to answer: nobody waits for it.
    away: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(Lender<Sqlite>),
    Postgres(Lender<Postgres>),
}

/// What keeps the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Database {
    /// Begins a transaction that writes.
    ///
    /// # Errors
    ///
    /// That there is no connection, or that another writes for too long.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let connection = self.connection().await?;
        match self.in_time(Transaction::begin(connection)).await {
            // Nothing was done yet.
            Err(error) if Failure::is_of_connection(&error) => {
                self.in_time(Transaction::begin(self.another().await?)).await
            }
            begun => begun,
        }
    }

    /// Returns the first row that a statement gives, if it gives one. It must be one that reads: over a connection that
    /// broke it is sent again.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn optional(&self, statement: Statement) -> Result<Option<Row>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let mut found = connection.optional(&statement).await;
        if found.as_ref().is_err_and(Failure::is_of_connection) {
            drop(connection);
            connection = self.another().await?;
            found = connection.optional(&statement).await;
        }
        let found = found?;
        connection.give_back();
        Ok(found)
    }

    /// Returns all rows that a statement gives. It must be one that reads, as that of [`Database::optional`].
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn all(&self, statement: Statement) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = Vec::new();
        let each = |row| {
            rows.push(row);
            ControlFlow::Continue(())
        };
        self.scan(statement, each).await?;
        Ok(rows)
    }

    /// Hands on the rows that a statement gives as they come, until `each` has enough. It must be one that reads, as that
    /// of [`Database::optional`].
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn scan(
        &self,
        statement: Statement,
        mut each: impl FnMut(Row) -> ControlFlow<()> + Send,
    ) -> Result<(), sqlx::Error> {
        let any = AtomicBool::new(false);
        let mut each = |row| {
            any.store(true, Ordering::Relaxed);
            each(row)
        };
        let mut connection = self.connection().await?;
        let mut read = connection.scan(&statement, &mut each).await;
        if !any.load(Ordering::Relaxed) && read.as_ref().is_err_and(Failure::is_of_connection) {
            drop(connection);
            connection = self.another().await?;
            read = connection.scan(&statement, &mut each).await;
        }
        // Of rows that were left, the pool gets rid.
        if read? {
            connection.give_back();
        }
        Ok(())
    }

    /// Writes by one statement, which happens whole or not at all, and returns the first row that it gives. It is sent once:
    /// of a connection that broke nobody knows whether it was done.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn write(&self, statement: Statement) -> Result<Option<Row>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let mut first = None;
        let mut each = |row| {
            first.get_or_insert(row);
            ControlFlow::Continue(())
        };
        // To its end, which is when it lasts.
        let written = connection.scan(&statement, &mut each).await;
        if written.as_ref().is_err_and(Failure::is_of_connection) {
            self.forget();
        }
        written?;
        connection.give_back();
        Ok(first)
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
        let Pool::Sqlite(lender) = &self.pool else { return Ok(()) };
        let mut connection = Connection::Sqlite(lender.lend().await?);
        connection.optional(&Statement::new("select 1 from sqlite_schema limit 1")).await?;
        connection.give_back();
        Ok(())
    }

    /// Returns a connection: one that was used a moment ago, or else one that is known to be good.
    async fn connection(&self) -> Result<Connection, sqlx::Error> {
        if self.is_away() {
            return Err(sqlx::Error::PoolTimedOut);
        }
        let spare = match &self.pool {
            Pool::Sqlite(lender) => lender.spare().map(Connection::Sqlite),
            Pool::Postgres(lender) => lender.spare().map(Connection::Postgres),
        };
        match spare {
            Some(connection) => Ok(connection),
            None => self.in_time(self.lend()).await,
        }
    }

    /// Returns a connection that is known to be good, after one was not.
    async fn another(&self) -> Result<Connection, sqlx::Error> {
        self.forget();
        self.in_time(self.lend()).await
    }

    fn forget(&self) {
        match &self.pool {
            Pool::Sqlite(lender) => lender.forget(),
            Pool::Postgres(lender) => lender.forget(),
        }
    }

    async fn lend(&self) -> Result<Connection, sqlx::Error> {
        match &self.pool {
            Pool::Sqlite(lender) => lender.lend().await.map(Connection::Sqlite),
            Pool::Postgres(lender) => lender.lend().await.map(Connection::Postgres),
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

    /// Returns what keeps the rows, for the few statements that the engines do not carry out equally well.
    pub(crate) fn engine(&self) -> Engine {
        match &self.pool {
            Pool::Sqlite(_) => Engine::Sqlite,
            Pool::Postgres(_) => Engine::Postgres,
        }
    }

    /// Returns how its server is reached, if it is on one.
    pub(crate) fn server(&self) -> Option<Arc<PgConnectOptions>> {
        match &self.pool {
            Pool::Sqlite(_) => None,
            Pool::Postgres(lender) => Some(lender.pool().connect_options()),
        }
    }

    /// Ends all connections; statements that run are waited for.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(lender) => lender.close().await,
            Pool::Postgres(lender) => lender.close().await,
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
        Self { pool: Pool::Sqlite(Lender::new(pool)), away: Arc::default() }
    }
}

impl From<PgPool> for Database {
    fn from(pool: PgPool) -> Self {
        Self { pool: Pool::Postgres(Lender::new(pool)), away: Arc::default() }
    }
}
