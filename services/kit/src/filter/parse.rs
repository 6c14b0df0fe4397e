//! The grammar of AIP-160: <https://google.aip.dev/assets/misc/ebnf-filtering.txt>.
//!
//! OR binds closer than AND, and what stands side by side is joined by AND. Of the grammar, three things are read only
//! to be refused by name: functions, values without a field, and values in parentheses.

use crate::{
    field::{self, Field},
    filter::{
        check,
        condition::Condition,
        scan::{Refusal, Scanner},
    },
    text,
};

/// Bytes of the longest filter.
const LONGEST: usize = 32 << 10;
/// Parentheses within parentheses.
const DEEPEST: usize = 16;
/// Comparisons of one filter, so that the cost of a row is bounded.
const MOST_COMPARISONS: usize = 32;

/// Reads a filter on these fields; a blank one is none.
///
/// # Errors
///
/// The description of a field violation: where the filter is wrong, and what may stand there.
pub(crate) fn parse(text: &str, fields: &'static [Field]) -> Result<Option<Condition>, String> {
    if text.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} bytes"));
    }
    if let Some((at, c)) = text.chars().enumerate().find(|(_, c)| c.is_control()) {
        let code = u32::from(c);
        return Err(format!("at position {}: must not have control characters such as U+{code:04X}", at + 1));
    }
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { scanner: Scanner::new(text), fields, comparisons: 0 };
    parser.whole().map(Some).map_err(|refusal| refusal.to_string())
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    fields: &'static [Field],
    comparisons: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Result<Condition, Refusal> {
        let condition = self.expression(0)?;
        match self.scanner.peek() {
            None => Ok(condition),
            Some(c) => Err(self.scanner.refusal(format!("{c:?} closes nothing"))),
        }
    }

    /// `expression` and `sequence`: factors side by side, with or without AND.
    fn expression(&mut self, depth: usize) -> Result<Condition, Refusal> {
        let mut parts = vec![self.factor(depth)?];
        while self.scanner.take_word("AND") || !matches!(self.scanner.peek(), None | Some(')')) {
            parts.push(self.factor(depth)?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn factor(&mut self, depth: usize) -> Result<Condition, Refusal> {
        let mut parts = vec![self.term(depth)?];
        while self.scanner.take_word("OR") {
            parts.push(self.term(depth)?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn term(&mut self, depth: usize) -> Result<Condition, Refusal> {
        let is_negated = self.scanner.take_word("NOT") || self.scanner.take('-');
        let condition = self.simple(depth)?;
        Ok(if is_negated { Condition::Not(Box::new(condition)) } else { condition })
    }

    fn simple(&mut self, depth: usize) -> Result<Condition, Refusal> {
        let opening = self.scanner;
        if !self.scanner.take('(') {
            return self.comparison();
        }
        if depth == DEEPEST {
            return Err(opening.refusal(format!("is nested deeper than {DEEPEST} parentheses")));
        }
        let inner = self.expression(depth + 1)?;
        if !self.scanner.take(')') {
            return Err(opening.refusal("this parenthesis is never closed"));
        }
        Ok(inner)
    }

    /// `restriction`.
    fn comparison(&mut self) -> Result<Condition, Refusal> {
        self.scanner.peek();
        let begin = self.scanner;
        if self.comparisons == MOST_COMPARISONS {
            return Err(begin.refusal(format!("has more than {MOST_COMPARISONS} comparisons")));
        }
        self.comparisons += 1;
        let path = self.path()?;
        if self.scanner.take_close('(') {
            return Err(begin.refusal(format!("functions such as {} are not known here", text::quote(&path))));
        }
        let Some(field) = self.fields.iter().find(|field| field.name == path) else {
            let known = field::listed(self.fields);
            return Err(begin.refusal(format!("{} is no field to filter by: use {known}", text::quote(&path))));
        };
        let Some(comparator) = self.scanner.comparator() else {
            return Err(self.scanner.refusal(format!("after {} one of = != < <= > >= : is expected", field.name)));
        };
        self.scanner.peek();
        let value = self.scanner;
        if self.scanner.take('(') {
            return Err(value.refusal("values in parentheses are not known here: compare with each, joined by OR"));
        }
        let literal = self.scanner.literal()?;
        if self.scanner.take_close('(') {
            return Err(value.refusal("functions are not known here: a value is expected"));
        }
        let comparison = check::comparison(*field, comparator, &literal).map_err(|reason| value.refusal(reason))?;
        Ok(Condition::Is(comparison))
    }

    /// `member`: the path of a field.
    fn path(&mut self) -> Result<String, Refusal> {
        let begin = self.scanner;
        let refusal = || {
            let known = field::listed(self.fields);
            begin.refusal(format!("a comparison is expected, such as {} = …; there are {known}", self.fields[0].name))
        };
        let first = self.scanner.name().filter(|name| !["AND", "OR", "NOT"].contains(name));
        let mut path = first.ok_or_else(refusal)?.to_owned();
        while self.scanner.take_close('.') {
            let name = self.scanner.name().ok_or_else(refusal)?;
            path = format!("{path}.{name}");
        }
        Ok(path)
    }
}

/// Joins several; one stays as it is.
fn one_or(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    if parts.len() > 1 {
        return join(parts);
    }
    parts.pop().expect("there is at least one")
}
