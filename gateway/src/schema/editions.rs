//! Writes files of an edition as proto3 or proto2: the pool links no others.
//!
//! What an edition leaves to features is resolved as descriptor.proto and protobuf.dev ("Feature Settings for Editions")
//! say, each from the file down to the field, and said in the older words: presence by `proto3_optional` and `required`,
//! packing by `packed`, delimited messages as groups. Whether an enum is closed depends on the file in the older words;
//! here each enum has it in its options, where JSON looks for it. Names and what is written in JSON and on the
//! wire stay what they are. Only what is linked is written anew: who asks for descriptors gets the files as they were.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

/// The editions whose features are known: those of 2023 and 2024 have the same defaults.
const EDITIONS: [(i32, &str); 2] = [(1000, "2023"), (1001, "2024")];

/// Values of `FieldDescriptorProto.Label`.
const REQUIRED: i32 = 2;
const REPEATED: i32 = 3;
/// Values of `FieldDescriptorProto.Type`.
const STRING: i32 = 9;
const GROUP: i32 = 10;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

/// What a file says of how it is written.
#[derive(Clone, PartialEq, prost::Message)]
struct Said {
    #[prost(string, optional, tag = "12")]
    syntax: Option<String>,
    #[prost(int32, optional, tag = "14")]
    edition: Option<i32>,
}

/// How the elements of a file are to be read, as numbers of `google.protobuf.FeatureSet`.
#[derive(Clone, Copy, Debug)]
struct Features {
    presence: i32,
    enum_type: i32,
    repeated: i32,
    message: i32,
}

const EXPLICIT: i32 = 1;
const IMPLICIT: i32 = 2;
const LEGACY_REQUIRED: i32 = 3;
const OPEN: i32 = 1;
const PACKED: i32 = 1;
const LENGTH_PREFIXED: i32 = 1;
const DELIMITED: i32 = 2;

const DEFAULTS: Features = Features { presence: EXPLICIT, enum_type: OPEN, repeated: PACKED, message: LENGTH_PREFIXED };

impl Features {
    /// Returns what holds for an element within that for which these hold.
    fn within(mut self, element: &DynamicMessage) -> Self {
        let Some(options) = message(element, "options") else { return self };
        let Some(said) = message(&options, "features") else { return self };
        for (feature, name) in [
            (&mut self.presence, "field_presence"),
            (&mut self.enum_type, "enum_type"),
            (&mut self.repeated, "repeated_field_encoding"),
            (&mut self.message, "message_encoding"),
        ] {
            match number(&said, name) {
                0 => {}
                said => *feature = said,
            }
        }
        self
    }
}

/// Returns a file as it can be linked: one of an edition as proto3 or proto2, any other as it is.
///
/// # Errors
///
/// Says what of it neither proto3 nor proto2 can say.
pub(crate) fn linkable(file: &Bytes) -> Result<Bytes, String> {
    let said = Said::decode(file.clone()).map_err(|error| format!("it is no descriptor: {error}"))?;
    if said.syntax.as_deref() != Some("editions") {
        return Ok(file.clone());
    }
    let edition = said.edition.unwrap_or_default();
    if EDITIONS.iter().all(|(known, _)| *known != edition) {
        let known = EDITIONS.map(|(_, name)| name).join(" and ");
        return Err(format!("it is of the edition {edition} of descriptor.proto: known are {known}"));
    }
    let files = DescriptorPool::global().get_message_by_name("google.protobuf.FileDescriptorProto");
    let mut file = DynamicMessage::decode(files.expect("the pool of all has descriptor.proto"), file.clone())
        .map_err(|error| format!("it is no descriptor: {error}"))?;
    let package = text(&file, "package");
    let mut lowering = Lowering::default();
    lowering.scope(&mut file, DEFAULTS, &if package.is_empty() { String::new() } else { format!(".{package}") });
    let syntax = match (lowering.begins_otherwise, lowering.implicit) {
        (None, _) => "proto3",
        (Some(_), None) => "proto2",
        (Some(closed), Some(implicit)) => {
            return Err(format!(
                "the enum {closed} begins with another number than 0, as only proto2 has it, and the field {implicit} has no presence, as only proto3 has it"
            ));
        }
    };
    file.set_field_by_name("syntax", Value::String(syntax.to_owned()));
    file.clear_field_by_name("edition");
    Ok(file.encode_to_vec().into())
}

/// What was met that decides between proto3 and proto2.
#[derive(Debug, Default)]
struct Lowering {
    /// An enum whose first number is not 0.
    begins_otherwise: Option<String>,
    /// A field without presence.
    implicit: Option<String>,
}

impl Lowering {
    /// Writes a file or a message anew, with all that it declares.
    fn scope(&mut self, scope: &mut DynamicMessage, outer: Features, name: &str) {
        let features = outer.within(scope);
        let entries = entries(scope, name);
        let oneofs: Vec<_> = each(scope, "oneof_decl").map(|oneof| features.within(oneof)).collect();
        for field in each(scope, "field") {
            let oneof = field.has_field_by_name("oneof_index").then(|| number(field, "oneof_index"));
            let of_oneof = oneof.and_then(|place| oneofs.get(usize::try_from(place).ok()?)).copied();
            if !entries.contains(&text(field, "type_name")) {
                self.field(field, of_oneof.unwrap_or(features), name, oneof.is_some());
            }
        }
        for extension in each(scope, "extension") {
            // It has presence whatever is said.
            self.field(extension, features, name, true);
        }
        for declared in each(scope, "enum_type") {
            self.enumeration(declared, features, name);
        }
        let of_messages = if scope.descriptor().name() == "DescriptorProto" { "nested_type" } else { "message_type" };
        for nested in each(scope, of_messages) {
            let full = format!("{name}.{}", text(nested, "name"));
            if !entries.contains(&full) {
                self.scope(nested, features, &full);
            }
        }
    }

    fn field(&mut self, field: &mut DynamicMessage, outer: Features, scope: &str, has_presence: bool) {
        let features = outer.within(field);
        let (repeated, kind) = (number(field, "label") == REPEATED, number(field, "type"));
        let is_message = matches!(kind, MESSAGE | GROUP);
        if kind == MESSAGE && features.message == DELIMITED {
            field.set_field_by_name("type", Value::EnumNumber(GROUP));
        }
        if repeated && !is_message && !matches!(kind, STRING | BYTES) {
            let packed = Value::Bool(features.repeated == PACKED);
            change(field, "options", |options| options.set_field_by_name("packed", packed));
        }
        if !repeated && features.presence == LEGACY_REQUIRED {
            field.set_field_by_name("label", Value::EnumNumber(REQUIRED));
        }
        if repeated || is_message || has_presence {
            return;
        }
        if features.presence == IMPLICIT {
            self.implicit.get_or_insert_with(|| format!("{scope}.{}", text(field, "name")));
        } else {
            field.set_field_by_name("proto3_optional", Value::Bool(true));
        }
    }

    fn enumeration(&mut self, declared: &mut DynamicMessage, outer: Features, scope: &str) {
        let enum_type = outer.within(declared).enum_type;
        let first = each(declared, "value").next().map_or(0, |first| number(first, "number"));
        if first != 0 {
            self.begins_otherwise.get_or_insert_with(|| format!("{scope}.{}", text(declared, "name")));
        }
        change(declared, "options", |options| {
            change(options, "features", |said| said.set_field_by_name("enum_type", Value::EnumNumber(enum_type)));
        });
    }
}

/// Returns the full names of the entries of maps within a message: they are as they always were.
fn entries(scope: &mut DynamicMessage, name: &str) -> Vec<String> {
    let is_entry = |nested: &DynamicMessage| {
        let said = message(nested, "options").and_then(|options| options.get_field_by_name("map_entry")?.as_bool());
        said == Some(true)
    };
    let entries = each(scope, "nested_type").filter(|nested| is_entry(nested));
    entries.map(|entry| format!("{name}.{}", text(entry, "name"))).collect()
}

/// Returns the messages of a list; none where there is no such field.
fn each<'m>(message: &'m mut DynamicMessage, name: &str) -> impl Iterator<Item = &'m mut DynamicMessage> + use<'m> {
    let list = message.get_field_by_name_mut(name).and_then(Value::as_list_mut);
    list.into_iter().flatten().filter_map(Value::as_message_mut)
}

fn message(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    message.has_field_by_name(name).then(|| message.get_field_by_name(name)?.as_message().cloned())?
}

fn number(message: &DynamicMessage, name: &str) -> i32 {
    let value = message.get_field_by_name(name);
    value.and_then(|value| value.as_enum_number().or_else(|| value.as_i32())).unwrap_or_default()
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn change(message: &mut DynamicMessage, name: &str, change: impl FnOnce(&mut DynamicMessage)) {
    if let Some(inner) = message.get_field_by_name_mut(name).and_then(Value::as_message_mut) {
        change(inner);
    }
}

#[cfg(test)]
mod tests;
