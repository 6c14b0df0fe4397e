//! Puts a statement together, piece by piece.

use crate::database::statement::{Statement, Value};

/// A statement that grows: texts of the program are written into it, and what callers sent is bound.
#[derive(Debug, Default)]
pub struct Writer {
    sql: String,
    values: Vec<Value>,
}

impl Writer {
    /// Returns a statement with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a text of the program.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push_str(text);
        self
    }

    /// Writes a parameter.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.push(&place)
    }

    /// Returns what was written so far.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Returns the statement.
    #[must_use]
    pub fn finish(self) -> Statement {
        self.values.into_iter().fold(Statement::built(self.sql), Statement::bind)
    }
}
