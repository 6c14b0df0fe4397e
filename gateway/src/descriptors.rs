//! One descriptor set of all of the mesh, as `buf curl` and generators read it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, FileDescriptor};
use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::schema::{Learned, RawSet, Schema, linkable};

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
        let file = ordered(&merged.pool).into_iter().filter_map(|name| Some(merged.files.get(&name)?.bytes.clone()));
        Self { bytes: RawSet { file: file.collect() }.encode_to_vec(), left_out }
    }

    /// Returns the files of the service that has this gRPC service, as it sent them.
    pub(crate) fn of_service(schema: &Schema, grpc_service: &str) -> Option<Self> {
        let learned = schema.services().get(grpc_service)?;
        let file = ordered(&learned.pool).iter().filter_map(|name| learned.files.files.get(name).cloned()).collect();
        Some(Self { bytes: RawSet { file }.encode_to_vec(), left_out: Vec::new() })
    }
}

#[derive(Debug, Default)]
struct Merged {
    files: BTreeMap<String, File>,
    /// Links what there is: two files may declare one name.
    pool: DescriptorPool,
}

/// A file as it was sent, and what it declares.
#[derive(Debug)]
struct File {
    bytes: Bytes,
    declared: FileDescriptorProto,
}

impl Merged {
    /// Adds the files of a service, or none of them if one contradicts what is there.
    fn add(&mut self, learned: &Learned) -> Option<()> {
        let mut new = BTreeMap::new();
        for name in ordered(&learned.pool) {
            let Some(bytes) = learned.files.files.get(&name).cloned() else { continue };
            let declared = declared(&bytes)?;
            match self.files.get(&name).map(|known| (&known.declared, known.declared.encoded_len())) {
                Some((known, _)) if *known == declared => {}
                Some(_) if !only_grows(&name) => return None,
                Some((_, length)) if length >= declared.encoded_len() => {}
                _ => _ = new.insert(name, File { bytes, declared }),
            }
        }
        self.pool = self.linked(&new)?;
        self.files.extend(new);
        Some(())
    }

    /// Links new files with those there are, if they fit together.
    fn linked(&self, new: &BTreeMap<String, File>) -> Option<DescriptorPool> {
        // A pool skips a file whose name it knows: where one is replaced, all are linked anew.
        let replaces = new.keys().any(|name| self.files.contains_key(name));
        let kept = self.files.iter().filter(|(name, _)| replaces && !new.contains_key(*name));
        let file = kept.chain(new).map(|(_, file)| linkable(&file.bytes).ok()).collect::<Option<_>>()?;
        let mut pool = if replaces { DescriptorPool::new() } else { self.pool.clone() };
        pool.decode_file_descriptor_set(RawSet { file }.encode_to_vec().as_slice()).ok()?;
        Some(pool)
    }
}

/// Tells whether a newer version of a file declares all that an older one does, so that the longer one serves both:
/// each release of protobuf brings its own `descriptor.proto`, and services are not released together.
fn only_grows(name: &str) -> bool {
    name.starts_with("google/protobuf/") || name.starts_with("google/api/") || name.starts_with("google/rpc/")
}

/// Returns the names of files, each after its imports.
fn ordered(pool: &DescriptorPool) -> Vec<String> {
    let (mut done, mut order) = (BTreeSet::new(), Vec::new());
    for file in pool.files() {
        visit(&file, &mut done, &mut order);
    }
    order
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
    use crate::{
        schema::State,
        testing::{learned, states},
    };

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
    fn services_of_several_releases_of_protobuf_fit_together() {
        let of = |service, file, grpc| learned(service, 0, file, grpc).learned.unwrap();
        let shop = of("shop", "shop/v1/shop.proto", "shop.v1.ShopService");
        let older = |learned: &Learned| {
            let mut files = learned.files.clone();
            let bytes = files.files.get_mut("google/protobuf/descriptor.proto").unwrap();
            let mut file = FileDescriptorProto::decode(bytes.clone()).unwrap();
            file.message_type.iter_mut().for_each(|message| message.reserved_name.clear());
            let options = file.message_type.iter_mut().find(|message| message.name() == "MethodOptions").unwrap();
            options.field.retain(|field| field.name() != "features");
            *bytes = file.encode_to_vec().into();
            Learned::new("old", None, 1, files).unwrap()
        };
        let longest = &shop.files.files["google/protobuf/descriptor.proto"];
        let old = older(&of("old", "shop/v1/rival.proto", "rival.v1.RivalService"));
        for services in [[&*shop, &old], [&old, &shop]] {
            let mut merged = Merged::default();
            assert!(services.iter().all(|learned| merged.add(learned).is_some()));
            assert_eq!(merged.files["google/protobuf/descriptor.proto"].bytes, longest);
            assert!(merged.pool.get_service_by_name("rival.v1.RivalService").is_some());
            assert!(merged.pool.get_service_by_name("shop.v1.ShopService").is_some());
        }
    }

    #[test]
    fn a_service_that_contradicts_an_older_one_is_left_out_alone() {
        let State { learned: Some(shop), .. } = learned("shop", 0, "shop/v1/shop.proto", "shop.v1.ShopService") else {
            unreachable!("it was learned")
        };
        let mut files = shop.files.clone();
        let bytes = files.files.get_mut("shop/v1/shop.proto").unwrap();
        let mut file = FileDescriptorProto::decode(bytes.clone()).unwrap();
        file.message_type[0].field.clear();
        file.message_type[0].oneof_decl.clear();
        *bytes = file.encode_to_vec().into();
        let other = Learned::new("other", None, 1, files).unwrap();
        let mut merged = Merged::default();
        assert!(merged.add(&shop).is_some());
        assert!(merged.add(&other).is_none());
        assert_eq!(merged.files["shop/v1/shop.proto"].bytes, shop.files.files["shop/v1/shop.proto"]);
    }

    #[test]
    fn one_service_has_its_own_files() {
        let schema = schema(&[("shop", "shop/v1/shop.proto", "shop.v1.ShopService")]);
        let pool = DescriptorPool::decode(Set::of_service(&schema, "shop.v1.ShopService").unwrap().bytes.as_slice());
        assert!(pool.unwrap().get_service_by_name("shop.v1.ShopService").is_some());
        assert!(Set::of_service(&schema, "shop.v1.None").is_none());
    }
}
