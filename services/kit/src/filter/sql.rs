//! A condition as a clause of SQL, the same on both engines.

use crate::{
    database::Writer,
    field::Kind,
    filter::condition::{Comparator, Comparison, Condition, Operand},
};

/// Writes a clause that is true of the rows that the condition is true of.
pub(crate) fn write(condition: &Condition, sql: &mut Writer) {
    match condition {
        Condition::All(parts) => joined(parts, " and ", sql),
        Condition::Any(parts) => joined(parts, " or ", sql),
        Condition::Not(inner) => {
            sql.push("not (");
            write(inner, sql);
            sql.push(")");
        }
        Condition::Is(comparison) => compare(comparison, sql),
    }
}

fn joined(parts: &[Condition], between: &str, sql: &mut Writer) {
    for (i, part) in parts.iter().enumerate() {
        sql.push(if i == 0 { "(" } else { between });
        write(part, sql);
    }
    sql.push(")");
}

/// Writes a clause that is true of the rows that a comparison is true of.
pub(crate) fn compare(comparison: &Comparison, sql: &mut Writer) {
    let Comparison { field, comparator, operand } = comparison;
    let Kind::Texts { table, text } = field.kind else {
        return single(field.column, *comparator, operand, sql);
    };
    sql.push("exists (select 1 from ").push(table).push(" where ");
    compare_text(text, comparison, sql);
    sql.push(" and ").push(field.column).push(" = seq)");
}

/// Writes a clause that is true of the rows of a table of texts that a comparison asks for.
pub(crate) fn compare_text(column: &str, comparison: &Comparison, sql: &mut Writer) {
    single(column, Comparator::Equal, &comparison.operand, sql);
}

fn single(column: &str, comparator: Comparator, operand: &Operand, sql: &mut Writer) {
    match operand {
        Operand::Int(number) => sign(column, comparator, sql).bind(*number),
        Operand::Text(text) => sign(column, comparator, sql).bind(text.as_str()),
        Operand::Prefix(prefix) => {
            let not = if comparator == Comparator::Unequal { "not (" } else { "(" };
            sql.push(not).push(column).push(" >= ").bind(prefix.as_str());
            if let Some(end) = end_of(prefix) {
                sql.push(" and ").push(column).push(" < ").bind(end);
            }
            sql.push(")")
        }
    };
}

fn sign<'a>(column: &str, comparator: Comparator, sql: &'a mut Writer) -> &'a mut Writer {
    sql.push(column).push(" ").push(comparator.sign()).push(" ")
}

/// Returns the first text behind all that begin with the prefix, in the order of code points, if there is one.
fn end_of(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        // Characters end at U+10FFFF, and those of UTF-16's surrogates are none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}
