//! A statement with its parameters, and the rows that it gives, whatever the engine.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{
    AssertSqlSafe, Column as _, Postgres, Row as _, SqlSafeStr as _, SqlStr, Sqlite,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// A statement in the SQL of both engines, with its parameters `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub struct Statement {
    sql: SqlStr,
    values: Vec<Value>,
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, or nothing.
    Int(Option<i64>),
    /// A text, or nothing.
    Text(Option<String>),
}

/// A row that a statement gave.
#[derive(Debug)]
pub struct Row {
    inner: Inner,
    /// Which column is asked for next, if they are asked for in their order: found without a search.
    next: AtomicUsize,
}

#[derive(Debug)]
enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Statement {
    /// Returns a statement as it is written in the program.
    #[must_use]
    pub fn new(sql: &'static str) -> Self {
        Self { sql: sql.into_sql_str(), values: Vec::new() }
    }

    /// Returns a statement that was put together from texts of the program: what callers sent is bound, never
    /// written into it.
    #[must_use]
    pub fn built(sql: String) -> Self {
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values: Vec::new() }
    }

    /// Returns the statement behind a text, such as `explain`.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn behind(self, text: &str) -> Self {
        let sql = AssertSqlSafe(format!("{text} {}", self.sql.as_str())).into_sql_str();
        Self { sql, ..self }
    }

    /// Adds the value of the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) fn sqlite(&self) -> Query<'static, Sqlite, SqliteArguments> {
        self.values.iter().fold(sqlx::query(self.sql.clone()), |query, value| match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_deref()),
        })
    }

    pub(crate) fn postgres(&self) -> Query<'static, Postgres, PgArguments> {
        self.values.iter().fold(sqlx::query(self.sql.clone()), |query, value| match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_deref()),
        })
    }
}

impl Row {
    /// Returns the number in a column.
    ///
    /// # Errors
    ///
    /// That there is no such column, or no number in it.
    pub fn int(&self, column: &str) -> Result<i64, sqlx::Error> {
        match &self.inner {
            Inner::Sqlite(row) => row.try_get(self.place(row, column)?),
            Inner::Postgres(row) => row.try_get(self.place(row, column)?),
        }
    }

    /// Returns the text in a column.
    ///
    /// # Errors
    ///
    /// That there is no such column, or no text in it.
    pub fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        match &self.inner {
            Inner::Sqlite(row) => row.try_get(self.place(row, column)?),
            Inner::Postgres(row) => row.try_get(self.place(row, column)?),
        }
    }

    fn place<R: sqlx::Row>(&self, row: &R, column: &str) -> Result<usize, sqlx::Error> {
        let columns = row.columns();
        let has = |place: &usize| columns.get(*place).is_some_and(|there| there.name() == column);
        let next = self.next.load(Ordering::Relaxed);
        let found = Some(next).filter(has).or_else(|| (0..columns.len()).find(has));
        let place = found.ok_or_else(|| sqlx::Error::ColumnNotFound(column.into()))?;
        self.next.store(place + 1, Ordering::Relaxed);
        Ok(place)
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self { inner: Inner::Sqlite(row), next: AtomicUsize::new(0) }
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self { inner: Inner::Postgres(row), next: AtomicUsize::new(0) }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}
