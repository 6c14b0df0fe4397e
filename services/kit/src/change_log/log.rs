//! The log itself: its tables, and what is written and read.
//!
//! A change is written in the transaction that makes it. Its revision is taken under a lock that is held to the commit:
//! a sequence alone would commit out of order, and a watcher would skip what commits late.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::database::{Database, Row, Statement, Transaction};

/// The tables, in the SQL of both engines.
pub const TABLES: &str = "
create table changes (
    revision    bigint not null primary key,
    -- created, updated or deleted.
    kind        text   not null,
    -- JSON: the resource after the change, or before its deletion.
    resource    text   not null,
    -- Microseconds since 1970.
    create_time bigint not null
);
create index changes_create_time on changes (create_time);
-- One row: the newest revision, and the newest one that was forgotten.
create table change_clock (
    id        bigint not null primary key,
    revision  bigint not null,
    compacted bigint not null
);
insert into change_clock (id, revision, compacted) values (1, 0, 0);
";

/// Where those who listen hear of a new revision.
pub(crate) const CHANNEL: &str = "changes";

/// How long a change is kept.
const KEPT: Duration = Duration::from_hours(24);

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Created,
    /// It is another than before.
    Updated,
    /// It is gone.
    Deleted,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Its place among all changes.
    pub revision: i64,
    /// What happened.
    pub kind: Kind,
    /// The resource after it, or before its deletion.
    pub resource: T,
}

/// Why changes cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Some of what follows the revision was forgotten, or the revision is of another database.
    #[error("the changes after revision {after} are not kept any more: begin again")]
    Forgotten {
        /// The revision.
        after: i64,
    },
    /// The database gave no answer.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
}

/// Writes a change under the next revision, and returns that; others wait for theirs until the transaction ends. It comes
/// after all other locks of the transaction, so that no two wait for one another. Who listens hears of it at the commit.
///
/// # Errors
///
/// Those of the engine.
pub async fn append<T: Serialize>(
    transaction: &mut Transaction,
    kind: Kind,
    resource: &T,
    now: i64,
) -> Result<i64, sqlx::Error> {
    let resource = serde_json::to_string(resource).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let bound = |statement: Statement| statement.bind(kind.as_str()).bind(resource).bind(now);
    if transaction.tells() {
        return transaction.one(bound(Statement::new(APPEND_AND_TELL)).bind(CHANNEL)).await?.int("revision");
    }
    transaction.run(Statement::new("update change_clock set revision = revision + 1 where id = 1")).await?;
    transaction.one(bound(Statement::new(APPEND))).await?.int("revision")
}

/// After the clock went on.
const APPEND: &str = "insert into changes (revision, kind, resource, create_time)
     select revision, $1, $2, $3 from change_clock where id = 1 returning revision";

/// All at once: each statement is a way to the server and back, while others wait for the clock.
const APPEND_AND_TELL: &str = "
with clock as (update change_clock set revision = revision + 1 where id = 1 returning revision),
     change as (insert into changes (revision, kind, resource, create_time)
                select revision, $1::text, $2::text, $3::bigint from clock returning revision)
select change.revision from change, pg_notify($4::text || '_' || current_schema(), change.revision::text)";

/// Returns the newest revision.
///
/// # Errors
///
/// Those of the engine.
pub async fn newest(database: &Database) -> Result<i64, sqlx::Error> {
    clock(database).await?.int("revision")
}

/// Returns the changes after a revision, the oldest first and at most so many.
///
/// # Errors
///
/// [`ReadError`].
pub async fn since<T: DeserializeOwned>(
    database: &Database,
    after: i64,
    most: i64,
) -> Result<Vec<Change<T>>, ReadError> {
    let select = "select revision, kind, resource from changes where revision > $1 order by revision limit $2";
    let rows = database.all(Statement::new(select).bind(after).bind(most)).await?;
    // Read after the rows: what was forgotten before they were read is seen.
    let clock = clock(database).await?;
    if clock.int("compacted")? > after || clock.int("revision")? < after {
        return Err(ReadError::Forgotten { after });
    }
    Ok(rows.iter().map(change).collect::<Result<_, _>>()?)
}

/// Forgets the changes of more than a day ago.
///
/// # Errors
///
/// Those of the engine.
pub async fn compact(database: &Database, now: i64) -> Result<(), sqlx::Error> {
    let kept = i64::try_from(KEPT.as_micros()).expect("a day is less than 2^63 µs");
    let old = Statement::new("select coalesce(max(revision), 0) as revision from changes where create_time < $1");
    let mut transaction = database.begin().await?;
    let revision = transaction.one(old.bind(now - kept)).await?.int("revision")?;
    transaction.run(Statement::new("delete from changes where revision <= $1").bind(revision)).await?;
    let tell = Statement::new("update change_clock set compacted = $1 where id = 1 and compacted < $1").bind(revision);
    transaction.run(tell).await?;
    transaction.commit().await
}

async fn clock(database: &Database) -> Result<Row, sqlx::Error> {
    let select = Statement::new("select revision, compacted from change_clock where id = 1");
    database.optional(select).await?.ok_or(sqlx::Error::RowNotFound)
}

fn change<T: DeserializeOwned>(row: &Row) -> Result<Change<T>, sqlx::Error> {
    let kind = row.text("kind")?;
    let kind = Kind::parse(&kind).ok_or_else(|| sqlx::Error::Decode(format!("{kind:?} is no kind").into()))?;
    let resource = serde_json::from_str(&row.text("resource")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Change { revision: row.int("revision")?, kind, resource })
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted].into_iter().find(|kind| kind.as_str() == text)
    }
}

#[cfg(test)]
mod tests;
