//! Databases for tests: SQLite, or a server's if `SELVEDGE_TEST_POSTGRES` names one (feature `testing`).

use std::{env, path::Path};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::database;

/// The URL of a PostgreSQL server on which databases may be made.
const SERVER: &str = "SELVEDGE_TEST_POSTGRES";

/// Returns the URL of an empty database for one test: in memory, or on the server.
pub async fn fresh() -> String {
    on_server().await.unwrap_or_else(|| "sqlite::memory:".into())
}

/// Returns the URL of an empty database that several may open: in a file of this folder, or on the server.
pub async fn shared(folder: &Path) -> String {
    on_server().await.unwrap_or_else(|| database::url(&folder.join("test.db")))
}

/// Makes a database on the server, if there is one.
///
/// # Panics
///
/// If the server does not make it.
async fn on_server() -> Option<String> {
    let server = env::var(SERVER).ok().filter(|server| !server.is_empty())?;
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&format!("{server}/postgres")).await.expect("the server answers");
    let create = AssertSqlSafe(format!("create database {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await.expect("the server makes a database");
    Some(format!("{server}/{name}"))
}
