//! Request ids (AIP-155): a request that is sent again has one effect, and one answer.
//!
//! What a request did is kept in the transaction that did it, so that one is never there without the other. Two that
//! come at once, also through different instances, wait for one another at the row's key.

use std::time::Duration;

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    database::{Database, Row, Statement, Transaction},
    violation::Violations,
};

/// The table, in the SQL of both engines.
pub const TABLE: &str = "
create table requests (
    method      text   not null,
    -- A UUID.
    id          text   not null,
    -- Of the request, so that its id does not serve another one.
    digest      text   not null,
    -- JSON; empty only within the transaction that answers.
    answer      text   not null,
    -- Microseconds since 1970.
    create_time bigint not null,
    primary key (method, id)
);
create index requests_create_time on requests (create_time);
";

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(24);

/// The request id that a caller gave, and what of.
#[derive(Clone, Debug)]
pub struct RequestId {
    given: String,
    digest: String,
}

/// A request that is done once.
#[derive(Clone, Debug)]
pub struct Once {
    method: &'static str,
    id: String,
    digest: String,
}

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id was another request's.
    #[error("{0}")]
    Reused(Violations),
    /// The database gave no answer.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
}

impl RequestId {
    /// Takes what a caller gave as the id of a request, which itself no longer holds it.
    #[must_use]
    pub fn new(given: String, request: &impl Message) -> Self {
        let digest = Sha256::digest(request.encode_to_vec());
        let digest = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { given, digest }
    }

    /// Reads an id that may be left out.
    ///
    /// # Errors
    ///
    /// The description of a field violation: it is no UUID.
    pub fn optional(self, method: &'static str) -> Result<Option<Once>, String> {
        if self.given.is_empty() { Ok(None) } else { self.required(method).map(Some) }
    }

    /// Reads an id that must be there.
    ///
    /// # Errors
    ///
    /// The description of a field violation: it is no UUID.
    pub fn required(self, method: &'static str) -> Result<Once, String> {
        // A short id of one caller would sooner or later be another's too, whose request would then do nothing.
        let id = Uuid::try_parse(&self.given).ok().filter(|id| !id.is_nil());
        let id = id.ok_or("must be a UUID, a new one for each request that is not a repetition")?;
        Ok(Once { method, id: id.to_string(), digest: self.digest })
    }
}

impl Once {
    /// Returns the answer, if the request was done before.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn answer<T: DeserializeOwned>(&self, database: &Database) -> Result<Option<T>, Error> {
        let found = database.optional(self.find()).await?;
        found.map(|row| self.read(&row)).transpose()
    }

    /// Takes the id for the transaction, or returns the answer if the request was done before.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn claim<T: DeserializeOwned>(
        &self,
        transaction: &mut Transaction,
        now: i64,
    ) -> Result<Option<T>, Error> {
        let insert = Statement::new(
            "insert into requests (method, id, digest, answer, create_time) values ($1, $2, $3, '', $4)
             on conflict do nothing",
        );
        let insert = insert.bind(self.method).bind(self.id.as_str()).bind(self.digest.as_str()).bind(now);
        if transaction.run(insert).await? == 1 {
            return Ok(None);
        }
        let row = transaction.one(self.find()).await?;
        self.read(&row).map(Some)
    }

    /// Keeps the answer, in the transaction that claimed the id.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn keep<T: Serialize>(&self, transaction: &mut Transaction, answer: &T) -> Result<(), sqlx::Error> {
        let answer = serde_json::to_string(answer).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let update = Statement::new("update requests set answer = $3 where method = $1 and id = $2");
        transaction.run(update.bind(self.method).bind(self.id.as_str()).bind(answer)).await.map(drop)
    }

    fn find(&self) -> Statement {
        let select = Statement::new("select digest, answer from requests where method = $1 and id = $2");
        select.bind(self.method).bind(self.id.as_str())
    }

    fn read<T: DeserializeOwned>(&self, row: &Row) -> Result<T, Error> {
        if row.text("digest")? != self.digest {
            let reason = "was used for another request: choose a new one";
            return Err(Error::Reused(Violations::one("request_id", reason)));
        }
        let answer = row.text("answer")?;
        serde_json::from_str(&answer).map_err(|error| Error::Database(sqlx::Error::Decode(error.into())))
    }
}

/// Forgets what was answered more than a day ago.
///
/// # Errors
///
/// Those of the engine.
pub async fn sweep(database: &Database, now: i64) -> Result<u64, sqlx::Error> {
    let kept = i64::try_from(KEPT.as_micros()).expect("a day is less than 2^63 µs");
    let mut transaction = database.begin().await?;
    let delete = Statement::new("delete from requests where create_time < $1").bind(now - kept);
    let gone = transaction.run(delete).await?;
    transaction.commit().await?;
    Ok(gone)
}

#[cfg(test)]
mod tests;
