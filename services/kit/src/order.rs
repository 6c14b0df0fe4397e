//! The order of a list (AIP-132), and how a walk goes on behind a row (keyset).
//!
//! Every order ends with a column of which no two rows have the same. So a walk shows every row that was there all the
//! time, and did not change its place, exactly once, whatever comes or goes meanwhile.

use serde::{Deserialize, Serialize};

use crate::{
    database::{Row, Value, Writer},
    field::{self, Field, Kind},
    text,
};

/// The order of creation: what a list has unless told otherwise, and what follows where all else is equal.
const CREATION: Key = Key { column: "seq", kind: KeyKind::Int };
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

/// What a row has in one of the columns of an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    Int(i64),
    Text(String),
}

impl Order {
    /// Reads `order_by` on these fields, as in `display_name desc`. Of several fields, it must be one of `orders`, in one
    /// direction: those have an index, and no row is read that is not shown.
    ///
    /// # Errors
    ///
    /// The description of a field violation.
    pub(crate) fn read(order_by: &str, fields: &[Field], orders: &[&[&str]]) -> Result<Self, String> {
        if order_by.trim().is_empty() {
            return Ok(Self { keys: vec![CREATION], descending: false });
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
        // The creation follows in the same direction, so that an index is read one way.
        let keys = keys.chain((!is_complete).then_some(CREATION)).collect();
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

    /// Returns the `seq` behind which a place is, if the order is that of creation.
    pub(crate) fn sequence(&self, place: &[Place]) -> Option<i64> {
        match (self.keys.as_slice(), place) {
            ([key], [Place::Int(sequence)]) if *key == CREATION && !self.descending => Some(*sequence),
            _ => None,
        }
    }

    /// Writes the columns, as they follow `order by`.
    pub(crate) fn write(&self, sql: &mut Writer) {
        for (i, Key { column, .. }) in self.keys.iter().enumerate() {
            sql.push(if i == 0 { "" } else { ", " }).push(column).push(if self.descending { " desc" } else { "" });
        }
    }

    /// Writes a clause that is true of the rows behind a place: of several columns a comparison of rows, for which both
    /// engines use an index.
    pub(crate) fn write_after(&self, place: &[Place], sql: &mut Writer) {
        let sign = if self.descending { " < " } else { " > " };
        if let ([key], [value]) = (self.keys.as_slice(), place) {
            sql.push(key.column).push(sign).bind(value);
            return;
        }
        for (i, key) in self.keys.iter().enumerate() {
            sql.push(if i == 0 { "(" } else { ", " }).push(key.column);
        }
        sql.push(")").push(sign);
        for (i, value) in place.iter().enumerate() {
            sql.push(if i == 0 { "(" } else { ", " }).bind(value);
        }
        sql.push(")");
    }
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
    format!("order by one field{several}; where it is the same, the order of creation decides")
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
