//! Reads the words and signs of a filter, one after the other.

use crate::filter::{
    condition::Comparator,
    literal::{Builder, Literal},
};

/// Why a filter is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    at: usize,
    reason: String,
}

/// A place in a filter; what is before it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

/// The longest first, where one begins another.
const COMPARATORS: [(&str, Comparator); 7] = [
    ("<=", Comparator::LessOrEqual),
    (">=", Comparator::GreaterOrEqual),
    ("!=", Comparator::Unequal),
    ("<", Comparator::Less),
    (">", Comparator::Greater),
    ("=", Comparator::Equal),
    (":", Comparator::Has),
];

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns a refusal of what comes next.
    pub(crate) fn refusal(&self, reason: impl Into<String>) -> Refusal {
        Refusal { at: self.text[..self.at].chars().count() + 1, reason: reason.into() }
    }

    /// Returns what comes next, behind spaces.
    pub(crate) fn peek(&mut self) -> Option<char> {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.next_char()
    }

    /// Takes a sign if it comes next.
    pub(crate) fn take(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(sign);
        if is_next {
            self.at += sign.len_utf8();
        }
        is_next
    }

    /// Takes a sign only if it follows without a space.
    pub(crate) fn take_close(&mut self, sign: char) -> bool {
        self.next_char() == Some(sign) && self.take(sign)
    }

    /// Takes a word of the grammar if it comes next.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        let is_next = ahead.name() == Some(word);
        if is_next {
            *self = ahead;
        }
        is_next
    }

    /// Takes one part of a field's path.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        self.peek().filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end])
    }

    pub(crate) fn comparator(&mut self) -> Option<Comparator> {
        self.peek();
        let (sign, comparator) = COMPARATORS.into_iter().find(|(sign, _)| self.rest().starts_with(sign))?;
        self.at += sign.len();
        Some(comparator)
    }

    /// Takes a value, with or without quotation marks.
    pub(crate) fn literal(&mut self) -> Result<Literal, Refusal> {
        match self.peek() {
            Some(mark @ ('"' | '\'')) => self.quoted(mark),
            _ => self.unquoted(),
        }
    }

    fn quoted(&mut self, mark: char) -> Result<Literal, Refusal> {
        let opening = *self;
        self.at += mark.len_utf8();
        let mut value = Builder::new(true);
        loop {
            match self.next_char() {
                None => return Err(opening.refusal("this quotation mark is never closed")),
                Some(c) if c == mark => {
                    self.at += c.len_utf8();
                    return Ok(value.finish());
                }
                Some(c) => self.part(&mut value, c)?,
            }
        }
    }

    /// Takes all up to a space or a sign of the grammar; a colon may be part of a time.
    fn unquoted(&mut self) -> Result<Literal, Refusal> {
        let mut value = Builder::new(false);
        let begins_at = self.at;
        while let Some(c) = self.next_char().filter(|c| !c.is_whitespace() && !"()<>=!,\"'".contains(*c)) {
            self.part(&mut value, c)?;
        }
        if self.at == begins_at {
            return Err(self.refusal("a value is expected, such as \"loom\" or 42"));
        }
        Ok(value.finish())
    }

    /// Takes one character of a value, or two if the first is a backslash.
    fn part(&mut self, value: &mut Builder, c: char) -> Result<(), Refusal> {
        let here = *self;
        self.at += c.len_utf8();
        let taken = match c {
            '*' => value.star(),
            '\\' => {
                let escaped = self.next_char();
                self.at += escaped.map_or(0, char::len_utf8);
                value.escaped(escaped)
            }
            c => value.plain(c),
        };
        taken.map_err(|reason| here.refusal(reason))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next_char(&self) -> Option<char> {
        self.rest().chars().next()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at position {}: {}", self.at, self.reason)
    }
}
