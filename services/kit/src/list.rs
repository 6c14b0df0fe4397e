//! A list of resources: which page of it is asked for (AIP-158, AIP-160, AIP-132), and the statement that reads it.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::{
    database::{Database, Row, Statement, Writer},
    field::Field,
    filter::{self, Condition},
    order::{Order, Place},
    page::{Filling, Page},
    token,
    violation::Violations,
};

/// Rows of a page for which the caller named no size.
const DEFAULT_SIZE: usize = 50;
/// Rows of the largest page.
const MOST_ROWS: usize = 1_000;

/// What rows there are to list.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The collection: its tokens are good for no other.
    pub collection: &'static str,
    /// The table; its column `seq` is the order of creation.
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
        let mut query = Query { list: self, size, condition, order, after: None };
        if !asked.page_token.is_empty() {
            let refusal =
                "is not a token that this list gave for this filter and order_by: leave it out to begin again";
            query.after = violations.check("page_token", query.open(asked.page_token).ok_or(refusal.into()));
        }
        violations.finish().map(|()| query)
    }
}

impl Query {
    /// Reads the page. `read` makes something of a row, and `measure` returns about how many bytes that has on the
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
        database.scan(self.statement(), take).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (rows, last) = filling.finish();
        let next_token = last.map(|row| self.order.place(&row).map(|place| self.seal(place))).transpose()?;
        Ok(Page { rows, next_token: next_token.unwrap_or_default() })
    }

    /// Returns the statement that reads the page, and one row more if there is one.
    #[must_use]
    pub fn statement(&self) -> Statement {
        let mut sql = Writer::new();
        sql.push("select * from ").push(self.list.table);
        let after = self.after.as_deref();
        if let Some(condition) = &self.condition {
            sql.push(" where ");
            filter::write(condition, &mut sql, after.and_then(|after| self.order.sequence(after)));
        }
        if let Some(after) = after {
            sql.push(if self.condition.is_some() { " and " } else { " where " });
            self.order.write_after(after, &mut sql);
        }
        sql.push(" order by ");
        self.order.write(&mut sql);
        sql.push(" limit ").bind(i64::try_from(self.size + 1).expect("a page has at most 1000 rows"));
        sql.finish()
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
