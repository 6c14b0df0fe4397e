//! One index over the schemas of all services.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use selvedge::CallOptions;

use crate::schema::{
    bindings::{Binding, bindings},
    learned::{Learned, Method},
    report::{Report, ServiceReport},
    routes::{Matched, Routes},
};

/// Everything that the gateway knows of protos at one time; immutable.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// By name of the gRPC service.
    services: BTreeMap<String, Arc<Learned>>,
    /// By `/package.Service/Method`.
    methods: HashMap<String, Arc<Method>>,
    routes: Routes<Arc<Binding>>,
    /// All that is in `routes`.
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
    /// A service of the mesh, and what the descriptor says of the method.
    Service(Arc<str>, CallOptions),
}

/// What is known of one service before the index is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) learned: Option<Arc<Learned>>,
    pub(crate) error: Option<String>,
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
        let mut learned: Vec<_> = states.values().filter_map(|state| state.learned.clone()).collect();
        learned.sort_by_key(|learned| learned.age);
        schema.claim_services(&learned, previous);
        let claimed: Vec<_> = schema.services.iter().map(|(name, by)| (name.clone(), Arc::clone(by))).collect();
        let mut routes = Vec::new();
        for (name, by) in claimed {
            for method in by.methods(&name) {
                routes.extend(schema.bind(&method).into_iter().map(|binding| (by.age, binding)));
                schema.methods.insert(method.path.clone(), method);
            }
        }
        schema.claim_routes(routes, previous);
        schema
    }

    /// Finds who answers a gRPC request, or says what of its path is unknown.
    pub(crate) fn target(&self, path: &str) -> Result<Target, String> {
        if let Some(method) = self.methods.get(path) {
            return Ok(Target::Service(Arc::clone(&method.service), method.options));
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

    fn claim_services(&mut self, learned: &[Arc<Learned>], previous: &Self) {
        let claims = |learned: &Learned, name: &str| learned.files.services.iter().any(|own| own == name);
        for one in learned {
            for name in &one.files.services {
                let before = previous.services.get(name).map(|by| Arc::clone(&by.service));
                let keeps = learned.iter().find(|other| Some(&other.service) == before.as_ref() && claims(other, name));
                let owner =
                    Arc::clone(self.services.entry(name.clone()).or_insert_with(|| Arc::clone(keeps.unwrap_or(one))));
                if owner.service != one.service {
                    let (kept, other) = (&owner.service, &one.service);
                    self.report.conflicts.push(format!("{name} is claimed by {other} too, and stays with {kept}"));
                }
            }
        }
        for (name, by) in &self.services {
            if let Some(report) = self.report.services.get_mut(&*by.service) {
                report.grpc_services.push(name.clone());
            }
        }
    }

    fn bind(&mut self, method: &Arc<Method>) -> Vec<Binding> {
        let (good, bad) = bindings(method);
        if let Some(report) = self.report.services.get_mut(&*method.service) {
            report.set_aside.extend(bad);
        }
        good
    }

    fn claim_routes(&mut self, mut routes: Vec<(u64, Binding)>, previous: &Self) {
        let key = |binding: &Binding| (binding.http.clone(), binding.template.shape());
        let had = |binding: &Binding| previous.owners.get(&key(binding)) == Some(&binding.method.path);
        routes.sort_by_key(|(age, binding)| (!had(binding), *age));
        for (_, binding) in routes {
            let (key, binding) = (key(&binding), Arc::new(binding));
            match self.routes.insert(&binding.http, &binding.template, Arc::clone(&binding)) {
                Ok(()) => {
                    self.owners.insert(key, binding.method.path.clone());
                    self.bindings.push(binding);
                }
                Err(kept) => self.report.conflicts.push(format!(
                    "{} {} is claimed by {} too, and stays with {}",
                    binding.http, binding.text, binding.method.path, kept.method.path
                )),
            }
        }
    }
}

fn service_report(state: &State) -> ServiceReport {
    ServiceReport {
        schema: state.learned.as_ref().and_then(|learned| learned.digest.clone()),
        error: state.error.clone(),
        tried: state.learned.is_some() || state.error.is_some(),
        ..ServiceReport::default()
    }
}

#[cfg(test)]
mod tests;
