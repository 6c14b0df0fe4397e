//! The changes of products, and the present state that they lead on from.

use selvedge_kit::{
    change_log::{self, Change},
    database::Statement,
};

use crate::{
    error::Error,
    product::Product,
    store::{Store, row},
};

impl Store {
    /// Returns the revision of the newest change.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn newest_change(&self) -> Result<i64, Error> {
        Ok(change_log::newest(&self.database).await?)
    }

    /// Returns the changes after a revision, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Forgotten`].
    pub async fn changes(&self, after: i64, most: i64) -> Result<Vec<Change<Product>>, Error> {
        Ok(change_log::since(&self.database, after, most).await?)
    }

    /// Returns the products after a sequence number that did not change after a revision.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn present(&self, revision: i64, after: i64, most: i64) -> Result<Vec<Product>, Error> {
        let rows = self.database.all(present(revision, after, most)).await?;
        Ok(rows.iter().map(row::product).collect::<Result<_, _>>()?)
    }
}

/// The statement that reads products after a sequence number that did not change after a revision.
#[must_use]
pub fn present(revision: i64, after: i64, most: i64) -> Statement {
    let select = "select * from products where seq > $1 and change_revision <= $2 order by seq limit $3";
    Statement::new(select).bind(after).bind(revision).bind(most)
}
