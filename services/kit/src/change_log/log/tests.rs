//! Changes of a database in memory.

use super::*;
use crate::{
    change_log::Follower,
    database::{self, Migration, Schema},
    testing,
};

const SCHEMA: Schema = Schema {
    name: "test",
    migrations: &[Migration { version: 1, description: "changes", sqlite: TABLES, postgres: TABLES }],
};

async fn changed(database: &Database, names: &[&str], now: i64) {
    for name in names {
        let mut transaction = database.begin().await.unwrap();
        append(&mut transaction, Kind::Updated, name, now).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn names(database: &Database, after: i64, most: i64) -> Vec<String> {
    let changes = since::<String>(database, after, most).await.unwrap();
    changes.into_iter().map(|change| change.resource).collect()
}

#[tokio::test]
async fn changes_are_read_on_from_where_one_was() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    assert_eq!(newest(&database).await.unwrap(), 0);
    changed(&database, &["a", "b", "c"], 0).await;
    assert_eq!(newest(&database).await.unwrap(), 3);
    assert_eq!(names(&database, 0, 2).await, ["a", "b"]);
    assert_eq!(names(&database, 2, 2).await, ["c"]);
    assert!(names(&database, 3, 2).await.is_empty());
}

#[tokio::test]
async fn a_change_that_is_not_committed_leaves_no_gap() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(append(&mut transaction, Kind::Created, &"a", 0).await.unwrap(), 1);
    drop(transaction);
    changed(&database, &["a"], 0).await;
    assert_eq!(newest(&database).await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_forgotten_is_said_to_be_so() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let day = i64::try_from(KEPT.as_micros()).unwrap();
    changed(&database, &["a", "b"], 7).await;
    changed(&database, &["c"], 8).await;
    compact(&database, 7 + day).await.unwrap();
    assert_eq!(names(&database, 0, 9).await.len(), 3);
    compact(&database, 8 + day).await.unwrap();
    assert_eq!(names(&database, 2, 9).await, ["c"]);
    for after in [0, 1, 4] {
        let error = since::<String>(&database, after, 9).await.unwrap_err();
        assert!(matches!(error, ReadError::Forgotten { .. }), "{after}: {error}");
    }
}

#[tokio::test]
async fn a_follower_hears_of_what_others_write() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let follower = Follower::start(database.clone());
    let mut news = follower.news();
    changed(&database, &["a", "b"], 0).await;
    tokio::time::timeout(Duration::from_secs(10), news.wait_for(|newest| *newest == 2)).await.unwrap().unwrap();
}
