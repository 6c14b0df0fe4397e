//! Databases in files of a temporary folder.

use futures::future::join_all;
use sqlx::Row as _;
use tonic::Code;

use super::*;
use crate::details::Details;

const STEPS: [Migration; 2] = [
    Migration { version: 1, description: "things", sql: "create table things (id integer primary key) strict" },
    Migration { version: 2, description: "names", sql: "alter table things add column name text" },
];

const DETAILS: Details = Details { domain: "test.selvedge" };

fn file(folder: &tempfile::TempDir) -> String {
    url(&folder.path().join("deep/er").join("test 50%?#.db"))
}

async fn text(pool: &SqlitePool, pragma: &'static str) -> String {
    sqlx::query(pragma).fetch_one(pool).await.unwrap().get(0)
}

#[test]
fn a_path_comes_back_out_of_its_url() {
    for path in ["/var/lib/selvedge/users.db", "users.db", "/tmp/50% of a #?.db", "/tmp/ä b.db"] {
        assert_eq!(Location::parse(&url(Path::new(path))).unwrap(), Location::File(path.into()));
    }
    assert_eq!(Location::parse("sqlite::memory:").unwrap(), Location::Memory);
    assert_eq!(Location::parse("sqlite://:memory:").unwrap(), Location::Memory);
}

#[test]
fn a_url_that_cannot_be_used_is_refused_with_what_to_write() {
    let bad = ["", "users.db", "sqlite:", "sqlite://", "sqlite:///tmp/", "postgres://h/db", "sqlite://a?mode=ro"];
    for bad in bad.into_iter().chain(["sqlite://a%00b", "sqlite://a%ff"]) {
        let error = Location::parse(bad).unwrap_err().to_string();
        assert!(error.contains("sqlite://PATH"), "{error}");
    }
}

#[tokio::test]
async fn a_database_is_made_with_its_folder_and_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let pool = open(&file(&folder), &STEPS).await.unwrap();
    sqlx::query("insert into things (name) values ('one')").execute(&pool).await.unwrap();
    assert_eq!(text(&pool, "pragma journal_mode").await, "wal");
    pool.close().await;
    let pool = open(&file(&folder), &STEPS).await.unwrap();
    assert_eq!(text(&pool, "select name from things").await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_an_empty_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = file(&folder);
    let pools = join_all((0..12).map(|_| open(&url, &STEPS))).await;
    for pool in pools {
        sqlx::query("insert into things (name) values ('x')").execute(&pool.unwrap()).await.unwrap();
    }
    let pool = open(&url, &STEPS).await.unwrap();
    let rows: i64 = sqlx::query("select count(*) from things").fetch_one(&pool).await.unwrap().get(0);
    assert_eq!(rows, 12);
}

#[tokio::test]
async fn memory_keeps_its_rows_as_long_as_the_pool() {
    let pool = open("sqlite::memory:", &STEPS).await.unwrap();
    let other = open("sqlite::memory:", &STEPS).await.unwrap();
    sqlx::query("insert into things (name) values ('one')").execute(&pool).await.unwrap();
    assert_eq!(text(&pool, "select name from things").await, "one");
    assert!(sqlx::query("select name from things").fetch_optional(&other).await.unwrap().is_none());
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "this is no database, but it is longer than a header of one hundred bytes".repeat(9)).unwrap();
    let error = open(&url(&path), &STEPS).await.unwrap_err().to_string();
    assert!(error.contains("a.db"), "{error}");
    let error = open(&url(&path.join("b.db")), &STEPS).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }) && error.to_string().contains("a.db"), "{error}");
}

#[tokio::test]
async fn a_schema_that_was_changed_afterwards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(&file(&folder), &STEPS).await.unwrap();
    let changed = [Migration { sql: "create table others (id integer)", ..STEPS[0] }, STEPS[1]];
    assert!(matches!(open(&file(&folder), &changed).await, Err(OpenError::Migrate { .. })));
    assert!(matches!(open(&file(&folder), &STEPS[..1]).await, Err(OpenError::Migrate { .. })));
}

#[tokio::test]
async fn a_locked_database_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { wait: Duration::from_millis(20), ..Limits::default() };
    let pool = open_within(&file(&folder), &STEPS, limits).await.unwrap();
    let writing = pool.begin_with(BEGIN_WRITE).await.unwrap();
    let Err(error) = pool.begin_with(BEGIN_WRITE).await else { panic!("two write at once") };
    let status = Failure::from(error).to_status(DETAILS);
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.message().contains("code"), "{status}");
    drop(writing);
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_unavailable() {
    let limits = Limits { wait: Duration::from_millis(20), ..Limits::default() };
    let pool = open_within("sqlite::memory:", &STEPS, limits).await.unwrap();
    let _taken = pool.acquire().await.unwrap();
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(Failure::from(error).to_status(DETAILS).code(), Code::Unavailable);
}

#[tokio::test]
async fn a_broken_statement_is_internal_and_tells_nothing() {
    let pool = open("sqlite::memory:", &STEPS).await.unwrap();
    let error = sqlx::query("select secret from vault").fetch_all(&pool).await.unwrap_err();
    let status = Failure::from(error).to_status(DETAILS);
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("vault"), "{status}");
}
