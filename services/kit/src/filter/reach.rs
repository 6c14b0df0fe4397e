//! Where an index leads to the rows that a condition is true of.

use crate::{
    field::Kind,
    filter::condition::{Comparator, Comparison, Condition, Operand},
};

/// What a condition says of the first columns of an order, whose index therefore leads to the rows.
#[derive(Clone, Debug)]
pub(crate) struct Leading<'a> {
    /// These are part of the condition: on each column but the last, at least one that leaves one value.
    pub(crate) comparisons: Vec<&'a Comparison>,
    /// So many columns have one value in all rows.
    pub(crate) fixed: usize,
    /// Nothing else is in the condition.
    pub(crate) is_all: bool,
}

/// Returns what a condition says of the first of some columns.
pub(crate) fn leading(condition: &Condition, columns: impl Iterator<Item = &'static str>) -> Leading<'_> {
    let parts = parts(condition);
    let (mut comparisons, mut fixed) = (Vec::new(), 0);
    for column in columns {
        let of_column: Vec<_> = reached(parts).filter(|comparison| comparison.field.column == column).collect();
        let has_one_value = of_column.iter().any(|comparison| has_one_value(comparison));
        comparisons.extend(of_column);
        if !has_one_value {
            break;
        }
        fixed += 1;
    }
    let is_all = comparisons.len() == parts.len();
    Leading { comparisons, fixed, is_all }
}

/// Returns sets of comparisons, each with an index, such that every row that the condition is true of is one that a
/// comparison of the set is true of; those that leave one value first.
pub(crate) fn covers(condition: &Condition) -> Vec<Vec<&Comparison>> {
    let mut covers: Vec<_> = parts(condition).iter().filter_map(cover).collect();
    covers.sort_by_key(|cover| cover.iter().filter(|comparison| !has_one_value(comparison)).count());
    covers
}

fn cover(condition: &Condition) -> Option<Vec<&Comparison>> {
    match condition {
        Condition::Is(comparison) => is_reached(comparison).then(|| vec![comparison]),
        Condition::All(_) => covers(condition).into_iter().next(),
        Condition::Any(parts) => {
            let covers: Option<Vec<_>> = parts.iter().map(cover).collect();
            covers.map(|covers| covers.concat())
        }
        Condition::Not(_) => None,
    }
}

/// Returns what must all be true.
fn parts(condition: &Condition) -> &[Condition] {
    match condition {
        Condition::All(parts) => parts,
        Condition::Any(_) | Condition::Not(_) | Condition::Is(_) => std::slice::from_ref(condition),
    }
}

fn reached(parts: &[Condition]) -> impl Iterator<Item = &Comparison> {
    parts.iter().filter_map(|part| match part {
        Condition::Is(comparison) if is_reached(comparison) && !is_of_texts(comparison) => Some(comparison),
        Condition::Is(_) | Condition::All(_) | Condition::Any(_) | Condition::Not(_) => None,
    })
}

/// Says whether the rows that a comparison is true of are side by side in an index.
fn is_reached(comparison: &Comparison) -> bool {
    comparison.comparator != Comparator::Unequal
}

fn is_of_texts(comparison: &Comparison) -> bool {
    matches!(comparison.field.kind, Kind::Texts { .. })
}

/// Says whether all rows that a comparison is true of have the same in its column.
pub(crate) fn has_one_value(comparison: &Comparison) -> bool {
    let is_exact = !matches!(comparison.operand, Operand::Prefix(_));
    is_exact && matches!(comparison.comparator, Comparator::Equal | Comparator::Has)
}
