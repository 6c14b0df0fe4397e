//! Writes that happen all or not at all.

use tokio::runtime::Handle;

use crate::database::{
    connection::Connection,
    statement::{Row, Statement},
};

/// Writes that happen all or not at all: without [`Transaction::commit`], not at all.
#[derive(Debug)]
pub struct Transaction {
    /// Nothing once it is committed, or left.
    connection: Option<Connection>,
}

impl Transaction {
    /// Begins one on a connection.
    pub(crate) async fn begin(connection: Connection) -> Result<Self, sqlx::Error> {
        let begin = match &connection {
            // It takes SQLite's lock at its begin. A deferred one could find on its first write that another wrote
            // meanwhile, and then no waiting helps it.
            Connection::Sqlite(_) => "begin immediate",
            Connection::Postgres(_) => "begin",
        };
        let mut transaction = Self { connection: Some(connection) };
        transaction.run(Statement::new(begin)).await?;
        Ok(transaction)
    }

    /// Returns the first row that a statement gives, if it gives one.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn optional(&mut self, statement: Statement) -> Result<Option<Row>, sqlx::Error> {
        self.connection()?.optional(&statement).await
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
        self.connection()?.run(&statement).await
    }

    /// Says whether the engine tells what a transaction tells.
    pub(crate) fn tells(&self) -> bool {
        matches!(self.connection, Some(Connection::Postgres(_)))
    }

    /// Makes the writes last.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.run(Statement::new("commit")).await?;
        if let Some(connection) = self.connection.take() {
            connection.give_back();
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Connection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

/// Whoever leaves a transaction does not wait for its end: who comes for the connection does.
impl Drop for Transaction {
    fn drop(&mut self) {
        if let (Some(connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(connection.roll_back());
        }
    }
}
