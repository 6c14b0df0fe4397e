//! What every route can answer beside its own: `google.rpc.Status`.

use crate::openapi::{
    node::Node,
    scalars,
    types::{self, STATUS},
};

/// Returns the type of errors.
pub(crate) fn status() -> Node {
    let code = Node::map().with("type", "integer").with("format", "int32").with("description", CODE);
    let message = Node::map().with("type", "string").with("description", "What is wrong, for developers.");
    let any = scalars::well_known("google.protobuf.Any").expect("it is one of the well-known types");
    let details = Node::map().with("type", "array").with("items", any).with("description", DETAILS);
    let properties = Node::map().with("code", code).with("message", message).with("details", details);
    Node::map()
        .with("type", "object")
        .with("description", "Why a call failed (google/rpc/status.proto).")
        .with("properties", properties)
        .with("required", Node::texts(["code", "message", "details"]))
}

/// Returns the responses that operations refer to.
pub(crate) fn responses() -> Node {
    let response = |description: &str| {
        let schema = Node::map().with("schema", types::reference(STATUS));
        let content = Node::map().with("application/json", schema);
        Node::map().with("description", description).with("content", content)
    };
    let allow = Node::map().with("$ref", "#/components/headers/Allow");
    Node::map()
        .with("Refused", response(REFUSED).with("headers", applied().with("allow", allow)))
        .with("Failed", response(FAILED).with("headers", applied()))
}

/// Returns the headers that any answer may have.
pub(crate) fn applied() -> Node {
    Node::map().with("preference-applied", Node::map().with("$ref", "#/components/headers/Applied"))
}

/// Returns references to them, by status.
pub(crate) fn of_operation(responses: Node) -> Node {
    let to = |name: &str| Node::map().with("$ref", format!("#/components/responses/{name}"));
    responses.with("4XX", to("Refused")).with("5XX", to("Failed"))
}

const CODE: &str = "The number of google/rpc/code.proto.";
const DETAILS: &str = "Details by type, such as google.rpc.BadRequest, which names the fields that are wrong.";
const REFUSED: &str = "The request cannot be carried out: 400 INVALID_ARGUMENT, FAILED_PRECONDITION or OUT_OF_RANGE, \
     401 UNAUTHENTICATED, 403 PERMISSION_DENIED, 404 NOT_FOUND, 409 ALREADY_EXISTS or ABORTED, 413 and 415 for a body, \
     429 RESOURCE_EXHAUSTED, 499 CANCELLED.";
const FAILED: &str = "The service failed: 500 INTERNAL, UNKNOWN or DATA_LOSS, 501 UNIMPLEMENTED, 503 UNAVAILABLE, or \
     RESOURCE_EXHAUSTED where the gateway has no memory for more, 504 DEADLINE_EXCEEDED.";
