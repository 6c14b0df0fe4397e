//! One descriptor set of all of the mesh, as `buf curl` and generators read it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, FileDescriptor};
use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::schema::{Learned, RawSet, Schema};

/// The set, and what does not fit into it.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) bytes: Vec<u8>,
    /// Services of the registry whose files contradict those of another.
    pub(crate) left_out: Vec<String>,
}

impl Set {
    /// Puts the files of all services together, the oldest service first; each file comes after its imports.
    pub(crate) fn of(schema: &Schema) -> Self {
        let mut services: Vec<&Learned> = schema.services().values().map(|learned| &**learned).collect();
        services.sort_by_key(|learned| (learned.age, learned.service.to_string()));
        services.dedup_by_key(|learned| learned.service.to_string());
        let mut merged = Merged::default();
        let mut left_out = Vec::new();
        for learned in services {
            if merged.add(learned).is_none() {
                left_out.push(learned.service.to_string());
            }
        }
        Self { bytes: RawSet { file: merged.files }.encode_to_vec(), left_out }
    }

    /// Returns the files of the service that has this gRPC service, as it sent them.
    pub(crate) fn of_service(schema: &Schema, grpc_service: &str) -> Option<Self> {
        let learned = schema.services().get(grpc_service)?;
        let file = ordered(learned).into_iter().map(|(_, bytes)| bytes).collect();
        Some(Self { bytes: RawSet { file }.encode_to_vec(), left_out: Vec::new() })
    }
}

#[derive(Debug, Default)]
struct Merged {
    files: Vec<Bytes>,
    /// What each file declares, by its name.
    known: BTreeMap<String, FileDescriptorProto>,
    /// Links what there is: two files may declare one name.
    pool: DescriptorPool,
}

impl Merged {
    /// Adds the files of a service, or none of them if one contradicts what is there.
    fn add(&mut self, learned: &Learned) -> Option<()> {
        let mut new = Vec::new();
        for (name, bytes) in ordered(learned) {
            let declared = declared(&bytes)?;
            match self.known.get(&name) {
                Some(known) if *known == declared => {}
                Some(_) => return None,
                None => new.push((name, bytes, declared)),
            }
        }
        let raw = RawSet { file: new.iter().map(|(_, bytes, _)| bytes.clone()).collect() };
        let mut pool = self.pool.clone();
        pool.decode_file_descriptor_set(raw.encode_to_vec().as_slice()).ok()?;
        self.pool = pool;
        for (name, bytes, declared) in new {
            self.files.push(bytes);
            self.known.insert(name, declared);
        }
        Some(())
    }
}

/// Returns the files of a service by name, each after its imports.
fn ordered(learned: &Learned) -> Vec<(String, Bytes)> {
    let (mut done, mut order) = (BTreeSet::new(), Vec::new());
    for file in learned.pool.files() {
        visit(&file, &mut done, &mut order);
    }
    let bytes = order.into_iter().filter_map(|name| learned.files.files.get(&name).cloned().map(|bytes| (name, bytes)));
    bytes.collect()
}

/// A linked pool has no cycle of imports, and a service has a thousand files at most.
fn visit(file: &FileDescriptor, done: &mut BTreeSet<String>, order: &mut Vec<String>) {
    if done.insert(file.name().to_owned()) {
        file.dependencies().for_each(|import| visit(&import, done, order));
        order.push(file.name().to_owned());
    }
}

/// Returns what a file declares, without what reflection of some languages leaves out: comments, and names in JSON.
fn declared(bytes: &Bytes) -> Option<FileDescriptorProto> {
    let mut file = FileDescriptorProto::decode(bytes.clone()).ok()?;
    file.source_code_info = None;
    file.extension.iter_mut().for_each(|field| field.json_name = None);
    file.message_type.iter_mut().for_each(without_json_names);
    Some(file)
}

fn without_json_names(message: &mut DescriptorProto) {
    message.field.iter_mut().chain(&mut message.extension).for_each(|field| field.json_name = None);
    message.nested_type.iter_mut().for_each(without_json_names);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{learned, states};

    fn schema(list: &[(&str, &str, &str)]) -> Schema {
        let all =
            list.iter().zip(0..).map(|((service, file, grpc), age)| (*service, learned(service, age, file, grpc)));
        Schema::build(&states(all.collect()), true, &Schema::default())
    }

    #[test]
    fn each_file_comes_once_after_its_imports() {
        let schema = schema(&[
            ("shop", "shop/v1/shop.proto", "shop.v1.ShopService"),
            ("rival", "shop/v1/rival.proto", "rival.v1.RivalService"),
        ]);
        let set = Set::of(&schema);
        let files = prost_types::FileDescriptorSet::decode(set.bytes.as_slice()).unwrap().file;
        let names: Vec<&str> = files.iter().map(FileDescriptorProto::name).collect();
        for (place, file) in files.iter().enumerate() {
            assert!(file.dependency.iter().all(|import| names[..place].contains(&import.as_str())), "{names:?}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.contains(&"shop/v1/shop.proto"));
        assert!(DescriptorPool::decode(set.bytes.as_slice()).is_ok());
    }

    #[test]
    fn one_service_has_its_own_files() {
        let schema = schema(&[("shop", "shop/v1/shop.proto", "shop.v1.ShopService")]);
        let pool = DescriptorPool::decode(Set::of_service(&schema, "shop.v1.ShopService").unwrap().bytes.as_slice());
        assert!(pool.unwrap().get_service_by_name("shop.v1.ShopService").is_some());
        assert!(Set::of_service(&schema, "shop.v1.None").is_none());
    }
}
