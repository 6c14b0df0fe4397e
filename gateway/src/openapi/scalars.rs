//! What the JSON mapping of protobuf makes of scalars and well-known types, as JSON Schema.

use prost_reflect::Kind;

use crate::{json::wrapped, openapi::node::Node};

/// Returns the schema of a scalar as JSON has it; nothing for messages and enums.
pub(crate) fn of_scalar(kind: &Kind) -> Option<Node> {
    let node = match kind {
        Kind::Double => float("double"),
        Kind::Float => float("float"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            integer().with("format", "int32").with("minimum", i64::from(i32::MIN)).with("maximum", i64::from(i32::MAX))
        }
        Kind::Uint32 | Kind::Fixed32 => integer().with("minimum", 0).with("maximum", i64::from(u32::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            text().with("format", "int64").with("pattern", "^-?(0|[1-9][0-9]{0,18})$")
        }
        Kind::Uint64 | Kind::Fixed64 => text().with("format", "uint64").with("pattern", "^(0|[1-9][0-9]{0,19})$"),
        Kind::Bool => Node::map().with("type", "boolean"),
        Kind::String => text(),
        Kind::Bytes => text().with("contentEncoding", "base64"),
        Kind::Message(_) | Kind::Enum(_) => return None,
    };
    Some(node)
}

/// Returns the schema of the keys of a map; nothing if any text will do.
pub(crate) fn of_key(kind: &Kind) -> Option<Node> {
    let pattern = match kind {
        Kind::String => return None,
        Kind::Bool => "^(true|false)$",
        Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 => "^(0|[1-9][0-9]{0,19})$",
        _ => "^-?(0|[1-9][0-9]{0,18})$",
    };
    Some(Node::map().with("pattern", pattern))
}

/// Returns the schema of a well-known type, by its full name.
pub(crate) fn well_known(name: &str) -> Option<Node> {
    let node = match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => text().with("format", "date-time"),
        "Duration" => text().with("pattern", "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$"),
        "FieldMask" => text().with("pattern", "^([A-Za-z0-9_.*]+(,[A-Za-z0-9_.*]+)*)?$"),
        "Struct" => Node::map().with("type", "object"),
        "Value" => Node::map(),
        "ListValue" => Node::map().with("type", "array").with("items", Node::map()),
        "Empty" => Node::map().with("type", "object").with("additionalProperties", false),
        "Any" => {
            let types = Node::map().with("@type", text().with("description", "The URL of the type."));
            let object = Node::map().with("type", "object").with("properties", types);
            object.with("required", Node::texts(["@type"])).with("additionalProperties", true)
        }
        wrapper => of_scalar(&wrapped(wrapper)?)?,
    };
    Some(node)
}

/// Tells whether a message can be given as one text, as in a query.
pub(crate) fn is_text(name: &str) -> bool {
    let name = name.strip_prefix("google.protobuf.").unwrap_or_default();
    matches!(name, "Timestamp" | "Duration" | "FieldMask") || wrapped(name).is_some()
}

fn text() -> Node {
    Node::map().with("type", "string")
}

fn integer() -> Node {
    Node::map().with("type", "integer")
}

fn float(format: &str) -> Node {
    let number = Node::map().with("type", "number").with("format", format);
    let other = text().with("enum", Node::texts(["NaN", "Infinity", "-Infinity"]));
    Node::map().with("oneOf", vec![number, other])
}
