//! Streams that go on where they broke off: a field `resume_token`, of a message that is streamed and of the request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::{error::Failure, transcode::value};

const FIELD: &str = "resume_token";

/// Returns the token of a message, if it has one that can stand in a line.
pub(crate) fn token(message: &DynamicMessage) -> Option<String> {
    let text = match message.get_field_by_name(FIELD)?.as_ref() {
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && !text.contains(['\n', '\r', '\0'])).then_some(text)
}

/// Gives the token to a request that takes one and has none.
pub(crate) fn resume(message: &mut DynamicMessage, token: &str) -> Result<(), Failure> {
    let Some(field) = message.descriptor().get_field_by_name(FIELD).filter(|field| !message.has_field(field)) else {
        return Ok(());
    };
    let parsed = value::parse(&field.kind(), token).map_err(|why| Failure::field(FIELD, &why))?;
    if !field.is_list() && !field.is_map() {
        message.set_field(&field, parsed);
    }
    Ok(())
}
