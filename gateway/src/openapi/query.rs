//! The query parameters of a route: every field that neither path nor body binds, inside of messages too.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::{
    openapi::{
        node::Node,
        scalars,
        types::{Behavior, Types},
    },
    schema::{Binding, BodyRule},
};

/// More parameters of one route are not shown, though the gateway takes them.
const MOST: usize = 256;
/// How deep in messages parameters are shown.
const DEPTH: usize = 6;
/// A longer name is not shown.
const NAME: usize = 512;

/// Returns the query parameters of a binding.
pub(crate) fn parameters(binding: &Binding, types: &mut Types) -> Vec<Node> {
    let variables = binding.template.variables.iter().map(|variable| variable.field.clone());
    let taken = match &binding.body {
        BodyRule::Whole => return Vec::new(),
        BodyRule::None => variables.collect(),
        BodyRule::Field(field) => variables.chain([field.name().to_owned()]).collect(),
    };
    let mut walk = Walk { types, taken, inside: Vec::new(), found: Vec::new() };
    walk.message(&binding.method.descriptor.input());
    walk.found
}

/// A way through the fields of a message.
struct Walk<'t> {
    types: &'t mut Types,
    /// Fields that are no parameters, as the proto spells them.
    taken: Vec<String>,
    /// The fields that lead to where the walk is.
    inside: Vec<FieldDescriptor>,
    found: Vec<Node>,
}

impl Walk<'_> {
    fn message(&mut self, message: &MessageDescriptor) {
        for field in message.fields() {
            if self.found.len() == MOST {
                return;
            }
            self.inside.push(field.clone());
            self.field(&field);
            self.inside.pop();
        }
    }

    fn field(&mut self, field: &FieldDescriptor) {
        if self.taken.contains(&self.name(FieldDescriptor::name)) || field.is_map() {
            return;
        }
        match field.kind() {
            Kind::Message(message) if !scalars::is_text(message.full_name()) => {
                let known = scalars::well_known(message.full_name()).is_some();
                // A message inside of itself is shown once.
                let met = self.inside.iter().any(|outer| *outer.parent_message() == message);
                if !known && !field.is_list() && !met && self.inside.len() < DEPTH {
                    self.message(&message);
                }
            }
            _ => self.parameter(field),
        }
    }

    fn parameter(&mut self, field: &FieldDescriptor) {
        let name = self.name(|field| self.types.key(field));
        if name.len() > NAME {
            return;
        }
        let required = self.inside.len() == 1 && Behavior::of(field).required;
        let deprecated = field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
        let parameter = Node::map()
            .with("name", name)
            .with("in", "query")
            .with_some("required", required.then_some(true))
            .with_some("deprecated", deprecated.then_some(true))
            .with_some("description", self.types.about(field))
            .with("schema", self.types.of_value(field));
        self.found.push(parameter);
    }

    fn name<'s>(&'s self, spelling: impl Fn(&'s FieldDescriptor) -> &'s str) -> String {
        self.inside.iter().map(spelling).collect::<Vec<_>>().join(".")
    }
}
