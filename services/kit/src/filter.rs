//! Filters of lists (AIP-160): what a caller writes becomes a condition on columns, and that a clause of SQL in which
//! all that the caller wrote is a bound parameter.

mod condition;

mod literal;
mod scan;

mod check;
mod parse;

mod reach;
mod sql;

pub(crate) use self::{
    condition::{Comparison, Condition},
    parse::parse,
    reach::{Leading, covers, has_one_value, leading},
    sql::{compare, compare_text, write},
};

#[cfg(test)]
pub(crate) mod tests;
