//! Databases for tests: SQLite, or a server's if `SELVEDGE_TEST_POSTGRES` names one (feature `testing`).

use std::{env, path::Path};

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, raw_sql, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use crate::database::{self, Database, Schema, Statement};

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

/// Returns how the engine would carry out a statement, line by line.
///
/// # Panics
///
/// If the engine refuses the statement.
pub async fn plan(database: &Database, statement: Statement) -> Vec<String> {
    let (explain, column) = match database.server() {
        Some(_) => ("explain", "QUERY PLAN"),
        None => ("explain query plan", "detail"),
    };
    let rows = database.all(statement.behind(explain)).await.expect("the engine knows the statement");
    rows.iter().map(|row| row.text(column).expect("a plan has lines")).collect()
}

/// Returns a schema as each of its earlier steps left it, the oldest first.
pub fn earlier(schema: Schema) -> impl Iterator<Item = Schema> {
    (1..schema.migrations.len()).map(move |steps| Schema { migrations: &schema.migrations[..steps], ..schema })
}

/// Opens an empty database at one step of its schema, writes by a statement that was right from the first step on, and
/// leaves it.
///
/// # Panics
///
/// If the database refuses either.
pub async fn left(url: &str, schema: Schema, written: &'static str) {
    let database = database::open(url, schema).await.expect("an empty database is opened");
    let mut transaction = database.begin().await.expect("it is there");
    transaction.run(Statement::new(written)).await.expect("the first step takes it");
    transaction.commit().await.expect("it lasts");
    database.close().await;
}

/// A database as an earlier build left it: what each engine's own tool wrote of one.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    /// By `sqlite3 … .dump`.
    pub sqlite: &'static str,
    /// By `pg_dump --inserts --no-owner --schema=…`, without its settings.
    pub postgres: &'static str,
}

/// Returns the URL of a database with what a dump holds: in a file of this folder, or on the server.
///
/// # Panics
///
/// If the dump cannot be read in.
pub async fn restored(folder: &Path, dump: Dump) -> String {
    if let Some(url) = on_server().await {
        let mut connection = PgConnection::connect(&url).await.expect("the server answers");
        raw_sql(dump.postgres).execute(&mut connection).await.expect("the dump is read in");
        return url;
    }
    let path = folder.join("restored.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.expect("the file is made");
    raw_sql(dump.sqlite).execute(&mut connection).await.expect("the dump is read in");
    connection.close().await.expect("the file is written");
    database::url(&path)
}

/// Checks that the steps of a schema are those of a list, which has a line `<version> <engine> <SHA-256>` of each: what was
/// committed once stays as it is.
///
/// # Panics
///
/// If they are not: with the lines that there should be.
pub fn unchanged(schema: Schema, listed: &str) {
    let lines = schema.migrations.iter().flat_map(|migration| {
        [("sqlite", migration.sqlite), ("postgres", migration.postgres)].map(|(engine, sql)| {
            let digest = Sha256::digest(sql);
            let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("{} {engine} {digest}", migration.version)
        })
    });
    let (lines, listed): (Vec<_>, Vec<_>) = (lines.collect(), listed.lines().collect());
    let hint =
        "a committed migration was changed, or a new one is not listed: change the schema by new migrations only";
    assert_eq!(lines, listed, "{hint}; the whole list would be:\n{}", lines.join("\n"));
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
