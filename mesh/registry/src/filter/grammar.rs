//! The grammar of filter expressions, which is that of Consul (go-bexpr 0.1): text to tree, and what is wrong with it.
//!
//! A text that is not understood is told as Consul tells it: what was expected at the furthest place that was reached.

use std::collections::BTreeSet;

use crate::filter::literal::unquote;

/// How deep parentheses and negations may be nested.
const DEPTH: usize = 100;
const SPACE: &str = r"[ \t\r\n]";
const LETTER: &str = "[a-zA-Z]";
const OPERATORS: [(&[&str], Operator); 6] = [
    (&["=="], Operator::Equal),
    (&["!="], Operator::NotEqual),
    (&["contains"], Operator::In),
    (&["not", "contains"], Operator::NotIn),
    (&["matches"], Operator::Matches),
    (&["not", "matches"], Operator::NotMatches),
];

/// An expression as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Match { selector: Vec<String>, operator: Operator, value: String },
}

/// What a match asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    /// Also `contains`, which has its sides the other way round.
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

/// Reads an expression, or returns Consul's words for what is wrong.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { text, at: 0, depth: 0, furthest: 0, expected: BTreeSet::new(), failures: Vec::new() };
    reader.maybe_space();
    let expression = reader.any();
    if let Some(expression) = expression {
        reader.maybe_space();
        if reader.rest().is_empty() && reader.failures.is_empty() {
            return Ok(expression);
        }
        reader.expect("EOF");
    }
    Err(reader.failure())
}

#[derive(Debug)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    furthest: usize,
    expected: BTreeSet<String>,
    /// What is wrong beyond the grammar, in the order in which it was found.
    failures: Vec<String>,
}

impl Reader<'_> {
    fn any(&mut self) -> Option<Expression> {
        self.joined("or", Self::all, Expression::Any)
    }

    fn all(&mut self) -> Option<Expression> {
        self.joined("and", Self::not, Expression::All)
    }

    /// Reads one expression, or several with a word between them.
    fn joined(
        &mut self,
        word: &str,
        read: fn(&mut Self) -> Option<Expression>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Option<Expression> {
        let mut found = vec![read(self)?];
        loop {
            let before = self.at;
            if !self.words(&[word]) {
                self.at = before;
                break;
            }
            match read(self) {
                Some(next) => found.push(next),
                // As the grammar has it, the text then ends before the word.
                None => {
                    self.at = before;
                    break;
                }
            }
        }
        if found.len() == 1 { found.pop() } else { Some(join(found)) }
    }

    fn not(&mut self) -> Option<Expression> {
        let before = self.at;
        if self.literal("not") && self.space() {
            return self.nested(Self::not).map(|inner| Expression::Not(Box::new(inner)));
        }
        self.at = before;
        self.grouping()
    }

    fn grouping(&mut self) -> Option<Expression> {
        if !self.literal("(") {
            return self.one();
        }
        self.maybe_space();
        let inner = self.nested(Self::any)?;
        self.maybe_space();
        if self.literal(")") {
            return Some(inner);
        }
        self.fail("grouping", "Unmatched parentheses");
        None
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Expression>) -> Option<Expression> {
        if self.depth == DEPTH {
            self.fail("grouping", "nested too deep");
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads one match: selector first, or value first.
    fn one(&mut self) -> Option<Expression> {
        let start = self.at;
        if let Some(selector) = self.selector() {
            let after = self.at;
            for (words, operator) in OPERATORS {
                let found = if words[0].ends_with('=') { self.sign(words[0]) } else { self.words(words) };
                let value = if found { self.value() } else { None };
                if let Some(value) = value {
                    return Some(Expression::Match { selector, operator, value });
                }
                self.at = after;
            }
            for (end, operator) in
                [(&["is", "empty"][..], Operator::IsEmpty), (&["is", "not", "empty"], Operator::IsNotEmpty)]
            {
                if self.spaced(end) {
                    return Some(Expression::Match { selector, operator, value: String::new() });
                }
                self.at = after;
            }
        }
        self.at = start;
        let value = self.value()?;
        let after = self.at;
        for (words, operator) in [(&["in"][..], Operator::In), (&["not", "in"], Operator::NotIn)] {
            self.at = after;
            if !self.words(words) {
                continue;
            }
            if let Some(selector) = self.selector() {
                return Some(Expression::Match { selector, operator, value });
            }
            self.fail("match", "Invalid selector");
        }
        None
    }

    fn selector(&mut self) -> Option<Vec<String>> {
        let mut parts = vec![self.identifier()?];
        loop {
            let before = self.at;
            let part = if self.literal(".") { self.identifier() } else { self.index() };
            match part {
                Some(part) => parts.push(part),
                None => {
                    self.at = before;
                    return Some(parts);
                }
            }
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let start = self.at;
        if !self.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.expect(LETTER);
            return None;
        }
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_', "[a-zA-Z0-9_]");
        Some(self.text[start..self.at].to_owned())
    }

    fn index(&mut self) -> Option<String> {
        if !self.literal("[") {
            return None;
        }
        self.maybe_space();
        let Some(name) = self.string() else {
            self.fail("index", "Invalid index");
            return None;
        };
        self.maybe_space();
        if !self.literal("]") {
            self.fail("index", "Unclosed index expression");
            return None;
        }
        Some(name)
    }

    /// Reads a value: a selector stands for its own text.
    fn value(&mut self) -> Option<String> {
        if let Some(parts) = self.selector() {
            return Some(parts.join("."));
        }
        self.number().or_else(|| self.string())
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        self.literal("-");
        if !self.literal("0") {
            if !self.rest().starts_with(|c: char| matches!(c, '1'..='9')) {
                self.expect("[1-9]");
                self.at = start;
                return None;
            }
            self.take_while(|c| c.is_ascii_digit(), "[0-9]");
        }
        let whole = self.at;
        if self.literal(".") && self.take_while(|c| c.is_ascii_digit(), "[0-9]") == 0 {
            self.at = whole;
        }
        let ends = self.rest().is_empty() || self.rest().starts_with([' ', '\t', '\r', '\n', ')']);
        if !ends {
            self.fail("number", "Invalid number literal");
            self.at = start;
            return None;
        }
        Some(self.text[start..self.at].to_owned())
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let quote = ['`', '"'].into_iter().find(|quote| self.rest().starts_with(*quote));
        let Some(quote) = quote else {
            self.expect("\"`\"");
            self.expect(r#""\"""#);
            return None;
        };
        let Some(length) = self.rest()[1..].find(quote) else {
            self.at = self.text.len();
            self.fail("string", "Unterminated string literal");
            self.at = start;
            return None;
        };
        let inner = &self.text[start + 1..start + 1 + length];
        let read = if quote == '`' { Some(inner.to_owned()) } else { unquote(inner) };
        if read.is_none() {
            self.fail("string", "invalid syntax");
            return None;
        }
        self.at = start + length + 2;
        read
    }

    /// Reads a sign that may have spaces around it.
    fn sign(&mut self, sign: &str) -> bool {
        self.maybe_space();
        let found = self.literal(sign);
        if found {
            self.maybe_space();
        }
        found
    }

    /// Reads words, each with space before it, and space after the last.
    fn words(&mut self, words: &[&str]) -> bool {
        self.spaced(words) && self.space()
    }

    fn spaced(&mut self, words: &[&str]) -> bool {
        words.iter().all(|word| self.space() && self.literal(word))
    }

    fn literal(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        } else {
            self.expect(&format!("{text:?}"));
        }
        found
    }

    fn space(&mut self) -> bool {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'), SPACE) > 0
    }

    fn maybe_space(&mut self) {
        self.space();
    }

    /// Takes what fulfils a condition; returns how many bytes that were. More of it was expected at its end.
    fn take_while(&mut self, condition: fn(char) -> bool, shown: &str) -> usize {
        let length = self.rest().find(|c| !condition(c)).unwrap_or(self.rest().len());
        self.at += length;
        self.expect(shown);
        length
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expect(&mut self, what: &str) {
        if self.at > self.furthest {
            self.furthest = self.at;
            self.expected.clear();
        }
        if self.at == self.furthest {
            self.expected.insert(what.to_owned());
        }
    }

    fn fail(&mut self, rule: &str, reason: &str) {
        let failure = format!("{}: rule {rule:?}: {reason}", self.place(self.at));
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    fn failure(mut self) -> String {
        if !self.failures.is_empty() {
            return self.failures.join("\n");
        }
        let at_end = self.expected.remove("EOF");
        let mut expected: Vec<_> = self.expected.iter().cloned().chain(at_end.then(|| "EOF".to_owned())).collect();
        let last = expected.pop().unwrap_or_default();
        let list = if expected.is_empty() { last } else { format!("{} or {last}", expected.join(", ")) };
        format!("{}: no match found, expected: {list}", self.place(self.furthest))
    }

    /// Returns line, column and offset.
    fn place(&self, at: usize) -> String {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{line}:{column} ({at})")
    }
}
