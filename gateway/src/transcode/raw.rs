//! `google.api.HttpBody`: bytes that are no JSON, in either direction.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::schema::{Binding, BodyRule};

/// Bytes and their media type, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

/// Tells whether requests of this binding have bytes for a body, of whatever media type.
pub(crate) fn takes(binding: &Binding) -> bool {
    match &binding.body {
        BodyRule::None => false,
        BodyRule::Whole => is_raw(&binding.method.descriptor.input()),
        BodyRule::Field(field) => is_raw_field(field),
    }
}

/// Tells whether answers of this binding are bytes.
pub(crate) fn gives(binding: &Binding) -> bool {
    match &binding.response_body {
        None => is_raw(&binding.method.descriptor.output()),
        Some(field) => is_raw_field(field),
    }
}

/// Puts the bytes where the binding has the body.
pub(crate) fn put(binding: &Binding, message: &mut DynamicMessage, raw: Raw) {
    let body = match &binding.body {
        BodyRule::None => return,
        BodyRule::Whole => message,
        BodyRule::Field(field) => match message.get_field_mut(field).as_message_mut() {
            Some(body) => body,
            None => return,
        },
    };
    body.set_field_by_name("content_type", Value::String(raw.content_type));
    body.set_field_by_name("data", Value::Bytes(raw.data));
}

/// Takes the bytes of an answer.
pub(crate) fn take(binding: &Binding, message: &DynamicMessage) -> Raw {
    let inner = binding.response_body.as_ref().map(|field| message.get_field(field));
    let body = inner.as_ref().and_then(|value| value.as_message()).unwrap_or(message);
    let field = |name: &str| body.get_field_by_name(name);
    Raw {
        content_type: field("content_type").and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default(),
        data: field("data").and_then(|value| value.as_bytes().cloned()).unwrap_or_default(),
    }
}

fn is_raw(message: &MessageDescriptor) -> bool {
    let of_kind = |name: &str, kind: &Kind| message.get_field_by_name(name).is_some_and(|field| field.kind() == *kind);
    // A file may say that it is google/api/httpbody.proto and declare something else.
    message.full_name() == "google.api.HttpBody"
        && of_kind("content_type", &Kind::String)
        && of_kind("data", &Kind::Bytes)
        && message.fields().filter(|field| matches!(field.name(), "content_type" | "data")).all(|f| !f.is_list())
}

fn is_raw_field(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && field.kind().as_message().is_some_and(is_raw)
}
