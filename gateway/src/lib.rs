//! Opens the mesh to browsers (gRPC-Web), REST clients and plain gRPC, on one port.
//!
//! A request walks `listener → pipeline → protocol (decode) → transcode → upstream → selvedge::Channel`, and its
//! answer returns through the same protocol file. What services there are and what they declare is learned at run
//! time: [`Gateway`] follows the registry, and reads each exposed service by gRPC reflection.

mod gateway;

mod listener;
mod pipeline;
mod protocol;

mod cors;
mod transcode;

mod admin;
mod descriptors;
mod docs;
mod openapi;
mod reflection;
mod schema;
mod upstream;

mod body;
mod config;
mod error;
mod json;
mod memory;
mod metadata;
mod metrics;
mod percent;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod testing;

pub use crate::{
    config::{Expose, JsonFormat, JsonFormatError, JsonFormats, Limits, Options, Origins, json_format},
    error::Error,
    gateway::{Gateway, run},
};
