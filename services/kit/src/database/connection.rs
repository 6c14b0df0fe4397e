//! A connection that is lent, and what is done over it, whatever the engine.

use std::ops::ControlFlow;

use futures::TryStreamExt as _;
use sqlx::{Postgres, Sqlite};

use crate::database::{
    lend::Lent,
    statement::{Row, Statement},
};

/// A connection that is lent.
#[derive(Debug)]
pub(crate) enum Connection {
    /// To a file or memory.
    Sqlite(Lent<Sqlite>),
    /// To a server.
    Postgres(Lent<Postgres>),
}

impl Connection {
    /// Returns the first row that a statement gives, if it gives one.
    pub(crate) async fn optional(&mut self, statement: &Statement) -> Result<Option<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(lent) => Ok(statement.sqlite().fetch_optional(lent.get()).await?.map(Row::from)),
            Self::Postgres(lent) => Ok(statement.postgres().fetch_optional(lent.get()).await?.map(Row::from)),
        }
    }

    /// Runs a statement, and returns how many rows it touched.
    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(lent) => Ok(statement.sqlite().execute(lent.get()).await?.rows_affected()),
            Self::Postgres(lent) => Ok(statement.postgres().execute(lent.get()).await?.rows_affected()),
        }
    }

    /// Hands on the rows of a statement as they come; says whether they were all that there are.
    pub(crate) async fn scan(
        &mut self,
        statement: &Statement,
        each: &mut (impl FnMut(Row) -> ControlFlow<()> + Send),
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Sqlite(lent) => {
                let mut rows = statement.sqlite().fetch(lent.get());
                while let Some(row) = rows.try_next().await? {
                    if each(row.into()).is_break() {
                        return Ok(false);
                    }
                }
            }
            Self::Postgres(lent) => {
                let mut rows = statement.postgres().fetch(lent.get());
                while let Some(row) = rows.try_next().await? {
                    if each(row.into()).is_break() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Gives it back after all that was begun on it has ended well.
    pub(crate) fn give_back(self) {
        match self {
            Self::Sqlite(lent) => lent.give_back(),
            Self::Postgres(lent) => lent.give_back(),
        }
    }

    /// Undoes what a transaction did that was left, and gives the connection back.
    pub(crate) async fn roll_back(mut self) {
        let undone = self.run(&Statement::new("rollback")).await;
        match (self, undone) {
            // SQLite refuses if there is no transaction: one that failed, or never began.
            (Self::Sqlite(lent), Ok(_) | Err(sqlx::Error::Database(_))) => lent.give_back(),
            (Self::Postgres(lent), Ok(_)) => lent.give_back(),
            (Self::Sqlite(lent), Err(_)) => lent.end(),
            (Self::Postgres(lent), Err(_)) => lent.end(),
        }
    }
}
