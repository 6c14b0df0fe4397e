//! What must be true of a row, and how that is written as a filter.

use std::fmt;

use crate::{
    field::{Field, Kind},
    time,
};

/// What must be true of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// All of these; at least two.
    All(Vec<Condition>),
    /// One of these; at least two.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// One comparison.
    Is(Comparison),
}

/// A field against what a caller wrote. Everything was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) field: Field,
    pub(crate) comparator: Comparator,
    pub(crate) operand: Operand,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// One of several texts is it.
    Has,
}

/// What a field is compared with, as the column keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Int(i64),
    Text(String),
    /// Every text that begins so.
    Prefix(String),
}

impl Comparator {
    /// The sign of SQL, which for these is that of the filter too.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Has => ":",
        }
    }
}

/// Writes a filter that means the condition: two that are written alike are the same.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " AND "),
            Self::Any(parts) => joined(f, parts, " OR "),
            Self::Not(inner) => write!(f, "NOT {}", Part(inner)),
            Self::Is(comparison) => comparison.fmt(f),
        }
    }
}

/// A condition within another one.
struct Part<'a>(&'a Condition);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::Is(comparison) => comparison.fmt(f),
            _ => write!(f, "({})", self.0),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], between: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { between }, Part(part))?;
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, comparator, operand } = self;
        let collection = match field.kind {
            Kind::Name { collection } => format!("{collection}/"),
            _ => String::new(),
        };
        write!(f, "{} {} ", field.name, comparator.sign())?;
        match operand {
            Operand::Int(micros) if field.kind == Kind::Time => write!(f, "\"{}\"", time::timestamp(*micros)),
            Operand::Int(number) => write!(f, "{number}"),
            Operand::Text(text) => write!(f, "\"{collection}{}\"", Escaped(text)),
            Operand::Prefix(text) => write!(f, "\"{collection}{}*\"", Escaped(text)),
        }
    }
}

/// A text between quotation marks.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let escape = if matches!(c, '"' | '\\' | '*') { "\\" } else { "" };
            write!(f, "{escape}{c}")?;
        }
        Ok(())
    }
}
