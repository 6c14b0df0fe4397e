//! One method, as the gateway calls it.

use std::sync::Arc;

use prost_reflect::MethodDescriptor;
use prost_types::method_options::IdempotencyLevel;
use selvedge::{CallOptions, Idempotency};

use crate::json::Codec;

/// One method of a service of the mesh.
#[derive(Debug)]
pub(crate) struct Method {
    /// `/package.Service/Method`.
    pub(crate) path: String,
    /// The name of the service in the registry.
    pub(crate) service: Arc<str>,
    pub(crate) descriptor: MethodDescriptor,
    /// What the mesh is told of every call.
    pub(crate) options: CallOptions,
    /// How its messages are written as JSON, and read from it.
    pub(crate) json: Codec,
}

impl Method {
    /// Describes a method. A mesh that was told what its descriptor says need not be told with every call.
    pub(crate) fn new(service: &Arc<str>, descriptor: MethodDescriptor, is_told: bool, json: Codec) -> Self {
        let path = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
        let options = if is_told { CallOptions::default() } else { call_options(&descriptor) };
        Self { path, service: Arc::clone(service), descriptor, options, json }
    }
}

fn call_options(method: &MethodDescriptor) -> CallOptions {
    let level = method.method_descriptor_proto().options.as_ref().map(|options| options.idempotency_level());
    let mut options = CallOptions::default();
    options.idempotency = Some(match level {
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
        Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        Some(IdempotencyLevel::IdempotencyUnknown) | None => Idempotency::Unknown,
    });
    options.unary = Some(!method.is_client_streaming() && !method.is_server_streaming());
    options
}
