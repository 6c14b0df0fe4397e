//! How durations and codes stand in the JSON schema of a policy document.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tonic::Code;

use crate::telemetry::code_name;

/// A duration as people write it.
pub(crate) struct Time;

/// The name of a gRPC status code.
pub(crate) struct CodeName;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number with ms, s, m or h, such as `1500ms`; or whole seconds.",
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(ms|s|m|h)?$",
            "minimum": 0,
        })
    }
}

impl JsonSchema for CodeName {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = (1..=16).map(|number| code_name(Code::from_i32(number))).collect();
        json_schema!({ "description": "A gRPC status code by its name.", "enum": names })
    }
}
