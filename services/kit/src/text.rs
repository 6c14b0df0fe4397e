//! What text a field may hold.

/// How long a quotation in an error may be: errors travel in headers.
const QUOTED: usize = 64;

/// Whether a text may have line breaks and tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// No control characters at all.
    One,
    /// Line breaks and tabs, but no other control characters.
    Many,
}

/// Checks a text that must say something: not blank, at most `longest` characters.
///
/// # Errors
///
/// The description of a field violation.
pub fn required(value: &str, longest: usize, lines: Lines) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err("is required: it must not be blank".into());
    }
    optional(value, longest, lines)
}

/// Checks a text that may be empty: at most `longest` characters.
///
/// # Errors
///
/// The description of a field violation.
pub fn optional(value: &str, longest: usize, lines: Lines) -> Result<(), String> {
    // A character is at least one byte: a text of 4 MiB is not counted.
    let length = if value.len() > longest * 4 { longest + 1 } else { value.chars().count() };
    if length > longest {
        return Err(format!("must have at most {longest} characters"));
    }
    let allowed = |c: char| lines == Lines::Many && matches!(c, '\n' | '\r' | '\t');
    match value.chars().find(|&c| c.is_control() && !allowed(c)) {
        Some(c) => Err(format!("must not have control characters such as U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

/// Quotes what a caller sent, escaped and cut to a length that an error may have.
#[must_use]
pub fn quote(value: &str) -> String {
    match value.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_measured_in_characters() {
        assert_eq!(required(&"é".repeat(256), 256, Lines::One), Ok(()));
        assert!(required(&"é".repeat(257), 256, Lines::One).unwrap_err().contains("256"));
        assert!(required(&"x".repeat(4 << 20), 256, Lines::One).unwrap_err().contains("256"));
    }

    #[test]
    fn a_required_text_is_not_blank() {
        for blank in ["", " ", "\u{2003}"] {
            assert!(required(blank, 10, Lines::One).unwrap_err().contains("required"), "{blank:?}");
        }
        assert_eq!(optional("", 10, Lines::One), Ok(()));
    }

    #[test]
    fn control_characters_are_refused_but_for_line_breaks_where_there_may_be_lines() {
        for bad in ["a\0b", "a\x1bb", "a\u{85}b"] {
            assert!(optional(bad, 10, Lines::One).is_err(), "{bad:?}");
            assert!(optional(bad, 10, Lines::Many).is_err(), "{bad:?}");
        }
        assert!(optional("a\nb", 10, Lines::One).is_err());
        assert_eq!(optional("a\r\n\tb", 10, Lines::Many), Ok(()));
    }

    #[test]
    fn a_quotation_is_short_and_escaped() {
        assert_eq!(quote("a\nb"), r#""a\nb""#);
        assert!(quote(&"é".repeat(4 << 20)).len() < 4 * QUOTED);
    }
}
