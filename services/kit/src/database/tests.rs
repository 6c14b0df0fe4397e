//! Databases in files of a temporary folder.

use std::{fs, path::Path, time::Duration};

use futures::future::join_all;
use selvedge::Context;
use tokio::time::Instant;
use tonic::Code;

use super::*;
use crate::{details::Details, testing};

const fn step(version: i64, sqlite: &'static str) -> Migration {
    Migration { version, description: "a step", sqlite, postgres: "" }
}

const FIRST: Migration = step(1, "create table things (id integer primary key) strict");
const SECOND: Migration = step(2, "alter table things add column name text");

const STEPS: Schema = Schema { name: "test", migrations: &[FIRST, SECOND] };

const DETAILS: Details = Details { domain: "test.selvedge" };

fn file(folder: &tempfile::TempDir) -> String {
    url(&folder.path().join("deep/er").join("test 50%?#.db"))
}

async fn text(database: &Database, sql: &'static str, column: &str) -> String {
    database.optional(Statement::new(sql)).await.unwrap().unwrap().text(column).unwrap()
}

async fn add(database: &Database) {
    let mut transaction = database.begin().await.unwrap();
    transaction.run(Statement::new("insert into things (name) values ($1)").bind("one")).await.unwrap();
    transaction.commit().await.unwrap();
}

#[test]
fn a_path_comes_back_out_of_its_url() {
    for path in ["/var/lib/selvedge/users.db", "users.db", "/tmp/50% of a #?.db", "/tmp/ä b.db"] {
        let parsed = Location::parse(&url(Path::new(path))).unwrap();
        assert!(matches!(&parsed, Location::File(file) if file == Path::new(path)), "{parsed:?}");
    }
    for memory in ["sqlite::memory:", "sqlite://:memory:"] {
        assert!(matches!(Location::parse(memory), Ok(Location::Memory)));
    }
    let server = Location::parse("postgres://ada:secret@db.example:5433/shop?sslmode=disable").unwrap();
    assert_eq!(server.to_string(), "postgres://db.example:5433/shop");
}

#[test]
fn a_url_that_cannot_be_used_is_refused_with_what_to_write() {
    let bad = ["", "users.db", "sqlite:", "sqlite://", "sqlite:///tmp/", "postgres://h:x/db", "sqlite://a?mode=ro"];
    for bad in bad.into_iter().chain(["sqlite://a%00b", "sqlite://a%ff"]) {
        let error = Location::parse(bad).unwrap_err().to_string();
        assert!(error.contains("sqlite://PATH"), "{error}");
    }
}

#[tokio::test]
async fn a_database_is_made_with_its_folder_and_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&file(&folder), STEPS).await.unwrap();
    add(&database).await;
    assert_eq!(text(&database, "pragma journal_mode", "journal_mode").await, "wal");
    database.close().await;
    let database = open(&file(&folder), STEPS).await.unwrap();
    assert_eq!(text(&database, "select name from things", "name").await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_an_empty_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = file(&folder);
    let opened = join_all((0..12).map(|_| open(&url, STEPS))).await;
    for database in opened {
        add(&database.unwrap()).await;
    }
    let database = open(&url, STEPS).await.unwrap();
    assert_eq!(database.all(Statement::new("select * from things")).await.unwrap().len(), 12);
}

#[tokio::test]
async fn memory_keeps_its_rows_as_long_as_the_database() {
    let database = open("sqlite::memory:", STEPS).await.unwrap();
    let other = open("sqlite::memory:", STEPS).await.unwrap();
    add(&database).await;
    assert_eq!(text(&database, "select name from things", "name").await, "one");
    assert!(other.optional(Statement::new("select name from things")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "this is no database, but it is longer than a header of one hundred bytes".repeat(9)).unwrap();
    let error = open(&url(&path), STEPS).await.unwrap_err().to_string();
    assert!(error.contains("a.db"), "{error}");
    let error = open(&url(&path.join("b.db")), STEPS).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }) && error.to_string().contains("a.db"), "{error}");
}

#[tokio::test]
async fn a_schema_that_was_changed_afterwards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(&file(&folder), STEPS).await.unwrap();
    const CHANGED: Schema = Schema { migrations: &[step(1, "create table others (id integer)"), SECOND], ..STEPS };
    assert!(matches!(open(&file(&folder), CHANGED).await, Err(OpenError::Migrate { .. })));
    assert!(matches!(
        open(&file(&folder), Schema { migrations: &[FIRST], ..STEPS }).await,
        Err(OpenError::Migrate { .. })
    ));
}

#[tokio::test]
async fn a_locked_database_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { wait: Duration::from_millis(500), ..Limits::default() };
    let database = open_within(&file(&folder), STEPS, limits).await.unwrap();
    let writing = database.begin().await.unwrap();
    let Err(error) = database.begin().await else { panic!("two write at once") };
    let status = Failure::from(error).to_status(DETAILS);
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.message().contains("code"), "{status}");
    drop(writing);
}

#[tokio::test]
async fn a_database_without_a_free_connection_is_unavailable() {
    let limits = Limits { wait: Duration::from_millis(500), ..Limits::default() };
    let database = open_within("sqlite::memory:", STEPS, limits).await.unwrap();
    let _taken = database.begin().await.unwrap();
    let error = database.begin().await.unwrap_err();
    assert_eq!(Failure::from(error).to_status(DETAILS).code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_waits_for_a_connection_within_its_own_time() {
    let limits = Limits { wait: Duration::from_secs(3600), ..Limits::default() };
    let database = open_within("sqlite::memory:", STEPS, limits).await.unwrap();
    let _taken = database.begin().await.unwrap();
    let call = Context { deadline: Some(Instant::now() + Duration::from_millis(80)), ..Context::default() };
    let failed =
        call.scope(async { [database.begin().await.err(), database.optional(Statement::new("select 1")).await.err()] });
    for error in failed.await {
        assert_eq!(Failure::from(error.unwrap()).to_status(DETAILS).code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_database_that_is_known_to_be_away() {
    let database = open("sqlite::memory:", STEPS).await.unwrap();
    database.set_away(true);
    let select = || Statement::new("select 1 as n");
    let failed =
        [database.begin().await.err(), database.optional(select()).await.err(), database.all(select()).await.err()];
    for error in failed {
        assert_eq!(Failure::from(error.unwrap()).to_status(DETAILS).code(), Code::Unavailable);
    }
    database.ask_file().await.unwrap();
    database.set_away(false);
    assert!(database.optional(select()).await.unwrap().is_some());
}

async fn count(database: &Database) -> i64 {
    let row = database.optional(Statement::new("select count(*) as n from things")).await.unwrap();
    row.unwrap().int("n").unwrap()
}

#[tokio::test]
async fn what_is_not_committed_is_undone_and_the_connection_is_free_again() {
    // It has one connection.
    let database = open("sqlite::memory:", STEPS).await.unwrap();
    for _ in 0..3 {
        let mut transaction = database.begin().await.unwrap();
        transaction.run(Statement::new("insert into things (name) values ('one')")).await.unwrap();
        drop(transaction);
        assert_eq!(count(&database).await, 0);
        // Left in the middle of its begin.
        drop(futures::poll!(Box::pin(database.begin())));
        assert_eq!(count(&database).await, 0);
        let mut transaction = database.begin().await.unwrap();
        assert!(transaction.run(Statement::new("insert into nothing values (1)")).await.is_err());
    }
    add(&database).await;
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn one_statement_writes_by_itself_and_gives_its_first_row() {
    let database = open("sqlite::memory:", STEPS).await.unwrap();
    let insert = "insert into things (id, name) values (7, 'a'), (8, 'b') on conflict do nothing returning id";
    let row = database.write(Statement::new(insert)).await.unwrap().unwrap();
    assert_eq!((row.int("id").unwrap(), count(&database).await), (7, 2));
    assert!(database.write(Statement::new(insert)).await.unwrap().is_none());
    assert!(database.write(Statement::new("insert into things (id) values (9), (7) returning id")).await.is_err());
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn who_comes_next_is_lent_the_connection_that_was_used_last() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&file(&folder), STEPS).await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    // Of one connection only.
    transaction.run(Statement::new("create temporary table mine (n integer)")).await.unwrap();
    transaction.commit().await.unwrap();
    let mine = || Statement::new("select n from mine");
    assert!(database.all(mine()).await.is_ok() && database.optional(mine()).await.is_ok());
    let held = database.begin().await.unwrap();
    assert!(database.all(mine()).await.is_err());
    drop(held);
    database.close().await;
    assert!(matches!(database.optional(Statement::new("select 1")).await, Err(sqlx::Error::PoolClosed)));
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced_unnoticed() {
    let url = testing::fresh().await;
    let schema = Schema { name: "test", migrations: &[] };
    let (database, other) = (open(&url, schema).await.unwrap(), open(&url, schema).await.unwrap());
    if database.server().is_none() {
        return;
    }
    let select = || Statement::new("select 1 as n");
    for turn in 0..3 {
        // All connections that there may be, each used a moment ago.
        let begun = join_all((0..Limits::default().connections).map(|_| database.begin())).await;
        for transaction in begun {
            transaction.unwrap().commit().await.unwrap();
        }
        let end = "select count(pg_terminate_backend(pid, 10000)) as n from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()";
        assert!(other.optional(Statement::new(end)).await.unwrap().unwrap().int("n").unwrap() >= 4);
        match turn {
            0 => assert!(database.optional(select()).await.unwrap().is_some()),
            1 => assert_eq!(database.all(select()).await.unwrap().len(), 1),
            _ => database.begin().await.unwrap().commit().await.unwrap(),
        }
    }
}

#[tokio::test]
async fn who_listens_hears_what_a_transaction_tells_when_it_commits() {
    let url = testing::fresh().await;
    let database = open(&url, Schema { name: "test", migrations: &[] }).await.unwrap();
    let Some(mut listener) = database.listen("news").await.unwrap() else {
        assert!(url.starts_with("sqlite"), "a server tells");
        return;
    };
    for (text, commits) in [("lost", false), ("kept", true)] {
        let mut transaction = database.begin().await.unwrap();
        transaction.tell("news", text).await.unwrap();
        if commits {
            transaction.commit().await.unwrap();
        }
    }
    let told = tokio::time::timeout(Duration::from_secs(20), listener.next()).await.unwrap();
    assert_eq!(told.unwrap().as_deref(), Some("kept"));
}

#[tokio::test]
async fn columns_are_found_by_their_names_in_any_order() {
    let database = open(&testing::fresh().await, Schema { name: "test", migrations: &[] }).await.unwrap();
    let select = Statement::new("select $1 as a, $2 as b, $3 as c").bind(1_i64).bind("x").bind(3_i64);
    let row = database.optional(select).await.unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!((row.int("c").unwrap(), row.int("a").unwrap(), row.text("b").unwrap().as_str()), (3, 1, "x"));
        assert_eq!((row.int("a").unwrap(), row.int("c").unwrap(), row.text("b").unwrap().as_str()), (1, 3, "x"));
    }
    assert!(matches!(row.int("d"), Err(sqlx::Error::ColumnNotFound(column)) if column == "d"));
}

#[tokio::test]
async fn a_broken_statement_is_internal_and_tells_nothing() {
    let database = open("sqlite::memory:", STEPS).await.unwrap();
    let error = database.all(Statement::new("select secret from vault")).await.unwrap_err();
    let status = Failure::from(error).to_status(DETAILS);
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("vault"), "{status}");
}
