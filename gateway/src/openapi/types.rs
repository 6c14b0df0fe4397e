//! Messages and enums as JSON Schema: each once under `components`, by its full name.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::{
    json::Settings,
    openapi::{comments::Comments, node::Node, scalars},
};

/// The type of errors; the gateway declares it itself.
pub(crate) const STATUS: &str = "google.rpc.Status";

/// Where types are declared.
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// The types of one service, declared as they are met.
#[derive(Debug, Default)]
pub(crate) struct Types {
    settings: Settings,
    pub(crate) comments: Comments,
    met: BTreeSet<String>,
    waiting: Vec<Declared>,
}

/// A type that is referred to.
#[derive(Debug)]
enum Declared {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

/// What `google.api.field_behavior` says of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behavior {
    pub(crate) required: bool,
    output_only: bool,
    input_only: bool,
    immutable: bool,
}

impl Types {
    /// Begins, for services whose JSON is like this.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Returns the key of a field in answers.
    pub(crate) fn key<'f>(&self, field: &'f FieldDescriptor) -> &'f str {
        if self.settings.preserve_proto_field_names { field.name() } else { field.json_name() }
    }

    /// Returns a schema for a message: a reference, or what JSON has for a well-known type.
    pub(crate) fn of_message(&mut self, message: &MessageDescriptor) -> Node {
        let name = message.full_name();
        scalars::well_known(name).unwrap_or_else(|| self.declare(name, || Declared::Message(message.clone())))
    }

    /// Returns a schema for a field's value, without what is said of the field.
    pub(crate) fn of_value(&mut self, field: &FieldDescriptor) -> Node {
        let kind = field.kind();
        match &kind {
            Kind::Message(entry) if field.is_map() => {
                let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
                let map = Node::map().with("type", "object").with_some("propertyNames", scalars::of_key(&key));
                map.with("additionalProperties", self.of_kind(&value))
            }
            kind if field.is_list() => Node::map().with("type", "array").with("items", self.of_kind(kind)),
            kind => self.of_kind(kind),
        }
    }

    /// Returns the object of a message, apart from some fields; `partial` if nothing of it must be there.
    pub(crate) fn object(&mut self, message: &MessageDescriptor, but: &BTreeSet<&str>, partial: bool) -> Node {
        let (mut properties, mut required) = (Node::map(), Vec::new());
        for field in message.fields().filter(|field| !but.contains(field.name())) {
            let behavior = Behavior::of(&field);
            if behavior.required && !partial {
                required.push(self.key(&field).to_owned());
            }
            let property = self.property(&field, behavior);
            properties = properties.with(self.key(&field), property);
        }
        let object = Node::map().with("type", "object");
        let object = object.with_some("description", self.comments.at(&message.parent_file(), message.path()));
        let object = object.with_some("deprecated", is_deprecated(message).then_some(true));
        let object = if properties.is_empty() { object } else { object.with("properties", properties) };
        let object = if required.is_empty() { object } else { object.with("required", Node::texts(required)) };
        object.with("additionalProperties", self.settings.ignore_unknown_fields)
    }

    /// Returns what the comments say of a field, and whom it excludes.
    pub(crate) fn about(&mut self, field: &FieldDescriptor) -> Option<String> {
        let comment = self.comments.at(&field.parent_message().parent_file(), field.path());
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let excluded = oneof.map(|oneof| {
            let names = oneof.fields().take(16).map(|field| format!("`{}`", self.key(&field)));
            format!("At most one of {} is given.", names.collect::<Vec<_>>().join(", "))
        });
        let all: Vec<String> = comment.into_iter().chain(excluded).collect();
        (!all.is_empty()).then(|| all.join("\n\n"))
    }

    /// Returns all types that were met, and those that they refer to, by name.
    pub(crate) fn finish(mut self) -> BTreeMap<String, Node> {
        let mut all = BTreeMap::new();
        while let Some(next) = self.waiting.pop() {
            let (name, node) = match next {
                Declared::Message(message) => {
                    (component(message.full_name()), self.object(&message, &BTreeSet::new(), false))
                }
                Declared::Enum(descriptor) => (component(descriptor.full_name()), self.enumeration(&descriptor)),
            };
            all.insert(name, node);
        }
        all
    }

    fn property(&mut self, field: &FieldDescriptor, behavior: Behavior) -> Node {
        let node = self.of_value(field).with_some("description", self.about(field));
        let deprecated = field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
        node.with_some("readOnly", behavior.output_only.then_some(true))
            .with_some("writeOnly", behavior.input_only.then_some(true))
            .with_some("x-immutable", behavior.immutable.then_some(true))
            .with_some("deprecated", deprecated.then_some(true))
    }

    fn of_kind(&mut self, kind: &Kind) -> Node {
        match kind {
            Kind::Message(message) => self.of_message(message),
            Kind::Enum(null) if null.full_name() == "google.protobuf.NullValue" => Node::map().with("type", "null"),
            Kind::Enum(descriptor) => self.declare(descriptor.full_name(), || Declared::Enum(descriptor.clone())),
            scalar => scalars::of_scalar(scalar).unwrap_or_else(Node::map),
        }
    }

    fn declare(&mut self, name: &str, declared: impl FnOnce() -> Declared) -> Node {
        if self.met.insert(name.to_owned()) {
            self.waiting.push(declared());
        }
        reference(name)
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Node {
        let file = descriptor.parent_file();
        let mut about = self.comments.at(&file, descriptor.path()).into_iter().collect::<Vec<_>>();
        let values = descriptor.values().filter_map(|value| {
            let comment = self.comments.at(&file, value.path()).map(|comment| comment.replace('\n', " "));
            match (self.settings.always_print_enums_as_ints, comment) {
                (false, comment) => Some(format!("- `{}`: {}", value.name(), comment?)),
                (true, Some(comment)) => Some(format!("- {}: `{}`: {comment}", value.number(), value.name())),
                (true, None) => Some(format!("- {}: `{}`", value.number(), value.name())),
            }
        });
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            about.push(values.join("\n"));
        }
        let about = (!about.is_empty()).then(|| about.join("\n\n"));
        if self.settings.always_print_enums_as_ints {
            // No list of them: answers have numbers, and requests may have names as well.
            return Node::map().with("type", Node::texts(["integer", "string"])).with_some("description", about);
        }
        let names = descriptor.values().map(|value| value.name().to_owned());
        Node::map().with("type", "string").with_some("description", about).with("enum", Node::texts(names))
    }
}

impl Behavior {
    pub(crate) fn of(field: &FieldDescriptor) -> Self {
        let mut behavior = Self { required: field.cardinality() == Cardinality::Required, ..Self::default() };
        let Some(Value::List(list)) = option(field.parent_pool(), &field.options(), "google.api.field_behavior") else {
            return behavior;
        };
        // The numbers of google/api/field_behavior.proto.
        for number in list.iter().filter_map(Value::as_enum_number) {
            match number {
                2 => behavior.required = true,
                3 => behavior.output_only = true,
                4 => behavior.input_only = true,
                5 => behavior.immutable = true,
                _ => {}
            }
        }
        behavior
    }
}

/// Returns an option that a file of the service declares, if it is set.
pub(crate) fn option(pool: &prost_reflect::DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

/// Returns a reference to a type, by its full name.
pub(crate) fn reference(name: &str) -> Node {
    Node::map().with("$ref", format!("{SCHEMAS}{}", component(name)))
}

/// Returns the key of a type: OpenAPI allows letters, digits, `.`, `-` and `_`, which is all that a sound name has.
fn component(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => key.push(letter),
            other => key.push_str(&format!("-{:x}-", u32::from(other))),
        }
    }
    key
}

fn is_deprecated(message: &MessageDescriptor) -> bool {
    message.descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated())
}
