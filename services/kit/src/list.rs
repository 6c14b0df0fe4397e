//! A list of resources: which page of it is asked for (AIP-158, AIP-160, AIP-132), and how it is read.

mod look;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "testing"))]
use crate::database::Statement;
use crate::{
    database::{Database, Row, Writer},
    field::Field,
    filter::{self, Comparison, Condition},
    order::{Order, Place},
    page::{Filling, Page},
    token,
    violation::Violations,
};

/// Rows of a page for which the caller named no size.
const DEFAULT_SIZE: usize = 50;
/// Rows of the largest page.
const MOST_ROWS: usize = 1_000;
/// Rows that one page looks at: 10,000 take both engines some ten milliseconds.
const MOST_LOOKED: usize = 10_000;

/// How a page is looked for.
#[derive(Clone, Debug)]
enum Look<'a> {
    /// Along the index of the order: each row there is one of the list.
    Straight,
    /// Among all rows of these comparisons, which are few, and then put in order.
    Few(Vec<&'a Comparison>),
    /// Among the next rows of the order, up to this place, or all that are left.
    Near(Option<Vec<Place>>),
}

/// What rows there are to list.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The collection: its tokens are good for no other.
    pub collection: &'static str,
    /// The table. Its column `seq` says in which order rows came in, and its column `create_time`, which has an index with
    /// it and never changes, when.
    pub table: &'static str,
    /// What it can be filtered and ordered by.
    pub fields: &'static [Field],
    /// What it can be ordered by besides one field: the names of several, for which there is an index on their columns and
    /// `seq`, in this order.
    pub orders: &'static [&'static [&'static str]],
}

/// What a caller asks of a list, as it is in the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The most rows of a page: 0 means 50, and more than 1000 means 1000.
    pub page_size: i32,
    /// Where to go on, or nothing.
    pub page_token: &'a str,
    /// Which rows, or nothing for all.
    pub filter: &'a str,
    /// In which order, or nothing for that of creation.
    pub order_by: &'a str,
}

/// One page of a list that is asked for. Everything was checked.
#[derive(Clone, Debug)]
pub struct Query {
    list: List,
    size: usize,
    condition: Option<Condition>,
    order: Order,
    after: Option<Vec<Place>>,
    /// Rows that the page looks at, at most.
    most_looked: usize,
}

/// Where a walk goes on; what a token holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    after: Vec<Place>,
}

impl List {
    /// Reads what a caller asks.
    ///
    /// # Errors
    ///
    /// Violations of `page_size`, `filter`, `order_by` and `page_token`: a size below 0, a filter or an order that is
    /// none of these fields, a token that this list never gave for this filter and this order.
    pub fn read(self, asked: Asked<'_>) -> Result<Query, Violations> {
        let mut violations = Violations::new();
        let size = usize::try_from(asked.page_size).map_err(|_| "must not be negative".to_owned());
        let size = violations.check("page_size", size).unwrap_or_default();
        let size = if size == 0 { DEFAULT_SIZE } else { size.min(MOST_ROWS) };
        let condition = violations.check("filter", filter::parse(asked.filter, self.fields));
        let order = violations.check("order_by", Order::read(asked.order_by, self.fields, self.orders));
        let (Some(condition), Some(order)) = (condition, order) else {
            return Err(violations);
        };
        let mut query = Query { list: self, size, condition, order, after: None, most_looked: MOST_LOOKED };
        if !asked.page_token.is_empty() {
            let refusal =
                "is not a token that this list gave for this filter and order_by: leave it out to begin again";
            query.after = violations.check("page_token", query.open(asked.page_token).ok_or(refusal.into()));
        }
        violations.finish().map(|()| query)
    }
}

impl Query {
    /// Reads the page. With a filter it looks at 10,000 rows at most: those of the rarest comparison, if it has no more, or
    /// else the next ones in the order. Of those the page may have fewer than asked for, or none, and a token all the same
    /// (AIP-158). `read` makes something of a row, and `measure` returns about how many bytes that has on the
    /// wire.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn page<T>(
        &self,
        database: &Database,
        read: impl Fn(&Row) -> Result<T, sqlx::Error> + Send + Sync,
        measure: impl Fn(&T) -> usize + Send + Sync,
    ) -> Result<Page<T>, sqlx::Error>
    where
        T: Send,
    {
        let (mut filling, mut failed) = (Filling::new(self.size), None);
        let take = |row: Row| match read(&row) {
            Ok(value) => {
                let bytes = measure(&value);
                filling.take(row, value, bytes)
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        let look = self.look(database).await?;
        database.scan(self.statement(&look, database.engine()), take).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (rows, last) = filling.finish();
        let next = match (last, look) {
            (Some(row), _) => Some(self.order.place(&row)?),
            (None, Look::Near(end)) => end,
            (None, Look::Straight | Look::Few(_)) => None,
        };
        Ok(Page { rows, next_token: next.map(|place| self.seal(place)).unwrap_or_default() })
    }

    /// Finds out how to look for the page.
    async fn look(&self, database: &Database) -> Result<Look<'_>, sqlx::Error> {
        if self.leading().is_all {
            return Ok(Look::Straight);
        }
        let mut rarest = None;
        for cover in self.covers() {
            let counted = database.optional(self.count(&cover)).await?.ok_or(sqlx::Error::RowNotFound)?;
            let rows = usize::try_from(counted.int("n")?).unwrap_or(usize::MAX);
            if rows <= rarest.as_ref().map_or(self.most_looked, |(least, _)| *least) {
                rarest = Some((rows, cover));
            }
            // So few that it does not pay to ask on.
            if rows <= self.size {
                break;
            }
        }
        if let Some((_, cover)) = rarest {
            return Ok(Look::Few(cover));
        }
        let end = database.optional(self.end(database.engine())).await?;
        Ok(Look::Near(end.map(|row| self.order.place(&row)).transpose()?))
    }

    /// Returns the statements that read the page, for their plans: how it is looked for is found out on the database.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    #[cfg(any(test, feature = "testing"))]
    pub async fn statements(&self, database: &Database) -> Result<Vec<Statement>, sqlx::Error> {
        let look = self.look(database).await?;
        let counts = self.covers();
        let end = matches!(look, Look::Near(_)).then(|| self.end(database.engine()));
        Ok(counts
            .iter()
            .map(|cover| self.count(cover))
            .chain(end)
            .chain([self.statement(&look, database.engine())])
            .collect())
    }

    fn seal(&self, after: Vec<Place>) -> String {
        token::seal(&self.purpose(), &Cursor { after })
    }

    fn open(&self, page_token: &str) -> Option<Vec<Place>> {
        let Cursor { after } = token::open(&self.purpose(), page_token)?;
        self.order.has(&after).then_some(after)
    }

    /// What a token is good for: this list, in this order, with this filter; the size may be another.
    fn purpose(&self) -> String {
        let mut order = Writer::new();
        self.order.write(&mut order);
        let filter = self.condition.as_ref().map(ToString::to_string).unwrap_or_default();
        // Neither the names of lists nor those of columns have line breaks.
        format!("{}\n{}\n{filter}", self.list.collection, order.sql())
    }
}

#[cfg(test)]
mod tests;
