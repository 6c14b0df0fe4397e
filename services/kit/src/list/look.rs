//! How a page is looked for, so that what it costs is bounded, whatever the filter, the order and the rows are.
//!
//! The engine's own guesses are not relied on: SQLite knows nothing of how many rows are within a range, and neither engine
//! knows where in an order the rows of a filter are.

use crate::{
    database::{Engine, Statement, Writer},
    field::{Field, Kind},
    filter::{self, Comparison, Leading},
    list::{List, Look, Query},
};

/// Rows that may come between two statements of a page.
const SLACK: usize = 1_000;
/// Ways of which a page finds out how many rows are on them.
const MOST_TRIED: usize = 4;

impl Query {
    /// Returns the sets of comparisons that lead to every row, if it pays to ask how many those are.
    pub(super) fn covers(&self) -> Vec<Vec<&Comparison>> {
        let asked = self.condition.as_ref().filter(|_| !self.leading().is_all);
        let mut covers = asked.map(filter::covers).unwrap_or_default();
        covers.truncate(MOST_TRIED);
        covers
    }

    /// Returns what the filter says of the first columns of the order.
    pub(super) fn leading(&self) -> Leading<'_> {
        match &self.condition {
            Some(condition) => filter::leading(condition, self.order.columns()),
            None => Leading { comparisons: Vec::new(), fixed: 0, is_all: true },
        }
    }

    /// Returns the statement that counts the rows of some comparisons as `n`; it gives up when they are too many.
    pub(super) fn count(&self, cover: &[&Comparison]) -> Statement {
        let (mut sql, most) = (Writer::new(), number(self.most_looked + 1));
        sql.push("select count(*) as n from (");
        for (i, comparison) in cover.iter().enumerate() {
            sql.push(if i == 0 { "" } else { " union all " }).push("select one from (");
            self.write_rows(comparison, What::Mark, &mut sql);
            sql.push(" limit ").bind(most).push(&format!(") as few_{i}"));
        }
        sql.push(" limit ").bind(most).push(") as few");
        sql.finish()
    }

    /// Returns the statement that finds the last one of the next rows of the order: none if there are fewer.
    pub(super) fn end(&self, engine: Engine) -> Statement {
        let columns: Vec<_> = self.order.columns().collect();
        let mut sql = Writer::new();
        self.write_walk(&columns.join(", "), engine, &mut sql);
        sql.push(" limit 1 offset ").bind(number(self.most_looked - 1));
        sql.finish()
    }

    /// Returns the statement that reads the page, and one row more if there is one.
    pub(super) fn statement(&self, look: &Look<'_>, engine: Engine) -> Statement {
        let mut sql = Writer::new();
        match look {
            Look::Straight => self.write_walk("*", engine, &mut sql),
            Look::Few(cover) => {
                sql.push("select * from (");
                self.write_few(cover, &mut sql);
                sql.push(") as few");
                self.write_filter(&mut sql);
                if let Some(after) = &self.after {
                    sql.push(" and ");
                    self.order.write_behind(after, &mut sql);
                }
                self.write_order(&mut sql);
            }
            Look::Near(end) => {
                // The limit also keeps the engine from another index than that of the order.
                sql.push("select * from (");
                self.write_walk("*", engine, &mut sql);
                sql.push(" limit ").bind(number(self.most_looked + SLACK)).push(") as near");
                self.write_filter(&mut sql);
                if let Some(end) = end {
                    sql.push(" and ");
                    self.order.write_until(end, &mut sql);
                }
                self.write_order(&mut sql);
            }
        }
        sql.push(" limit ").bind(number(self.size + 1));
        sql.finish()
    }

    fn write_filter(&self, sql: &mut Writer) {
        if let Some(condition) = &self.condition {
            sql.push(" where ");
            filter::write(condition, sql);
        }
    }

    fn write_order(&self, sql: &mut Writer) {
        sql.push(" order by ");
        self.order.write(sql);
    }

    /// Writes the rows behind the place, in the order, as far as its index leads.
    fn write_walk(&self, columns: &str, engine: Engine, sql: &mut Writer) {
        let leading = self.leading();
        let ranges: Vec<_> = match &self.after {
            Some(_) => self.order.ranges(leading.fixed, engine).map(Some).collect(),
            None => vec![None],
        };
        for (i, range) in ranges.into_iter().enumerate() {
            sql.push(if i == 0 { "select " } else { " union all select " });
            sql.push(columns).push(" from ").push(self.list.table);
            let mut joint = " where ";
            for comparison in &leading.comparisons {
                sql.push(joint);
                filter::compare(comparison, sql);
                joint = " and ";
            }
            if let (Some(range), Some(after)) = (range, &self.after) {
                sql.push(joint);
                self.order.write_range(range, after, sql);
            }
        }
        self.write_order(sql);
    }

    /// Writes all rows of some comparisons, each row once.
    fn write_few(&self, cover: &[&Comparison], sql: &mut Writer) {
        let most = number(self.most_looked + SLACK);
        for (i, comparison) in cover.iter().enumerate() {
            sql.push(if i == 0 { "" } else { " union " }).push("select * from (");
            self.write_rows(comparison, What::Row, sql);
            sql.push(" limit ").bind(most).push(&format!(") as few_{i}"));
        }
    }

    /// Writes what there is of the rows of a comparison, as its index leads to them.
    fn write_rows(&self, comparison: &Comparison, what: What, sql: &mut Writer) {
        let List { table, .. } = self.list;
        let Field { column, kind, unique, .. } = comparison.field;
        match kind {
            Kind::Texts { table: texts, text } => {
                match what {
                    What::Mark => sql.push("select 1 as one from ").push(texts),
                    What::Row => {
                        sql.push("select ").push(table).push(".* from ").push(texts);
                        sql.push(" join ").push(table).push(" on seq = ").push(column)
                    }
                };
                sql.push(" where ");
                filter::compare_text(text, comparison, sql);
            }
            _ => {
                sql.push(match what {
                    What::Mark => "select 1 as one from ",
                    What::Row => "select * from ",
                });
                sql.push(table).push(" where ");
                filter::compare(comparison, sql);
                // PostgreSQL would otherwise look for as many in any order. Of one value there is no other index.
                if !filter::has_one_value(comparison) {
                    sql.push(" order by ").push(column).push(if unique { "" } else { ", seq" });
                }
            }
        }
    }
}

/// What is read of a row.
#[derive(Clone, Copy, Debug)]
enum What {
    /// That it is there.
    Mark,
    /// All of it.
    Row,
}

fn number(rows: usize) -> i64 {
    i64::try_from(rows).expect("a page looks at some thousand rows")
}
