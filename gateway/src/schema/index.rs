//! One index over the schemas of all services.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use selvedge::Tagged;

use crate::schema::{
    bindings::Binding,
    learned::Learned,
    method::Method,
    narrow,
    report::{Report, SchemaReport, ServiceReport},
    routes::{Matched, Routes},
};

/// Everything that the gateway knows of protos at one time; immutable.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// By name of the gRPC service; of several versions the first that has it.
    services: BTreeMap<String, Arc<Learned>>,
    /// By `/package.Service/Method`.
    methods: HashMap<String, Arc<Method>>,
    /// Of those that some versions of a service lack: the instances that have them.
    tagged: HashMap<String, Tagged>,
    routes: Routes<Arc<Binding>>,
    /// All that is in `routes`, apart from what only older versions have.
    bindings: Vec<Arc<Binding>>,
    /// Method of HTTP and shape of every route, and the method that has it.
    owners: HashMap<(String, String), String>,
    pub(crate) report: Report,
}

/// Who answers a gRPC request.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The gateway itself: health and reflection.
    Own,
    /// A service of the mesh.
    Service {
        method: Arc<Method>,
        /// The instances that have the method, if not all have it.
        tagged: Option<Tagged>,
    },
}

/// What is known of one service before the index is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) learned: Option<Arc<Learned>>,
    /// Other versions that run beside it: they declare less.
    pub(crate) others: Vec<Arc<Learned>>,
    /// It was not read of an instance yet, but is what an earlier process had kept.
    pub(crate) from_disk: bool,
    pub(crate) error: Option<String>,
}

impl State {
    /// Returns all versions, the one that declares the most before the others.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<Learned>> {
        self.learned.iter().chain(&self.others)
    }

    fn claims(&self, grpc_service: &str) -> bool {
        self.versions().any(|version| version.has(grpc_service))
    }
}

/// The gateway's own services.
pub(crate) const OWN: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

impl Schema {
    /// Makes the index. What the previous one gave to a service stays with it; what is new and claimed twice goes to
    /// the service that was seen first.
    pub(crate) fn build(states: &BTreeMap<String, State>, registry_answered: bool, previous: &Self) -> Self {
        let mut schema = Self { report: Report { registry_answered, ..Report::default() }, ..Self::default() };
        for (name, state) in states {
            schema.report.services.insert(name.clone(), service_report(state));
        }
        let mut known: Vec<_> = states.iter().filter(|(_, state)| state.learned.is_some()).collect();
        known.sort_by_key(|(name, state)| (state.learned.as_ref().map(|learned| learned.age), *name));
        let owners = schema.claim_services(&known, previous);
        let mut routes = Vec::new();
        for (grpc_service, state) in owners {
            schema.tagged.extend(narrow::tagged(grpc_service, state.versions(), &previous.tagged));
            let versions = state.versions().filter(|version| version.has(grpc_service));
            for (rank, version) in versions.enumerate() {
                schema.bind(grpc_service, version, rank, &mut routes);
            }
        }
        schema.claim_routes(routes, previous);
        schema.report.shorten();
        schema
    }

    /// Finds who answers a gRPC request, or says what of its path is unknown.
    pub(crate) fn target(&self, path: &str) -> Result<Target, String> {
        if let Some(method) = self.methods.get(path) {
            return Ok(self.target_of(method));
        }
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        if OWN.contains(&service) {
            return Ok(Target::Own);
        }
        if self.services.contains_key(service) {
            return Err(format!("unknown method {method} of service {service}"));
        }
        Err(format!("unknown service {service}"))
    }

    /// Returns who answers calls of a method.
    pub(crate) fn target_of(&self, method: &Arc<Method>) -> Target {
        Target::Service { method: Arc::clone(method), tagged: self.tagged.get(&method.path).cloned() }
    }

    /// Tells whether the method of a gRPC request takes a stream of messages.
    pub(crate) fn takes_stream(&self, path: &str) -> bool {
        match self.methods.get(path) {
            Some(method) => method.descriptor.is_client_streaming(),
            // Of the gateway's own methods this one does.
            None => path.ends_with(".ServerReflection/ServerReflectionInfo"),
        }
    }

    /// Finds the route of a REST request.
    pub(crate) fn route<'s, 'p>(&'s self, http: &str, path: &'p str) -> Matched<'s, 'p, Arc<Binding>> {
        self.routes.find(http, path)
    }

    /// Returns the gRPC services that are served, with the schemas that they come from.
    pub(crate) fn services(&self) -> &BTreeMap<String, Arc<Learned>> {
        &self.services
    }

    /// Returns the REST bindings that are served.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().map(|binding| &**binding)
    }

    /// Gives each gRPC service to one service of the registry.
    fn claim_services<'s>(&mut self, known: &[(&String, &'s State)], previous: &Self) -> BTreeMap<&'s str, &'s State> {
        let mut owners: BTreeMap<&str, (&String, &State)> = BTreeMap::new();
        for (name, state) in known {
            for grpc_service in names(state) {
                let before = previous.services.get(grpc_service).map(|by| &*by.service);
                let keeps =
                    known.iter().find(|(name, other)| Some(name.as_str()) == before && other.claims(grpc_service));
                let (owner, _) = *owners.entry(grpc_service).or_insert(*keeps.unwrap_or(&(name, state)));
                if owner != *name {
                    let conflict = format!("{grpc_service} is claimed by {name} too, and stays with {owner}");
                    self.report.conflicts.push(conflict);
                }
            }
        }
        for (grpc_service, (name, state)) in &owners {
            let first = state.versions().find(|version| version.has(grpc_service));
            self.services.extend(first.map(|first| ((*grpc_service).to_owned(), Arc::clone(first))));
            if let Some(report) = self.report.services.get_mut(*name) {
                report.grpc_services.push((*grpc_service).to_owned());
            }
        }
        owners.into_iter().map(|(grpc_service, (_, state))| (grpc_service, state)).collect()
    }

    /// Takes up the methods of a gRPC service as one version declares it, apart from those that an earlier one has.
    fn bind(&mut self, grpc_service: &str, version: &Learned, rank: usize, routes: &mut Vec<Claim>) {
        for bound in version.bound(grpc_service) {
            let path = &bound.method.path;
            if !self.methods.contains_key(path) {
                self.methods.insert(path.clone(), Arc::clone(&bound.method));
            }
            let claim = |binding: &Arc<Binding>| Claim { age: version.age, rank, binding: Arc::clone(binding) };
            routes.extend(bound.bindings.iter().map(claim));
            if let Some(report) = self.report.services.get_mut(&*version.service) {
                let new = bound.set_aside.iter().filter(|why| rank == 0 || !report.set_aside.contains(why));
                let new: Vec<_> = new.cloned().collect();
                report.set_aside.extend(new);
            }
        }
    }

    fn claim_routes(&mut self, routes: Vec<Claim>, previous: &Self) {
        let key = |binding: &Binding| (binding.http.clone(), binding.template.shape());
        let had = |binding: &Binding| previous.owners.get(&key(binding)) == Some(&binding.method.path);
        let mut routes: Vec<_> = routes.into_iter().map(|claim| (!had(&claim.binding), claim)).collect();
        routes.sort_by_key(|(new, claim)| (*new, claim.age, claim.rank));
        for (_, Claim { rank, binding, .. }) in routes {
            match self.routes.insert(&binding.http, &binding.template, Arc::clone(&binding)) {
                Ok(()) => {
                    self.owners.insert(key(&binding), binding.method.path.clone());
                    self.bindings.extend((rank == 0).then_some(binding));
                }
                // The same in another version.
                Err(kept) if is_other_version(&kept.method, &binding.method) => {}
                Err(kept) => self.report.conflicts.push(format!(
                    "{} {} is claimed by {} too, and stays with {}",
                    binding.http, binding.text, binding.method.path, kept.method.path
                )),
            }
        }
    }
}

/// A route that a version of a service claims.
struct Claim {
    age: u64,
    /// The place of the version among those of its service.
    rank: usize,
    binding: Arc<Binding>,
}

fn is_other_version(one: &Arc<Method>, other: &Arc<Method>) -> bool {
    one.path == other.path && one.service == other.service && !Arc::ptr_eq(one, other)
}

/// Returns the gRPC services of all versions, each once.
fn names(state: &State) -> BTreeSet<&str> {
    state.versions().flat_map(|version| &version.files.services).map(String::as_str).collect()
}

fn service_report(state: &State) -> ServiceReport {
    let source = if state.from_disk { "disk" } else { "instance" };
    let schema = |version: &Arc<Learned>| SchemaReport { digest: version.digest.clone(), source };
    ServiceReport {
        schemas: state.versions().map(schema).collect(),
        error: state.error.clone(),
        tried: state.learned.is_some() || state.error.is_some(),
        ..ServiceReport::default()
    }
}

#[cfg(test)]
mod tests;
