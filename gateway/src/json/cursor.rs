//! A JSON text (RFC 8259), read value by value.

use std::borrow::Cow;

/// How deep objects and lists may nest where nobody looks into them.
const DEEPEST: usize = 100;

/// Where a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// The place in bytes.
    pub(crate) at: usize,
    pub(crate) wanted: &'static str,
}

/// A value that holds no others, or the beginning of one that does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word<'j> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'j str),
    Text(Cow<'j, str>),
    Object,
    List,
}

/// What is left to read of a text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'j> {
    text: &'j str,
    at: usize,
}

impl<'j> Cursor<'j> {
    pub(crate) fn new(text: &'j str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads a value; of an object or a list, its bracket.
    pub(crate) fn word(&mut self) -> Result<Word<'j>, Bad> {
        match self.peek() {
            Some(b'"') => self.text().map(Word::Text),
            Some(b'{') => self.bracket(Word::Object),
            Some(b'[') => self.bracket(Word::List),
            Some(b't') => self.literal("true", Word::Bool(true)),
            Some(b'f') => self.literal("false", Word::Bool(false)),
            Some(b'n') => self.literal("null", Word::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Word::Number),
            _ => Err(self.bad("a value")),
        }
    }

    /// Returns the first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes to the next key of an object, over its colon; nothing at its end, which is read.
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'j, str>>, Bad> {
        if !self.next(b'}', first, "a comma or }")? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.bad("a key in quotes"));
        }
        let key = self.text()?;
        if self.peek() != Some(b':') {
            return Err(self.bad("a colon"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Goes to the next value of a list; false at its end, which is read.
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, Bad> {
        self.next(b']', first, "a comma or ]")
    }

    /// Passes over a value, whatever it holds.
    pub(crate) fn skip(&mut self) -> Result<(), Bad> {
        // Whether what is open is an object, and whether nothing of it was read.
        let mut open: Vec<(bool, bool)> = Vec::new();
        loop {
            match self.word()? {
                Word::Object => open.push((true, true)),
                Word::List => open.push((false, true)),
                Word::Null | Word::Bool(_) | Word::Number(_) | Word::Text(_) => {}
            }
            if open.len() > DEEPEST {
                return Err(self.bad("at most 100 values within one another"));
            }
            loop {
                let Some((object, first)) = open.last_mut() else { return Ok(()) };
                let more = if *object { self.key(first)?.is_some() } else { self.element(first)? };
                if more {
                    break;
                }
                open.pop();
            }
        }
    }

    /// Sees to it that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), Bad> {
        if self.peek().is_none() { Ok(()) } else { Err(self.bad("the end")) }
    }

    fn next(&mut self, end: u8, first: &mut bool, wanted: &'static str) -> Result<bool, Bad> {
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            Some(_) if *first => {}
            _ => return Err(self.bad(wanted)),
        }
        *first = false;
        Ok(true)
    }

    fn bad(&self, wanted: &'static str) -> Bad {
        Bad { at: self.at, wanted }
    }

    fn bracket(&mut self, word: Word<'j>) -> Result<Word<'j>, Bad> {
        self.at += 1;
        Ok(word)
    }

    fn literal(&mut self, literal: &'static str, word: Word<'j>) -> Result<Word<'j>, Bad> {
        if !self.text[self.at..].starts_with(literal) {
            return Err(self.bad("a value"));
        }
        self.at += literal.len();
        Ok(word)
    }

    fn number(&mut self) -> Result<&'j str, Bad> {
        let rest = &self.text[self.at..];
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        let number = &rest[..length];
        if !is_number(number) {
            return Err(self.bad("a number"));
        }
        self.at += length;
        Ok(number)
    }

    /// Reads a text in quotes; one without escapes as it lies there.
    fn text(&mut self) -> Result<Cow<'j, str>, Bad> {
        let from = self.at + 1;
        self.at = from;
        let mut unescaped: Option<String> = None;
        let mut piece = from;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            self.at += rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    let last = &self.text[piece..self.at];
                    self.at += 1;
                    return Ok(unescaped.map_or(Cow::Borrowed(last), |text| Cow::Owned(text + last)));
                }
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&self.text[piece..self.at]);
                    text.push(self.escape()?);
                    piece = self.at;
                }
                Some(_) => return Err(self.bad("an escape for a control character")),
                None => return Err(self.bad("the end of a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Bad> {
        let letter = match self.text.as_bytes().get(self.at + 1) {
            Some(&letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.bad("an escape")),
        };
        self.at += 2;
        Ok(letter)
    }

    /// Reads `\u` with four digits, or two of them that are one character together.
    fn unicode(&mut self) -> Result<char, Bad> {
        let unpaired = self.bad("a character of Unicode: one half of a surrogate pair is none");
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or(unpaired);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(unpaired);
        }
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(unpaired);
        }
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(unpaired)
    }

    fn hex(&mut self) -> Result<u32, Bad> {
        let digits = self.text.get(self.at + 2..self.at + 6);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(self.bad("four hex digits"))?;
        self.at += 6;
        Ok(number)
    }
}

/// Tells whether this is a number as JSON writes it (RFC 8259 section 6).
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        rest = &fraction[count..];
        if count == 0 {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json};

    use super::*;

    fn read(cursor: &mut Cursor<'_>) -> Result<Json, Bad> {
        let mut first = true;
        Ok(match cursor.word()? {
            Word::Null => Json::Null,
            Word::Bool(value) => value.into(),
            Word::Number(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            Word::Text(text) => text.into(),
            Word::Object => {
                let mut object = Map::new();
                while let Some(key) = cursor.key(&mut first)? {
                    object.insert(key.into_owned(), read(cursor)?);
                }
                object.into()
            }
            Word::List => {
                let mut list = Vec::new();
                while cursor.element(&mut first)? {
                    list.push(read(cursor)?);
                }
                list.into()
            }
        })
    }

    fn whole(text: &str) -> Result<Json, Bad> {
        let mut cursor = Cursor::new(text);
        let value = read(&mut cursor)?;
        cursor.end()?;
        Ok(value)
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        let wanted = serde_json::from_str::<Json>(text);
        let mut over = Cursor::new(text);
        let skipped = over.skip().and_then(|()| over.end());
        // A number that no double holds is JSON nevertheless.
        if !wanted.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
            prop_assert_eq!(whole(text).ok(), wanted.ok(), "{}", text);
            prop_assert_eq!(whole(text).is_ok(), skipped.is_ok(), "{}", text);
        }
        Ok(())
    }

    #[test]
    fn what_is_json_is_read_as_serde_reads_it() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "true ",
            "\tfalse",
            "tru",
            "0",
            "-0",
            "01",
            "1.",
            ".5",
            "1.5e-3",
            "1e",
            "1e+",
            "+1",
            "-",
            "\"\"",
            "\"",
            "\"a",
            r#""\u00e9\n\"\\\/\b\f\r\t""#,
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\udE00""#,
            r#""\ud83d\u0041""#,
            r#""\u12""#,
            r#""\x""#,
            "\"\u{1}\"",
            "\"\u{7f}\"",
            "{}",
            "{,}",
            r#"{"a":1}"#,
            r#"{"a":1,}"#,
            r#"{"a" : [ 1 , {} ] , "b":null}"#,
            r#"{"a"}"#,
            "{a:1}",
            r#"{"a":}"#,
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "]",
            "{}{}",
            "[[[]]]",
            r#""\uD83D\uDE00é""#,
        ] {
            check(text).unwrap();
        }
    }

    #[test]
    fn skipping_ends_at_a_depth() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Cursor::new(&nested(DEEPEST)).skip().is_ok());
        assert!(Cursor::new(&nested(DEEPEST + 1)).skip().is_err());
        assert!(Cursor::new(&"[".repeat(5_000_000)).skip().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_reads_it(text in "[\\[\\]{},:\"\\\\ntrue0-9.eE \u{1}ué]{0,12}|\\PC{0,20}|\"\\\\u[dD][89aAcC]..\\\\u[dD][c-f]..\"") {
            check(&text)?;
        }
    }
}
