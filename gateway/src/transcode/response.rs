//! A service's message to JSON.
//!
//! Zero values are written, so that an answer has the same keys whatever it holds; a field that knows absence is left
//! out when absent. 64-bit integers are strings, as the proto3 JSON mapping says.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value as Json;
use tonic::Status;

use crate::schema::Binding;

const OPTIONS: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// Puts a message into a gRPC frame (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) fn frame(message: &DynamicMessage) -> Result<Bytes, Status> {
    let length = message.encoded_len();
    let short = u32::try_from(length).map_err(|_| Status::resource_exhausted("the request is larger than 4 GiB"))?;
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(short);
    message.encode(&mut frame).map_err(|error| Status::internal(format!("the request cannot be encoded: {error}")))?;
    Ok(frame.freeze())
}

/// Writes the one message of a gRPC body as JSON.
pub(crate) fn response(binding: &Binding, body: &[u8]) -> Result<Vec<u8>, Status> {
    let message = DynamicMessage::decode(binding.method.descriptor.output(), unframe(binding, body)?)
        .map_err(|error| internal(binding, &format!("its answer is no such message: {error}")))?;
    let mut json = serde_json::Serializer::new(Vec::with_capacity(body.len() * 2));
    message
        .serialize_with_options(&mut json, &OPTIONS)
        .map_err(|error| internal(binding, &format!("its answer cannot be written as JSON: {error}")))?;
    let json = json.into_inner();
    let Some(field) = &binding.response_body else { return Ok(json) };
    let mut whole: Json = serde_json::from_slice(&json).map_err(|error| internal(binding, &error.to_string()))?;
    Ok(whole.get_mut(field.json_name()).map(Json::take).unwrap_or_default().to_string().into_bytes())
}

fn unframe<'b>(binding: &Binding, body: &'b [u8]) -> Result<&'b [u8], Status> {
    let (prefix, message) =
        body.split_at_checked(5).ok_or_else(|| internal(binding, "it answered without a message"))?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if prefix[0] != 0 {
        return Err(internal(binding, "it compressed its answer, though nobody asked it to"));
    }
    if length != message.len() {
        return Err(internal(binding, "it answered a unary call with something else than one message"));
    }
    Ok(message)
}

fn internal(binding: &Binding, what: &str) -> Status {
    Status::internal(format!("{}: {what}", binding.method.path))
}
