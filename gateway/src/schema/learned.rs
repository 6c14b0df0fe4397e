//! The schema of one service: its files as they were sent, the pool of what they declare, and the ways to its methods.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use prost_reflect::DescriptorPool;

use crate::{
    config::JsonFormats,
    json::{Codec, Settings, Types},
    schema::{
        bindings::{Binding, bindings},
        files::Files,
        honest,
        method::Method,
    },
};

/// The schema of one service. It has a pool of its own: a pool skips a file whose name it knows already, and two
/// services may send different files of one name. So may two versions of one service, while both run.
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
    /// What the operator says of the JSON of its gRPC services.
    pub(crate) json: Arc<JsonFormats>,
    /// By name of the gRPC service; made once, when they are first asked for.
    bound: OnceLock<BTreeMap<String, Vec<Bound>>>,
}

/// A method, and how REST reaches it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) method: Arc<Method>,
    pub(crate) bindings: Vec<Arc<Binding>>,
    /// Why others of its bindings cannot be served.
    pub(crate) set_aside: Vec<String>,
}

impl Learned {
    /// Links the files; the error says which import or name is wrong. It may take a second for large ones.
    pub(crate) fn new(service: &str, digest: Option<String>, age: u64, files: Files) -> Result<Self, String> {
        let set = files.linkable().map_err(|why| format!("its descriptors cannot be linked: {why}"))?;
        let pool = DescriptorPool::decode(set.as_slice())
            .map_err(|error| format!("its descriptors do not fit together: {error}"))?;
        honest::check(&pool)?;
        if let Some(missing) = files.services.iter().find(|name| pool.get_service_by_name(name).is_none()) {
            return Err(format!("it lists {missing}, which none of its files declares"));
        }
        let bound = OnceLock::new();
        Ok(Self { service: service.into(), digest, age, files, pool, is_told: false, json: Arc::default(), bound })
    }

    /// Tells whether a gRPC service is one of those that it lists.
    pub(crate) fn has(&self, grpc_service: &str) -> bool {
        self.files.services.iter().any(|name| name == grpc_service)
    }

    /// Returns the methods of one of its gRPC services, and how REST reaches them.
    pub(crate) fn bound(&self, grpc_service: &str) -> &[Bound] {
        let all = self.bound.get_or_init(|| {
            let types = Arc::new(Types::new(&self.pool));
            self.files.services.iter().map(|name| (name.clone(), self.bind(name, &types))).collect()
        });
        all.get(grpc_service).map(Vec::as_slice).unwrap_or_default()
    }

    /// Orders versions of one service: the one that declares the most comes first. Protos grow, so that is the newest in
    /// most cases; and it is the same one for every gateway, whatever each saw first.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        let fields: usize = self.pool.all_messages().map(|message| message.fields().len()).sum();
        let values: usize = self.pool.all_enums().map(|all| all.values().len()).sum();
        let methods: usize = self.pool.services().map(|service| service.methods().len()).sum();
        (Reverse(fields + values + methods), self.digest.clone())
    }

    fn bind(&self, grpc_service: &str, types: &Arc<Types>) -> Vec<Bound> {
        let Some(service) = self.pool.get_service_by_name(grpc_service) else { return Vec::new() };
        let settings = Settings::of(&service, &self.json);
        let methods = service.methods().map(|descriptor| {
            let json = Codec::new(Arc::clone(types), &descriptor, settings);
            let method = Arc::new(Method::new(&self.service, descriptor, self.is_told, json));
            let (good, set_aside) = bindings(&method);
            Bound { method, bindings: good.into_iter().map(Arc::new).collect(), set_aside }
        });
        methods.collect()
    }
}
