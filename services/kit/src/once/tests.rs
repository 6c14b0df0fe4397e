//! Requests that are sent again.

use super::*;
use crate::{
    database::{self, Migration, Schema},
    testing,
};

const SCHEMA: Schema = Schema {
    name: "test",
    migrations: &[Migration { version: 1, description: "requests", sqlite: TABLE, postgres: TABLE }],
};

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

fn once(payload: &str) -> Once {
    RequestId::new(ID.into(), &payload.to_owned()).required("Act").unwrap()
}

async fn act(database: &Database, once: &Once, answer: &str, now: i64) -> Result<String, Error> {
    let mut transaction = database.begin().await?;
    if let Some(answer) = once.claim(&mut transaction, now).await? {
        return Ok(answer);
    }
    once.keep(&mut transaction, &answer).await?;
    transaction.commit().await?;
    Ok(answer.into())
}

#[tokio::test]
async fn a_repetition_has_the_first_answer() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let once = once("payload");
    assert_eq!(once.answer::<String>(&database).await.unwrap(), None);
    assert_eq!(act(&database, &once, "first", 0).await.unwrap(), "first");
    assert_eq!(act(&database, &once, "second", 0).await.unwrap(), "first");
    assert_eq!(once.answer::<String>(&database).await.unwrap(), Some("first".into()));
    let other = Once { method: "Undo", ..once };
    assert_eq!(act(&database, &other, "other", 0).await.unwrap(), "other");
}

#[tokio::test]
async fn an_id_does_not_serve_another_request() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    act(&database, &once("payload"), "first", 0).await.unwrap();
    let error = act(&database, &once("another"), "second", 0).await.unwrap_err();
    assert!(matches!(&error, Error::Reused(violations) if violations.listed()[0].field == "request_id"), "{error}");
}

#[tokio::test]
async fn what_was_not_committed_was_not_done() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let once = once("payload");
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(once.claim::<String>(&mut transaction, 0).await.unwrap(), None);
    drop(transaction);
    assert_eq!(act(&database, &once, "second", 0).await.unwrap(), "second");
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let database = database::open(&testing::fresh().await, SCHEMA).await.unwrap();
    let (once, day) = (once("payload"), i64::try_from(KEPT.as_micros()).unwrap());
    act(&database, &once, "first", 7).await.unwrap();
    assert_eq!(sweep(&database, 7 + day).await.unwrap(), 0);
    assert_eq!(sweep(&database, 8 + day).await.unwrap(), 1);
    assert_eq!(act(&database, &once, "second", 8 + day).await.unwrap(), "second");
}

#[test]
fn an_id_is_a_uuid() {
    let read = |id: &str| RequestId::new(id.into(), &String::new());
    assert!(read("").optional("Act").unwrap().is_none());
    assert_eq!(read(&ID.to_uppercase()).required("Act").unwrap().id, ID);
    let huge = "x".repeat(4 << 20);
    for bad in ["1", "00000000-0000-0000-0000-000000000000", "'; drop table requests; --", &huge] {
        assert!(read(bad).optional("Act").unwrap_err().contains("UUID"), "{}", bad.len());
    }
    assert!(read("").required("Act").is_err());
}
