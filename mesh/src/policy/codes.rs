//! A set of gRPC status codes.

use std::fmt;

use tonic::Code;

use crate::telemetry::code_name;

/// A set of gRPC status codes; printed, their names with commas between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes(u32);

impl Codes {
    /// Whether a code is in the set.
    #[must_use]
    pub fn contains(self, code: Code) -> bool {
        self.0 & bit(code) != 0
    }
}

impl FromIterator<Code> for Codes {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Self {
        Self(codes.into_iter().fold(0, |set, code| set | bit(code)))
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = (0..=16).map(Code::from_i32).filter(|code| self.contains(*code)).map(code_name).collect();
        f.write_str(if names.is_empty() { "none".into() } else { names.join(", ") }.as_str())
    }
}

fn bit(code: Code) -> u32 {
    1 << code as u32
}
