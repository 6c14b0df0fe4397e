//! The database of a service: SQLite in a file or in memory, or PostgreSQL.
//!
//! A service writes its SQL once, in what both engines understand, as [`Statement`]s; only the schemas are written
//! for each engine.

mod pool;
mod transaction;

mod connection;
mod lend;

mod postgres;
mod sqlite;

mod listen;
mod probe;

mod lock;
mod schema;

mod args;
mod location;
mod statement;
mod writer;

mod error;
mod failure;

pub use self::{
    args::Args,
    error::OpenError,
    failure::Failure,
    listen::Listener,
    location::{Limits, Location, url},
    pool::Database,
    schema::{Migration, Schema},
    statement::{Row, Statement, Value},
    transaction::Transaction,
    writer::Writer,
};
pub(crate) use self::{pool::Engine, probe::Probe};

/// Opens a database and brings its schema up to date. Several instances and processes may do so at once. PostgreSQL
/// is waited for while it cannot be reached.
///
/// # Errors
///
/// [`OpenError`], naming the database and what to do.
pub async fn open(url: &str, schema: Schema) -> Result<Database, OpenError> {
    open_within(url, schema, Limits::default()).await
}

/// Opens a database as [`open`] does, with other limits.
///
/// # Errors
///
/// Those of [`open`].
pub async fn open_within(url: &str, schema: Schema, limits: Limits) -> Result<Database, OpenError> {
    let location = Location::parse(url)?;
    match location {
        Location::File(_) | Location::Memory => sqlite::open(location, schema, limits).await.map(Database::from),
        Location::Postgres(options) => postgres::open(*options, schema, limits).await.map(Database::from),
    }
}

#[cfg(test)]
mod tests;
