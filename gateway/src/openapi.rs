//! OpenAPI 3.1 of the live mesh: what every REST route takes and answers, in the words of the protos' comments.

mod operation;
mod path;
mod query;

mod errors;
mod merge;
mod types;

mod comments;
mod node;
mod scalars;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use crate::{
    json::Settings,
    openapi::{merge::Merged, node::Node, path::Resources, types::Types},
    schema::{Binding, Learned, Schema},
};

/// How many bytes the routes of one service may take; a service that has more is shown in part.
const ROUTES: usize = 8 * 1024 * 1024;

/// The document in both forms.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) json: Vec<u8>,
    pub(crate) yaml: String,
}

impl Document {
    /// Writes down what is served now.
    pub(crate) fn of(schema: &Schema) -> Self {
        let node = document(schema);
        Self { json: node.to_json(), yaml: yaml::write(&node) }
    }
}

/// The document while it is made.
#[derive(Debug, Default)]
struct Making {
    /// By path and method of HTTP.
    paths: BTreeMap<String, Vec<(String, Node)>>,
    /// The names of the parameters of a path, by its shape: paths of one shape are one path.
    names: BTreeMap<String, Vec<String>>,
    ids: BTreeSet<String>,
    tags: Vec<Node>,
    merged: Merged,
}

fn document(schema: &Schema) -> Node {
    let mut making = Making::default();
    making.merged.types.insert(types::STATUS.to_owned(), errors::status());
    // Services of one process may each have their own JSON.
    let mut services: BTreeMap<(&str, Settings), Vec<&Binding>> = BTreeMap::new();
    for binding in schema.bindings() {
        let method = &binding.method;
        services.entry((&method.service, method.json.settings)).or_default().push(binding);
    }
    let learned: BTreeMap<&str, &Arc<Learned>> =
        schema.services().values().map(|learned| (&*learned.service, learned)).collect();
    for ((service, settings), bindings) in services {
        if let Some(learned) = learned.get(service) {
            making.service(learned, settings, bindings);
        }
    }
    making.finish()
}

impl Making {
    fn service(&mut self, learned: &Learned, settings: Settings, mut bindings: Vec<&Binding>) {
        bindings.sort_by_cached_key(|binding| (binding.template.shape(), binding.http.clone()));
        let resources = Resources::of(&learned.pool);
        let mut types = Types::new(settings);
        let (mut operations, mut left) = (Vec::new(), ROUTES);
        let mut tagged = BTreeSet::new();
        for binding in bindings {
            let names = self.names.entry(binding.template.shape());
            let names = names.or_insert_with(|| path::names(binding, &resources)).clone();
            let id = self.free_id(binding);
            let operation = operation::operation(binding, &id, &names, &mut types);
            let length = operation.to_json().len();
            let Some(rest) = left.checked_sub(length) else { break };
            left = rest;
            operations.push((path::write(&binding.template, &names), binding.http.clone(), operation));
            let service = binding.method.descriptor.parent_service();
            if tagged.insert(service.full_name().to_owned()) {
                let about = types.comments.at(&service.parent_file(), service.path());
                self.tags.push(Node::map().with("name", service.full_name()).with_some("description", about));
            }
        }
        let renamed = self.merged.add(&learned.service, types.finish());
        for (path, http, mut operation) in operations {
            renamed.apply(&mut operation);
            self.paths.entry(path).or_default().push((http, operation));
        }
    }

    /// Returns an id that no operation has yet.
    fn free_id(&mut self, binding: &Binding) -> String {
        let id = operation::id(binding);
        let more = (2..).map(|number| format!("{id}_{number}"));
        let free = std::iter::once(id.clone()).chain(more).find(|id| !self.ids.contains(id));
        let free = free.expect("numbers do not end");
        self.ids.insert(free.clone());
        free
    }

    fn finish(self) -> Node {
        let mut paths = Node::map();
        for (path, operations) in self.paths {
            paths = paths.with(&path, item(operations));
        }
        let mut types = Node::map();
        for (name, node) in self.merged.types {
            types = types.with(&name, node);
        }
        let components = Node::map()
            .with("schemas", types)
            .with("responses", errors::responses())
            .with("parameters", Node::map().with("Timeout", timeout()).with("Preference", preference()))
            .with("headers", Node::map().with("Applied", applied()).with("Allow", allow()))
            .with("securitySchemes", Node::map().with("bearer", bearer()));
        let version = digest(&[&paths, &components]);
        let info = Node::map().with("title", "The mesh").with("version", version).with("description", ABOUT);
        Node::map()
            .with("openapi", "3.1.1")
            .with("info", info)
            .with("servers", vec![Node::map().with("url", "/")])
            .with("security", vec![Node::map(), Node::map().with("bearer", Vec::new())])
            .with("tags", self.tags)
            .with("paths", paths)
            .with("components", components)
    }
}

/// Puts the operations of one path together. What OpenAPI 3.1 has no key for goes where 3.2 has one.
fn item(operations: Vec<(String, Node)>) -> Node {
    const KEYS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let (mut item, mut others) = (Node::map(), Node::map());
    for (http, operation) in operations {
        let key = http.to_ascii_lowercase();
        if KEYS.contains(&key.as_str()) {
            item = item.with(&key, operation);
        } else {
            others = others.with(&http, operation);
        }
    }
    if others.is_empty() { item } else { item.with("x-additionalOperations", others) }
}

fn timeout() -> Node {
    let seconds = Node::map().with("type", "number").with("minimum", 0);
    Node::map()
        .with("name", "x-server-timeout")
        .with("in", "header")
        .with("description", "Seconds that the call may take, with a fraction if you like.")
        .with("schema", seconds)
}

fn preference() -> Node {
    let known = Node::map().with("type", "string").with("examples", Node::texts(["grpc-metadata"]));
    Node::map().with("name", "prefer").with("in", "header").with("description", PREFERENCE).with("schema", known)
}

fn applied() -> Node {
    let known = Node::map().with("type", "string").with("const", "grpc-metadata");
    let about =
        "The preference that was met: the headers beside this one that begin with `grpc-metadata-` are metadata.";
    Node::map().with("description", about).with("schema", known)
}

fn allow() -> Node {
    let about = "With 405: the methods of HTTP that the path has.";
    Node::map().with("description", about).with("schema", Node::map().with("type", "string"))
}

fn bearer() -> Node {
    let about = "Passed on to the services, which decide what they ask for.";
    Node::map().with("type", "http").with("scheme", "bearer").with("description", about)
}

/// Returns 12 digits that change with these.
fn digest(nodes: &[&Node]) -> String {
    let mut hash = Sha256::new();
    nodes.iter().for_each(|node| hash.update(node.to_json()));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

const PREFERENCE: &str = "`grpc-metadata` asks for the metadata that the service answers, in headers of the names \
    `grpc-metadata-<name>`: of what comes before the answer and after it, and of errors too. Of a stream it is what comes \
    before the first message. Values of `-bin` metadata are base64 (RFC 7240, as grpc-gateway names the headers).";

const ABOUT: &str = "The REST routes of all services that are reachable now, by `google.api.http`; the version changes \
    with them. Each GET is a HEAD as well, which answers the headers alone, and OPTIONS answers 204 with the methods of a \
    path in `allow`, unless a service has a route for it. gRPC and gRPC-Web clients find the same services here by reflection, and their descriptors at \
    `/descriptor.binpb`.";

#[cfg(test)]
mod tests;
