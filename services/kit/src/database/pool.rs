//! The connections to a database, and what is done over them.

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use crate::database::statement::{Row, Statement};

/// A transaction that writes takes SQLite's lock at its begin. A deferred one could find on its first write that
/// another wrote meanwhile, and then no waiting helps it.
const BEGIN_WRITE: &str = "begin immediate";

/// A pool of connections to a database whose schema is up to date. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
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
            Pool::Sqlite(pool) => Inner::Sqlite(pool.begin_with(BEGIN_WRITE).await?),
            Pool::Postgres(pool) => Inner::Postgres(pool.begin().await?),
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
            Pool::Sqlite(pool) => Ok(statement.sqlite().fetch_optional(pool).await?.map(Row::from)),
            Pool::Postgres(pool) => Ok(statement.postgres().fetch_optional(pool).await?.map(Row::from)),
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
        rows
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

impl From<SqlitePool> for Database {
    fn from(pool: SqlitePool) -> Self {
        Self { pool: Pool::Sqlite(pool) }
    }
}

impl From<PgPool> for Database {
    fn from(pool: PgPool) -> Self {
        Self { pool: Pool::Postgres(pool) }
    }
}
