//! The schema of one service: its files as they were sent, and the pool of what they declare.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;
use selvedge::{CallOptions, Idempotency};

/// What reflection told of a service: file names and their bytes, unparsed so that every option survives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// `FileDescriptorProto`s by file name.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// The gRPC services that may be exposed.
    pub(crate) services: Vec<String>,
}

/// The schema of one service. It has a pool of its own: a pool skips a file whose name it knows already, and two
/// services may send different files of one name.
#[derive(Debug)]
pub(crate) struct Learned {
    /// The name in the registry.
    pub(crate) service: Arc<str>,
    /// The digest that the registration named, if it did.
    pub(crate) digest: Option<String>,
    /// How early the service was first seen: of two that claim one name, the lower keeps it.
    pub(crate) age: u64,
    pub(crate) files: Files,
    pub(crate) pool: DescriptorPool,
    /// The mesh was told what the descriptors say of its methods, and need not be told with every call.
    pub(crate) is_told: bool,
}

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
}

/// A `FileDescriptorSet` whose files stay bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) file: Vec<Bytes>,
}

impl Files {
    /// Splits encoded `FileDescriptorSet`s, as reflection would send them.
    pub(crate) fn from_sets(sets: &[&[u8]], services: &[&str]) -> Result<Self, prost::DecodeError> {
        let mut files = BTreeMap::new();
        for set in sets {
            for bytes in RawSet::decode(*set)?.file {
                let name = prost_types::FileDescriptorProto::decode(bytes.clone())?.name().to_owned();
                files.insert(name, bytes);
            }
        }
        Ok(Self { files, services: services.iter().map(|name| (*name).to_owned()).collect() })
    }
}

impl Files {
    /// Returns them as one encoded `FileDescriptorSet`.
    pub(crate) fn set(&self) -> Vec<u8> {
        RawSet { file: self.files.values().cloned().collect() }.encode_to_vec()
    }
}

impl Learned {
    /// Links the files; the error says which import or name is wrong.
    pub(crate) fn new(service: &str, digest: Option<String>, age: u64, files: Files) -> Result<Self, String> {
        let pool = DescriptorPool::decode(files.set().as_slice())
            .map_err(|error| format!("its descriptors do not fit together: {error}"))?;
        if let Some(missing) = files.services.iter().find(|name| pool.get_service_by_name(name).is_none()) {
            return Err(format!("it lists {missing}, which none of its files declares"));
        }
        Ok(Self { service: service.into(), digest, age, files, pool, is_told: false })
    }

    /// Returns the methods of one of its gRPC services.
    pub(crate) fn methods(&self, grpc_service: &str) -> Vec<Arc<Method>> {
        let Some(service) = self.pool.get_service_by_name(grpc_service) else { return Vec::new() };
        let methods = service.methods().map(|descriptor| {
            let path = format!("/{grpc_service}/{}", descriptor.name());
            let options = if self.is_told { CallOptions::default() } else { call_options(&descriptor) };
            Arc::new(Method { path, service: Arc::clone(&self.service), descriptor, options })
        });
        methods.collect()
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
