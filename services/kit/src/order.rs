//! The order of a list (AIP-132), and how a walk goes on behind a row (keyset).
//!
//! Every order ends with a column of which no two rows have the same. So a walk shows every row that was there all the
//! time, and did not change its place, exactly once, whatever comes or goes meanwhile.

use std::ops;

use serde::{Deserialize, Serialize};

use crate::{
    database::{Engine, Row, Value, Writer},
    field::{self, Field, Kind},
    text,
};

/// When a row was made: by this a list is ordered unless told otherwise.
const CREATED: Key = Key { column: "create_time", kind: KeyKind::Int };
/// When a row came in among all others: what follows where all else is equal.
const SEQUENCE: Key = Key { column: "seq", kind: KeyKind::Int };
/// Fields of one order.
const MOST_FIELDS: usize = 3;
/// Bytes of the longest order.
const LONGEST: usize = 1_000;

/// By what rows are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// At least one; no two rows have the same in all of them.
    keys: Vec<Key>,
    /// All of them from the largest to the smallest.
    descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    column: &'static str,
    kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Int,
    Text,
}

/// Rows behind a place that have the same as it in some columns, and are behind it in the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    first: usize,
    behind: usize,
    /// Those that are behind it in any of the columns that follow, too.
    through: bool,
}

/// What a row has in one of the columns of an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    Int(i64),
    Text(String),
}

impl Order {
    /// Reads `order_by` on these fields, as in `display_name desc`. Of several fields, it must be one of `orders`, in one
    /// direction: those have an index.
    ///
    /// # Errors
    ///
    /// The description of a field violation.
    pub(crate) fn read(order_by: &str, fields: &[Field], orders: &[&[&str]]) -> Result<Self, String> {
        if order_by.trim().is_empty() {
            return Ok(Self { keys: vec![CREATED, SEQUENCE], descending: false });
        }
        let parts: Vec<_> = order_by.split(',').take(MOST_FIELDS + 1).collect();
        if parts.len() > MOST_FIELDS || order_by.len() > LONGEST {
            return Err(format!("must have at most {MOST_FIELDS} fields and {LONGEST} bytes"));
        }
        let parts: Vec<_> = parts.into_iter().map(|part| direction(part, fields)).collect::<Result<_, _>>()?;
        let named: Vec<_> = parts.iter().map(|(field, _)| field.name).collect();
        if parts.len() > 1 && !orders.contains(&named.as_slice()) {
            return Err(format!("has no index for {}: {}", named.join(", "), one_of(orders)));
        }
        let descending = parts.iter().any(|(_, descending)| *descending);
        if !parts.iter().all(|(_, each)| *each == descending) {
            return Err("must have desc behind each of its fields, or behind none".into());
        }
        let is_complete = parts.iter().any(|(field, _)| field.unique);
        let keys = parts.iter().map(|(field, _)| Key { column: field.column, kind: KeyKind::of(field.kind) });
        // In the same direction, so that an index is read one way.
        let keys = keys.chain((!is_complete).then_some(SEQUENCE)).collect();
        Ok(Self { keys, descending })
    }

    /// Returns the place of a row in the order.
    ///
    /// # Errors
    ///
    /// That a column is missing.
    pub(crate) fn place(&self, row: &Row) -> Result<Vec<Place>, sqlx::Error> {
        let place = |key: &Key| match key.kind {
            KeyKind::Int => row.int(key.column).map(Place::Int),
            KeyKind::Text => row.text(key.column).map(Place::Text),
        };
        self.keys.iter().map(place).collect()
    }

    /// Says whether it can be a place in this order.
    pub(crate) fn has(&self, place: &[Place]) -> bool {
        let fits = |(key, place): (&Key, &Place)| match (key.kind, place) {
            (KeyKind::Int, Place::Int(_)) => true,
            // PostgreSQL knows no texts with it.
            (KeyKind::Text, Place::Text(text)) => !text.contains('\0'),
            _ => false,
        };
        self.keys.len() == place.len() && self.keys.iter().zip(place).all(fits)
    }

    /// Returns the columns, the first one first.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.column)
    }

    /// Writes the columns, as they follow `order by`.
    pub(crate) fn write(&self, sql: &mut Writer) {
        for (i, Key { column, .. }) in self.keys.iter().enumerate() {
            sql.push(if i == 0 { "" } else { ", " }).push(column).push(if self.descending { " desc" } else { "" });
        }
    }

    /// Returns the ranges of rows behind a place, the nearest first, if all rows have the same in the first `fixed`
    /// columns. Each is one piece of an index: on PostgreSQL there is one; of a comparison of rows, SQLite would read all
    /// that have the same in the first column.
    pub(crate) fn ranges(&self, fixed: usize, engine: Engine) -> impl Iterator<Item = Range> + use<> {
        let last = self.keys.len() - 1;
        let first = fixed.min(last);
        let behind = match engine {
            Engine::Sqlite => first..=last,
            Engine::Postgres => first..=first,
        };
        behind.rev().map(move |behind| Range { first, behind, through: engine == Engine::Postgres })
    }

    /// Writes a clause that is true of the rows of a range behind a place.
    pub(crate) fn write_range(&self, range: Range, place: &[Place], sql: &mut Writer) {
        let Range { first, behind, through } = range;
        for (key, value) in self.keys.iter().zip(place).take(behind).skip(first) {
            sql.push(key.column).push(" = ").bind(value).push(" and ");
        }
        let end = if through { self.keys.len() } else { behind + 1 };
        self.write_row(behind..end, sql).push(self.sign());
        write_place(&place[behind..end], sql);
    }

    /// Writes a clause that is true of the rows behind a place.
    pub(crate) fn write_behind(&self, place: &[Place], sql: &mut Writer) {
        self.write_row(0..self.keys.len(), sql).push(self.sign());
        write_place(place, sql);
    }

    /// Writes a clause that is true of the rows up to a place, and of the one that is there.
    pub(crate) fn write_until(&self, place: &[Place], sql: &mut Writer) {
        self.write_row(0..self.keys.len(), sql).push(if self.descending { " >= " } else { " <= " });
        write_place(place, sql);
    }

    fn write_row<'a>(&self, keys: ops::Range<usize>, sql: &'a mut Writer) -> &'a mut Writer {
        let columns: Vec<_> = self.keys[keys].iter().map(|key| key.column).collect();
        sql.push("(").push(&columns.join(", ")).push(")")
    }

    fn sign(&self) -> &'static str {
        if self.descending { " < " } else { " > " }
    }
}

fn write_place(place: &[Place], sql: &mut Writer) {
    for (i, value) in place.iter().enumerate() {
        sql.push(if i == 0 { "(" } else { ", " }).bind(value);
    }
    sql.push(")");
}

impl KeyKind {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int | Kind::Time => Self::Int,
            Kind::Text | Kind::Folded | Kind::Name { .. } | Kind::Texts { .. } => Self::Text,
        }
    }
}

impl From<&Place> for Value {
    fn from(place: &Place) -> Self {
        match place {
            Place::Int(number) => (*number).into(),
            Place::Text(text) => text.as_str().into(),
        }
    }
}

/// Says which orders of several fields there are.
fn one_of(orders: &[&[&str]]) -> String {
    let orders: Vec<_> = orders.iter().map(|order| format!("\"{}\"", order.join(", "))).collect();
    let several = if orders.is_empty() { String::new() } else { format!(" or {}", orders.join(" or ")) };
    format!("order by one field{several}; where it is the same, what came first is first")
}

/// Reads one field with its direction.
fn direction<'a>(part: &str, fields: &'a [Field]) -> Result<(&'a Field, bool), String> {
    let mut words = part.split_whitespace();
    let name = words.next().unwrap_or_default();
    let ordered = || fields.iter().filter(|field| field.is_ordered());
    let field = ordered().find(|field| field.name == name);
    let field = field.ok_or_else(|| {
        let known = field::listed(ordered());
        format!("{} is no field to order by: use {known}, each with desc behind it for the opposite", text::quote(name))
    })?;
    match (words.next(), words.next()) {
        (None | Some("asc"), None) => Ok((field, false)),
        (Some("desc"), None) => Ok((field, true)),
        (word, _) => {
            let word = text::quote(word.unwrap_or_default());
            Err(format!("{word} after {name} is not known: fields are set apart by commas, and desc may follow each"))
        }
    }
}
