//! A set of gRPC status codes.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tonic::Code;

use crate::{policy::schema::CodeName, telemetry::code_name};

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
        let names: Vec<_> = all().filter(|code| self.contains(*code)).map(code_name).collect();
        f.write_str(if names.is_empty() { "none".into() } else { names.join(", ") }.as_str())
    }
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all().filter(|code| self.contains(*code)).map(code_name))
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named(#[serde(with = "named")] Code);
        Ok(Vec::<Named>::deserialize(deserializer)?.into_iter().map(|Named(code)| code).collect())
    }
}

impl JsonSchema for Codes {
    fn schema_name() -> Cow<'static, str> {
        "Codes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<CodeName>::json_schema(generator)
    }
}

/// One code, written by its name. OK is none that a call fails with.
pub(crate) mod named {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tonic::Code;

    use crate::{policy::codes::all, telemetry::code_name};

    // The signature is serde's.
    pub(crate) fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(code_name(*code))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = all().find(|code| *code != Code::Ok && code_name(*code) == name);
        found.ok_or_else(|| {
            D::Error::custom(format!("{name:?} is no code that a call fails with: expected a name such as UNAVAILABLE"))
        })
    }
}

fn all() -> impl Iterator<Item = Code> {
    (0..=16).map(Code::from_i32)
}

fn bit(code: Code) -> u32 {
    1 << code as u32
}
