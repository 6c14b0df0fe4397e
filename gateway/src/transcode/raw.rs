//! `google.api.HttpBody`: bytes that are no JSON, in either direction.

use std::borrow::Cow;

use bytes::Bytes;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use tonic::Status;

use crate::{
    json::{self, Encoder, Layout, Malformed, Shape, Value},
    schema::{Binding, BodyRule},
};

/// The fields of google/api/httpbody.proto.
const CONTENT_TYPE: &str = "content_type";
const DATA: &str = "data";

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
pub(crate) fn put(binding: &Binding, made: &mut Encoder, raw: &Raw) {
    let codec = &binding.method.json;
    match &binding.body {
        BodyRule::None => {}
        BodyRule::Whole => fill(codec.input(), made, raw),
        BodyRule::Field(field) => {
            let field = codec.field(field);
            let Shape::Message(place) = field.shape else { return };
            let open = made.open_field(field);
            fill(codec.types().message(place), made, raw);
            made.close(open);
        }
    }
}

fn fill(layout: &Layout, made: &mut Encoder, raw: &Raw) {
    for (name, bytes) in [(CONTENT_TYPE, raw.content_type.as_bytes()), (DATA, &*raw.data)] {
        if let Some(field) = layout.named(name).filter(|_| !bytes.is_empty()) {
            made.bytes(field.number, bytes);
        }
    }
}

/// Takes the bytes of an answer; they are not copied.
pub(crate) fn take(binding: &Binding, message: &Bytes) -> Result<Raw, Status> {
    let wrong = |why| Status::internal(format!("{}: its answer is no such message: {why}", binding.method.path));
    parts(binding, message).map_err(wrong)
}

fn parts(binding: &Binding, message: &Bytes) -> Result<Raw, Malformed> {
    let codec = &binding.method.json;
    let (mut layout, mut body) = (codec.output(), Cow::Borrowed(&message[..]));
    if let Some(field) = &binding.response_body {
        let field = codec.answered(field);
        body = json::wholly(field, message)?;
        if let Shape::Message(place) = field.shape {
            layout = codec.types().message(place);
        }
    }
    let bytes = |name: &str| match layout.named(name) {
        Some(field) => Ok(json::single(field, &body)?.map(Value::bytes).unwrap_or_default()),
        None => Ok(&[][..]),
    };
    let (content_type, data) = (bytes(CONTENT_TYPE)?, bytes(DATA)?);
    let content_type = String::from_utf8_lossy(content_type).into_owned();
    let data = match &body {
        Cow::Borrowed(_) if !data.is_empty() => message.slice_ref(data),
        _ => Bytes::copy_from_slice(data),
    };
    Ok(Raw { content_type, data })
}

fn is_raw(message: &MessageDescriptor) -> bool {
    let of_kind = |name: &str, kind: &Kind| message.get_field_by_name(name).is_some_and(|field| field.kind() == *kind);
    // A file may say that it is google/api/httpbody.proto and declare something else.
    message.full_name() == "google.api.HttpBody"
        && of_kind(CONTENT_TYPE, &Kind::String)
        && of_kind(DATA, &Kind::Bytes)
        && message.fields().filter(|field| matches!(field.name(), CONTENT_TYPE | DATA)).all(|f| !f.is_list())
}

fn is_raw_field(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && field.kind().as_message().is_some_and(is_raw)
}
