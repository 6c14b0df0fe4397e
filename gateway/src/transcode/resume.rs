//! Streams that go on where they broke off: a field `resume_token`, of a message that is streamed and of the request.

use serde_json::Value as Json;

use crate::{
    error::Failure,
    json::{self, Encoder, Field, Not, Repeat, Shape, Value, Writer},
    schema::Binding,
};

const FIELD: &str = "resume_token";

/// Returns the token of an answer, if it has one that can stand in a line: a text, bytes in base64, or an integer.
pub(crate) fn token(binding: &Binding, message: &[u8]) -> Option<String> {
    let codec = &binding.method.json;
    let place = codec.output().place(FIELD).filter(|place| is_token(&codec.output().fields[*place]))?;
    let writer = Writer::new(codec.types(), codec.settings, FIELD.len());
    let text = match serde_json::from_slice(&writer.field(codec.output(), place, message).ok()?).ok()? {
        Json::String(text) => text,
        Json::Number(number) => number.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    (!text.is_empty() && !text.contains(['\n', '\r', '\0'])).then_some(text)
}

/// Gives the token to a request that takes one and has none.
pub(crate) fn resume(binding: &Binding, made: &mut Encoder, token: &str) -> Result<(), Failure> {
    let codec = &binding.method.json;
    let Some(field) = codec.input().named(FIELD).filter(|field| field.repeat == Repeat::Single) else { return Ok(()) };
    if has(field, made) {
        return Ok(());
    }
    json::text(codec.types(), field, token, false, made)
        .map_err(|(Not::Named(why) | Not::Fits(why))| Failure::field(FIELD, &why))
}

/// Tells whether a request has a value in a field.
fn has(field: &Field, made: &Encoder) -> bool {
    let frame = made.frame().unwrap_or_default();
    let value = json::single(field, frame.get(5..).unwrap_or_default()).ok().flatten();
    match value {
        None => false,
        Some(_) if field.presence => true,
        Some(Value::Varint(value) | Value::Fixed64(value)) => value != 0,
        Some(Value::Fixed32(value)) => value != 0,
        Some(Value::Bytes(bytes) | Value::Group(bytes)) => !bytes.is_empty(),
    }
}

fn is_token(field: &Field) -> bool {
    let other = matches!(
        field.shape,
        Shape::Double | Shape::Float | Shape::Bool | Shape::Enum(_) | Shape::Null | Shape::Message(_)
    );
    field.repeat == Repeat::Single && !other
}
