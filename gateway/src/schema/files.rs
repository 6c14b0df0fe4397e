//! What reflection tells of a service: its files as they were sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use crate::schema::editions;

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

    /// Returns them as one encoded `FileDescriptorSet` that can be linked; the error says which file cannot be.
    pub(crate) fn linkable(&self) -> Result<Vec<u8>, String> {
        let named = |(name, file): (&String, &Bytes)| editions::linkable(file).map_err(|why| format!("{name}: {why}"));
        let file = self.files.iter().map(named).collect::<Result<_, _>>()?;
        Ok(RawSet { file }.encode_to_vec())
    }
}
