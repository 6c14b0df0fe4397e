//! One route: what it takes, and what it answers.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use crate::{
    openapi::{comments, errors, node::Node, path, query, types::Types},
    schema::{Binding, BodyRule},
};

/// A message of one chunk of an answer or a body of any media type.
const HTTP_BODY: &str = "google.api.HttpBody";

/// Returns the operation of a binding; `names` are those of the path's parameters.
pub(crate) fn operation(binding: &Binding, id: &str, names: &[String], types: &mut Types) -> Node {
    let method = &binding.method.descriptor;
    let comment = types.comments.at(&method.parent_service().parent_file(), method.path());
    let summary = comment.as_deref().and_then(comments::summary).unwrap_or_else(|| method.name().to_owned());
    let more = comment.filter(|comment| comment.trim_end_matches('.') != summary);
    let deprecated = method.method_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
    let mut parameters = path::parameters(binding, names, types);
    parameters.extend(query::parameters(binding, types));
    for name in ["Timeout", "Preference"] {
        parameters.push(Node::map().with("$ref", format!("#/components/parameters/{name}")));
    }
    let answer = Node::map()
        .with("description", "The answer.")
        .with("headers", errors::applied())
        .with("content", answer(binding, types));
    Node::map()
        .with("tags", Node::texts([method.parent_service().full_name()]))
        .with("summary", summary)
        .with_some("description", more)
        .with("operationId", id)
        .with_some("deprecated", deprecated.then_some(true))
        .with("parameters", parameters)
        .with_some("requestBody", body(binding, types))
        .with("responses", errors::of_operation(Node::map().with("200", answer)))
        .with("x-grpc-method", binding.method.path.trim_start_matches('/'))
}

/// Returns the wanted id for the operation of a binding: `UserService_GetUser`, for additional ones with a number.
pub(crate) fn id(binding: &Binding) -> String {
    let method = &binding.method.descriptor;
    let (service, name) = (method.parent_service().name().to_owned(), method.name());
    match binding.place {
        0 => format!("{service}_{name}"),
        place => format!("{service}_{name}_{}", place + 1),
    }
}

fn body(binding: &Binding, types: &mut Types) -> Option<Node> {
    let input = binding.method.descriptor.input();
    let partial = binding.http == "PATCH";
    let (schema, http_body) = match &binding.body {
        BodyRule::None => return None,
        BodyRule::Whole => (whole(&input, &path::bound(binding), types), is_http_body(&input)),
        BodyRule::Field(field) => {
            let message = field.kind().as_message().cloned().filter(|_| !field.is_list() && !field.is_map());
            let http_body = message.as_ref().is_some_and(is_http_body);
            // Of what is only changed, nothing must be there.
            let schema = match message.filter(|_| partial) {
                Some(message) if has_required(&message) => types.object(&message, &inner(binding, field), true),
                _ => types.of_value(field),
            };
            (schema, http_body)
        }
    };
    let streams = binding.method.descriptor.is_client_streaming();
    let content = match (http_body, streams) {
        (true, _) => Node::map().with("*/*", Node::map()),
        (false, true) => Node::map().with("application/x-ndjson", lines(schema)),
        (false, false) => Node::map().with("application/json", Node::map().with("schema", schema)),
    };
    Some(Node::map().with("content", content))
}

/// Returns the request message without what the path binds.
fn whole(input: &MessageDescriptor, bound: &BTreeSet<&str>, types: &mut Types) -> Node {
    let top = |name: &&str| input.get_field_by_name(name).is_some();
    let bound: BTreeSet<&str> = bound.iter().copied().filter(top).collect();
    if bound.is_empty() { types.of_message(input) } else { types.object(input, &bound, false) }
}

/// Returns the fields inside of `field` that the path binds.
fn inner<'b>(binding: &'b Binding, field: &FieldDescriptor) -> BTreeSet<&'b str> {
    let inside = |path: &'b str| path.strip_prefix(field.name())?.strip_prefix('.');
    path::bound(binding).into_iter().filter_map(inside).collect()
}

fn answer(binding: &Binding, types: &mut Types) -> Node {
    let output = binding.method.descriptor.output();
    if is_http_body(&output) {
        return Node::map().with("*/*", Node::map());
    }
    let schema = match &binding.response_body {
        Some(field) => types.of_value(field),
        None => types.of_message(&output),
    };
    if !binding.method.descriptor.is_server_streaming() {
        return Node::map().with("application/json", Node::map().with("schema", schema));
    }
    let array = Node::map().with("type", "array").with("items", schema.clone());
    let events = messages("One event per message, its data as JSON.", schema.clone());
    Node::map()
        .with("application/json", Node::map().with("schema", array))
        .with("application/x-ndjson", lines(schema))
        .with("text/event-stream", events)
}

fn lines(schema: Node) -> Node {
    messages("One message per line, as JSON.", schema)
}

/// Tells of text that holds messages one after the other: OpenAPI 3.1 has no key for the schema of one of many.
fn messages(description: &str, one: Node) -> Node {
    let text = Node::map().with("type", "string").with("description", description);
    Node::map().with("schema", text.with("contentMediaType", "application/json").with("contentSchema", one))
}

fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == HTTP_BODY
}

fn has_required(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| crate::openapi::types::Behavior::of(&field).required)
}
