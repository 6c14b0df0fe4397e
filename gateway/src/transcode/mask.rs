//! PATCH without a mask: the fields that the body names are those to change.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::Value as Json;

use crate::{
    schema::{Binding, BodyRule},
    transcode::{message, value},
};

/// Fills in the request's field mask, if it is the only one, the client gave none, and the body is one field of a
/// PATCH. A field that the path binds says what is changed, not a change of it, and is left out.
pub(crate) fn fill(made: &mut DynamicMessage, binding: &Binding, body: &[u8]) {
    let BodyRule::Field(field) = &binding.body else { return };
    let Kind::Message(resource) = field.kind() else { return };
    if binding.http != "PATCH" || field.is_list() || field.is_map() {
        return;
    }
    let Some(mask) = only_mask(&made.descriptor()).filter(|mask| !made.has_field(mask)) else { return };
    let Ok(json) = serde_json::from_slice::<Json>(body) else { return };
    let mut paths = paths(&resource, &json);
    let outer = format!("{}.", field.name());
    let bound = |path: &String| binding.template.variables.iter().any(|v| v.field.strip_prefix(&outer) == Some(path));
    paths.retain(|path| !bound(path));
    if paths.is_empty() {
        return;
    }
    paths.sort_unstable();
    let list = Value::List(paths.into_iter().map(Value::String).collect());
    if let Some(message) = made.get_field_mut(&mask).as_message_mut() {
        message.set_field_by_name("paths", list);
    }
}

fn only_mask(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let is_mask = |field: &FieldDescriptor| {
        let kind = field.kind();
        let named = kind.as_message().is_some_and(|message| message.full_name() == "google.protobuf.FieldMask");
        named && !field.is_list()
    };
    let mut masks = message.fields().filter(is_mask);
    masks.next().filter(|_| masks.next().is_none())
}

/// Returns the paths of the values in the JSON: into messages, but not into lists, maps and well-known types.
fn paths(message: &MessageDescriptor, json: &Json) -> Vec<String> {
    let Json::Object(object) = json else { return Vec::new() };
    let mut all = Vec::new();
    for (key, json) in object {
        let Some(field) = value::find(message, key) else { continue };
        let inner = field.kind().as_message().filter(|inner| !message::is_special(inner)).cloned();
        let deeper = inner.filter(|_| !field.is_list() && !field.is_map()).map(|inner| paths(&inner, json));
        match deeper.filter(|deeper| !deeper.is_empty()) {
            Some(deeper) => all.extend(deeper.iter().map(|path| format!("{}.{path}", field.name()))),
            None => all.push(field.name().to_owned()),
        }
    }
    all
}
