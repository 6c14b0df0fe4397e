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

/// Reads a message that a service answered.
pub(crate) fn read(binding: &Binding, message: Bytes) -> Result<DynamicMessage, Status> {
    DynamicMessage::decode(binding.method.descriptor.output(), message)
        .map_err(|error| internal(binding, &format!("its answer is no such message: {error}")))
}

/// Writes a message as JSON.
pub(crate) fn write(binding: &Binding, message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let mut json = serde_json::Serializer::new(Vec::with_capacity(256));
    message
        .serialize_with_options(&mut json, &OPTIONS)
        .map_err(|error| internal(binding, &format!("its answer cannot be written as JSON: {error}")))?;
    let json = json.into_inner();
    let Some(field) = &binding.response_body else { return Ok(json) };
    let mut whole: Json = serde_json::from_slice(&json).map_err(|error| internal(binding, &error.to_string()))?;
    Ok(whole.get_mut(field.json_name()).map(Json::take).unwrap_or_default().to_string().into_bytes())
}

fn internal(binding: &Binding, what: &str) -> Status {
    Status::internal(format!("{}: {what}", binding.method.path))
}
