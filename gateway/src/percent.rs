//! Percent-decoding as google/api/http.proto asks for it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A text has an escape that is none, or is not UTF-8 after decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape(String);

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not percent-encoded UTF-8", self.0)
    }
}

/// Decodes everything: what a variable of one segment, a name or a value of the query gets.
pub(crate) fn decode(text: &str) -> Result<String, BadEscape> {
    decode_but(text, |_| false)
}

/// Decodes everything but `%2F`: what a variable of several segments gets, whose own slashes would be lost otherwise.
pub(crate) fn decode_but_slash(text: &str) -> Result<String, BadEscape> {
    decode_but(text, |byte| byte == b'/')
}

/// Encodes what cannot stand in one segment of a path (RFC 3986 section 3.3).
pub(crate) fn encode_segment(text: &str) -> String {
    const SEGMENT: AsciiSet =
        NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b'$').remove(b'+');
    utf8_percent_encode(text, &SEGMENT).to_string()
}

fn decode_but(text: &str, kept: impl Fn(u8) -> bool) -> Result<String, BadEscape> {
    let bad = || BadEscape(text.to_owned());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            decoded.push(first);
            rest = tail;
            continue;
        }
        let (digits, after) = tail.split_at_checked(2).ok_or_else(bad)?;
        let byte = hex(digits).ok_or_else(bad)?;
        if kept(byte) {
            decoded.extend_from_slice(&rest[..3]);
        } else {
            decoded.push(byte);
        }
        rest = after;
    }
    String::from_utf8(decoded).map_err(|_| bad())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_slash_stays_encoded_in_several_segments() {
        assert_eq!(decode("a%2Fb%23%20%3A").unwrap(), "a/b# :");
        assert_eq!(decode_but_slash("a%2Fb%2fc%23%20%252F").unwrap(), "a%2Fb%2fc# %2F");
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for bad in ["%", "%2", "%zz", "a%+1", "%ff"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in ".*") {
            let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }

        #[test]
        fn no_text_can_break_it(text in "\\PC{0,20}|[%a-fz0-9]{0,20}") {
            _ = decode(&text);
            _ = decode_but_slash(&text);
        }
    }
}
