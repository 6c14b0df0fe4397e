//! Filter expressions (`?filter=`): Consul's language, checked against what an endpoint has, then asked of each item.
//!
//! Rules: Consul's API documentation, "Filtering".

mod grammar;
pub(crate) mod literal;
pub(crate) mod shape;

use regex::Regex;
use serde_json::{Map, Value};

use crate::filter::{
    grammar::{Expression, Operator, parse},
    literal::go_bool,
    shape::Shape,
};

/// What items must fulfil.
#[derive(Debug)]
pub(crate) struct Filter {
    condition: Option<Condition>,
    shape: &'static Shape,
}

/// What is wrong with an expression, in Consul's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// It is none.
    #[error("{0}")]
    Grammar(String),
    /// What it asks cannot be asked of such items.
    #[error("{0}")]
    Meaning(String),
}

#[derive(Debug)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Match { selector: Vec<String>, operator: Operator, operand: Operand },
}

/// The value of a match, in the shape of what is selected.
#[derive(Debug)]
enum Operand {
    Text(String),
    Number(i64),
    Boolean(bool),
    Pattern(Regex),
}

impl Filter {
    /// Reads an expression over items of a shape; an empty one is fulfilled by all. Returns Consul's words for what
    /// is wrong with it.
    pub(crate) fn new(text: &str, shape: &'static Shape) -> Result<Self, Mistake> {
        if text.is_empty() {
            return Ok(Self { condition: None, shape });
        }
        let expression = parse(text).map_err(Mistake::Grammar)?;
        let condition = checked(expression, shape).map_err(Mistake::Meaning)?;
        Ok(Self { condition: Some(condition), shape })
    }

    pub(crate) fn matches(&self, item: &Value) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(self.shape, item))
    }
}

impl Condition {
    fn holds(&self, shape: &Shape, item: &Value) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(shape, item)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(shape, item)),
            Self::Not(condition) => !condition.holds(shape, item),
            Self::Match { selector, operator, operand } => matched(shape, item, selector, (*operator, operand)),
        }
    }
}

/// Checks each selector, operator and value, from left to right.
fn checked(expression: Expression, shape: &'static Shape) -> Result<Condition, String> {
    let each = |expressions: Vec<Expression>| -> Result<Vec<_>, String> {
        expressions.into_iter().map(|inner| checked(inner, shape)).collect()
    };
    Ok(match expression {
        Expression::All(expressions) => Condition::All(each(expressions)?),
        Expression::Any(expressions) => Condition::Any(each(expressions)?),
        Expression::Not(inner) => Condition::Not(Box::new(checked(*inner, shape)?)),
        Expression::Match { selector, operator, value } => {
            let operand = operand(&selector, operator, value, shape)?;
            Condition::Match { selector, operator, operand }
        }
    })
}

fn operand(selector: &[String], operator: Operator, value: String, shape: &'static Shape) -> Result<Operand, String> {
    let mut selected = shape;
    for (at, name) in selector.iter().enumerate() {
        let found = selected.select(name);
        selected = found.ok_or_else(|| format!("Selector {:?} is not valid", selector[..=at].join(".")))?;
    }
    let place = selector.join(".");
    if !selected.takes(operator) {
        return Err(format!("Invalid match operator {:?} for selector {place:?}", operator.as_str()));
    }
    let not_coerced = |reason| format!("Failed to coerce value {value:?} for selector {place:?}: {reason}");
    match (selected, operator) {
        (_, Operator::Matches | Operator::NotMatches) => {
            // Go's words name the kind of the mistake, which only Go knows.
            let compiled = Regex::new(&value);
            let failed = || format!("Failed to compile regular expression {value:?}: error parsing regexp: `{value}`");
            compiled.map(Operand::Pattern).map_err(|_| failed())
        }
        (Shape::Number, _) => number(&value).map(Operand::Number).map_err(not_coerced),
        (Shape::Boolean, _) => {
            let read = go_bool(&value).ok_or(format!("strconv.ParseBool: parsing {value:?}: invalid syntax"));
            read.map(Operand::Boolean).map_err(not_coerced)
        }
        _ => Ok(Operand::Text(value)),
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let reason =
            if matches!(error.kind(), PosOverflow | NegOverflow) { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseInt: parsing {text:?}: {reason}")
    })
}

fn matched(shape: &Shape, item: &Value, selector: &[String], asked: (Operator, &Operand)) -> bool {
    let Some((name, rest)) = selector.split_first() else { return asked_of(shape, item, asked) };
    match shape {
        Shape::Objects(fields) => {
            let one = Shape::Object(fields);
            list(item).iter().any(|item| matched(&one, item, selector, asked))
        }
        Shape::Map(inner) => match item.get(name) {
            Some(value) => matched(inner, value, rest, asked),
            // As in Consul, which so lets every pattern match what is not there.
            None => !matches!(asked.0, Operator::Equal | Operator::In | Operator::IsNotEmpty),
        },
        Shape::Object(_) | Shape::Text | Shape::Number | Shape::Boolean | Shape::Texts => {
            let inner = shape.select(name);
            inner.is_some_and(|inner| matched(inner, item.get(name).unwrap_or(&Value::Null), rest, asked))
        }
    }
}

fn asked_of(shape: &Shape, value: &Value, (operator, operand): (Operator, &Operand)) -> bool {
    match operator {
        Operator::Equal | Operator::NotEqual => is_equal(value, operand) == (operator == Operator::Equal),
        Operator::In | Operator::NotIn => contains(shape, value, operand) == (operator == Operator::In),
        Operator::IsEmpty | Operator::IsNotEmpty => is_empty(value) == (operator == Operator::IsEmpty),
        Operator::Matches | Operator::NotMatches => {
            let text = value.as_str().unwrap_or_default();
            let fits = matches!(operand, Operand::Pattern(pattern) if pattern.is_match(text));
            fits == (operator == Operator::Matches)
        }
    }
}

fn is_equal(value: &Value, operand: &Operand) -> bool {
    match operand {
        Operand::Text(text) => value.as_str().unwrap_or_default() == text,
        Operand::Number(number) => value.as_i64().unwrap_or_default() == *number,
        Operand::Boolean(boolean) => value.as_bool().unwrap_or_default() == *boolean,
        Operand::Pattern(_) => false,
    }
}

fn contains(shape: &Shape, value: &Value, operand: &Operand) -> bool {
    let Operand::Text(text) = operand else { return false };
    match shape {
        Shape::Text => value.as_str().unwrap_or_default().contains(text.as_str()),
        Shape::Map(_) => value.get(text).is_some(),
        Shape::Texts | Shape::Object(_) | Shape::Objects(_) | Shape::Number | Shape::Boolean => {
            list(value).iter().any(|item| item == text)
        }
    }
}

fn is_empty(value: &Value) -> bool {
    list(value).is_empty() && value.as_object().is_none_or(Map::is_empty)
}

/// Returns the items of a list; none of what is left out.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Operator {
    /// Returns the name that Consul gives it in what it refuses.
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "Not Equal",
            Self::In => "In",
            Self::NotIn => "Not In",
            Self::IsEmpty => "Is Empty",
            Self::IsNotEmpty => "Is Not Empty",
            Self::Matches => "Matches",
            Self::NotMatches => "Not Matches",
        }
    }
}

#[cfg(test)]
mod tests;
