//! A message to a service, framed; and one of a service as JSON.
//!
//! Zero values are written unless the service says otherwise, so that an answer has the same keys whatever it holds; a
//! field that knows absence is left out when absent. 64-bit integers are texts, as the JSON mapping says.

use bytes::Bytes;
use tonic::Status;

use crate::{
    json::{Encoder, Writer},
    schema::Binding,
};

/// Puts a message into a gRPC frame (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) fn frame(made: &Encoder) -> Result<Bytes, Status> {
    made.frame().ok_or_else(|| Status::resource_exhausted("the request is larger than 4 GiB"))
}

/// Writes a message that a service answered as JSON.
pub(crate) fn write(binding: &Binding, message: &[u8]) -> Result<Vec<u8>, Status> {
    let codec = &binding.method.json;
    let writer = Writer::new(codec.types(), codec.settings, message.len());
    let written = match &binding.response_body {
        None => writer.message(codec.output(), message),
        Some(field) => writer.field(codec.output(), codec.place_answered(field), message),
    };
    written.map_err(|why| {
        Status::internal(format!("{}: its answer cannot be written as JSON: {why}", binding.method.path))
    })
}
