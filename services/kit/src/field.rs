//! The fields of a resource that a list is filtered and ordered by, and the columns that keep them.

/// A field that callers may name in `filter` and `order_by`.
///
/// Each has an index: on its column and `seq`, or on its column alone if no two rows have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its path in the resource, as callers write it: `price.units`.
    pub name: &'static str,
    /// The column that keeps it.
    pub column: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether no two rows have the same.
    pub unique: bool,
}

/// What a field holds. No column is ever null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, in the order of its code points.
    Text,
    /// A text in which A to Z are the same as a to z, and which the column keeps in small letters.
    Folded,
    /// The name of a resource, of which the column keeps the id.
    Name {
        /// What stands before the id: `users`.
        collection: &'static str,
    },
    /// A whole number.
    Int,
    /// A point of time, which the column keeps in microseconds since 1970.
    Time,
    /// Several texts, each a row of a table of their own, in which the column holds the `seq` of the row that has it.
    Texts {
        /// That table; its key is the text and the column.
        table: &'static str,
        /// The column of the text.
        text: &'static str,
    },
}

impl Field {
    /// Returns a field that several rows may have the same of.
    #[must_use]
    pub const fn new(name: &'static str, column: &'static str, kind: Kind) -> Self {
        Self { name, column, kind, unique: false }
    }

    /// Returns a field that no two rows have the same of.
    #[must_use]
    pub const fn unique(name: &'static str, column: &'static str, kind: Kind) -> Self {
        Self { name, column, kind, unique: true }
    }

    /// Says whether rows can be ordered by it.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::Texts { .. })
    }
}

/// Returns the names of fields, one after the other, for an error.
pub(crate) fn listed<'a>(fields: impl IntoIterator<Item = &'a Field>) -> String {
    let names: Vec<_> = fields.into_iter().map(|field| field.name).collect();
    names.join(", ")
}
