//! Whether a field can be compared so, and with that.

use crate::{
    field::{Field, Kind},
    filter::{
        condition::{Comparator, Comparison, Operand},
        literal::Literal,
    },
    name, text, time,
};

/// Returns the comparison.
///
/// # Errors
///
/// What the field takes.
pub(crate) fn comparison(field: Field, comparator: Comparator, literal: &Literal) -> Result<Comparison, String> {
    let is_single = !matches!(field.kind, Kind::Texts { .. });
    if !is_single && (comparator != Comparator::Has || literal.starred) {
        let Field { name, .. } = field;
        return Err(format!("{name} holds several texts: ask whether one of them is it, as in {name}:\"wood\""));
    }
    let is_range = !matches!(comparator, Comparator::Equal | Comparator::Unequal | Comparator::Has);
    if literal.starred && is_range {
        return Err("a star is taken after =, != and : only: write \\* for the character".into());
    }
    let operand = operand(field, comparator, literal).map_err(|reason| format!("{} {reason}", field.name))?;
    // Of a single value, to have it is to be it.
    let comparator = if is_single && comparator == Comparator::Has { Comparator::Equal } else { comparator };
    Ok(Comparison { field, comparator, operand })
}

fn operand(field: Field, comparator: Comparator, literal: &Literal) -> Result<Operand, String> {
    match field.kind {
        Kind::Int => int(literal).map(Operand::Int),
        Kind::Time => moment(literal).map(Operand::Int),
        Kind::Text | Kind::Texts { .. } => Ok(words(literal, literal.text.clone())),
        Kind::Folded => Ok(words(literal, literal.text.to_ascii_lowercase())),
        Kind::Name { collection } => {
            let is_exact = matches!(comparator, Comparator::Equal | Comparator::Unequal | Comparator::Has);
            id(literal, collection, is_exact).map(|id| words(literal, id))
        }
    }
}

fn words(literal: &Literal, text: String) -> Operand {
    if literal.starred { Operand::Prefix(text) } else { Operand::Text(text) }
}

fn int(literal: &Literal) -> Result<i64, String> {
    let number = literal.text.parse().ok().filter(|_| !literal.quoted && !literal.starred);
    number.ok_or_else(|| "is compared with a whole number of 64 bits, such as 42".into())
}

/// RFC 3339, as AIP-160 has it.
fn moment(literal: &Literal) -> Result<i64, String> {
    let micros = time::micros(&literal.text).filter(|_| !literal.starred);
    micros.ok_or_else(|| "is compared with a time, such as \"2026-01-31T12:00:00Z\", to the microsecond".into())
}

fn id(literal: &Literal, collection: &str, is_exact: bool) -> Result<String, String> {
    let refusal =
        || format!("is compared with a name, such as \"{collection}/loom\", not {}", text::quote(&literal.text));
    if is_exact && !literal.starred {
        return name::id_of(&literal.text, collection).map(str::to_owned).map_err(|_| refusal());
    }
    let id = literal.text.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
    id.map(str::to_owned).ok_or_else(refusal)
}
