//! What stands on the right of a comparison, as it was written.

/// A value, with or without quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The text, without the star at its end.
    pub(crate) text: String,
    /// Whether a star stands at its end: for all that begins with the text.
    pub(crate) starred: bool,
    /// Whether it stands between quotation marks.
    pub(crate) quoted: bool,
}

/// Puts a literal together, character by character.
#[derive(Debug)]
pub(crate) struct Builder {
    literal: Literal,
}

impl Builder {
    pub(crate) fn new(quoted: bool) -> Self {
        Self { literal: Literal { text: String::new(), starred: false, quoted } }
    }

    /// Adds a character that stands for itself.
    pub(crate) fn plain(&mut self, c: char) -> Result<(), String> {
        if self.literal.starred {
            return Err("a star is taken at the end of a value only: write \\* for the character".into());
        }
        self.literal.text.push(c);
        Ok(())
    }

    /// Adds a star.
    pub(crate) fn star(&mut self) -> Result<(), String> {
        if self.literal.starred {
            return self.plain('*');
        }
        self.literal.starred = true;
        Ok(())
    }

    /// Adds what follows a backslash.
    pub(crate) fn escaped(&mut self, c: Option<char>) -> Result<(), String> {
        match c {
            Some(c @ ('"' | '\'' | '\\' | '*')) => self.plain(c),
            _ => Err("a backslash is taken before \" ' \\ and * only".into()),
        }
    }

    pub(crate) fn finish(self) -> Literal {
        self.literal
    }
}
