//! The well-known types whose JSON form is not an object of their fields (protobuf.dev, "ProtoJSON Format").

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// A form in JSON that fields do not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Any,
    Timestamp,
    Duration,
    Mask,
    Struct,
    Value,
    List,
    /// `google.protobuf.Int32Value` and its like.
    Wrapper,
}

impl Known {
    /// Returns the form of a type; nothing for one that takes a well-known name and declares something else.
    pub(crate) fn of(message: &MessageDescriptor) -> Option<Self> {
        let single = |number, kind: Kind| is(message, number, |field| !field.is_list() && field.kind() == kind);
        let named = |number, name: &str| is(message, number, |field| holds(field, name));
        let (known, count, fits) = match message.full_name().strip_prefix("google.protobuf.")? {
            "Any" => (Self::Any, 2, single(1, Kind::String) && single(2, Kind::Bytes)),
            "Timestamp" => (Self::Timestamp, 2, single(1, Kind::Int64) && single(2, Kind::Int32)),
            "Duration" => (Self::Duration, 2, single(1, Kind::Int64) && single(2, Kind::Int32)),
            "FieldMask" => (Self::Mask, 1, is(message, 1, |field| field.is_list() && field.kind() == Kind::String)),
            "Struct" => (Self::Struct, 1, is(message, 1, is_struct_map)),
            "ListValue" => (Self::List, 1, is(message, 1, FieldDescriptor::is_list) && named(1, "Value")),
            "Value" => {
                let kinds = single(2, Kind::Double) && single(3, Kind::String) && single(4, Kind::Bool);
                let messages = named(5, "Struct") && named(6, "ListValue") && named(1, "NullValue");
                (
                    Self::Value,
                    6,
                    kinds && messages && message.oneofs().next().is_some_and(|kind| kind.fields().len() == 6),
                )
            }
            name => (Self::Wrapper, 1, single(1, wrapped(name)?)),
        };
        (fits && message.fields().len() == count && message.extensions().len() == 0).then_some(known)
    }
}

/// Returns what a wrapper of `google.protobuf` holds.
pub(crate) fn wrapped(name: &str) -> Option<Kind> {
    Some(match name {
        "DoubleValue" => Kind::Double,
        "FloatValue" => Kind::Float,
        "Int64Value" => Kind::Int64,
        "UInt64Value" => Kind::Uint64,
        "Int32Value" => Kind::Int32,
        "UInt32Value" => Kind::Uint32,
        "BoolValue" => Kind::Bool,
        "StringValue" => Kind::String,
        "BytesValue" => Kind::Bytes,
        _ => return None,
    })
}

fn is(message: &MessageDescriptor, number: u32, wanted: impl Fn(&FieldDescriptor) -> bool) -> bool {
    message.get_field(number).is_some_and(|field| wanted(&field))
}

/// Tells whether a field's type is the one of this name in `google.protobuf`.
fn holds(field: &FieldDescriptor, name: &str) -> bool {
    let is_named = |full: &str| full.strip_prefix("google.protobuf.") == Some(name);
    match field.kind() {
        Kind::Message(message) => is_named(message.full_name()),
        Kind::Enum(descriptor) => is_named(descriptor.full_name()),
        _ => false,
    }
}

fn is_struct_map(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    let entry = kind.as_message().filter(|_| field.is_map());
    entry.is_some_and(|entry| {
        entry.map_entry_key_field().kind() == Kind::String && holds(&entry.map_entry_value_field(), "Value")
    })
}
