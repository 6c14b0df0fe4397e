//! What reflection tells of a service: its files as they were sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

/// What reflection told of a service: file names and their bytes, unparsed so that every option survives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// `FileDescriptorProto`s by file name.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// The gRPC services that may be exposed.
    pub(crate) services: Vec<String>,
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

    /// Returns them as one encoded `FileDescriptorSet`.
    pub(crate) fn set(&self) -> Vec<u8> {
        RawSet { file: self.files.values().cloned().collect() }.encode_to_vec()
    }
}
