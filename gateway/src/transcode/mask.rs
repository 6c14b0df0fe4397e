//! PATCH without a mask: the fields that the body names are those to change.

use serde_json::Value as Json;

use crate::{
    json::{Encoder, Field, Known, Layout, Repeat, Shape, Types},
    schema::{Binding, BodyRule},
    transcode::query::Given,
};

/// Fills in the request's field mask, if it is the only one, the client gave none, and the body is one field of a
/// PATCH. A field that the path binds says what is changed, not a change of it, and is left out.
pub(crate) fn fill(made: &mut Encoder, binding: &Binding, given: &Given, body: &[u8]) {
    let BodyRule::Field(field) = &binding.body else { return };
    if binding.http != "PATCH" {
        return;
    }
    let (codec, name) = (&binding.method.json, field.name());
    let Some(resource) = inner(codec.types(), codec.field(field)) else { return };
    let Some(mask) = only_mask(codec.types(), codec.input()).filter(|mask| !given.has(mask.number)) else { return };
    let Ok(json) = serde_json::from_slice::<Json>(body) else { return };
    let mut paths = paths(codec.types(), resource, &json);
    let outer = format!("{name}.");
    let bound = |path: &String| binding.template.variables.iter().any(|v| v.field.strip_prefix(&outer) == Some(path));
    paths.retain(|path| !bound(path));
    if paths.is_empty() {
        return;
    }
    paths.sort_unstable();
    let open = made.open_field(mask);
    // The number of `paths` (google/protobuf/field_mask.proto).
    paths.iter().for_each(|path| made.bytes(1, path.as_bytes()));
    made.close(open);
}

fn only_mask<'t>(types: &Types, layout: &'t Layout) -> Option<&'t Field> {
    let is_mask = |field: &&Field| match (field.repeat, field.shape) {
        (Repeat::Single, Shape::Message(place)) => types.message(place).known == Some(Known::Mask),
        _ => false,
    };
    let mut masks = layout.fields.iter().filter(is_mask);
    masks.next().filter(|_| masks.next().is_none())
}

/// Returns the paths of the values in the JSON: into messages, but not into lists, maps and well-known types.
fn paths(types: &Types, layout: &Layout, json: &Json) -> Vec<String> {
    let Json::Object(object) = json else { return Vec::new() };
    let mut all = Vec::new();
    for (key, json) in object {
        let Some(field) = layout.named(key).filter(|field| !field.extension) else { continue };
        let inner = inner(types, field).filter(|inner| inner.known.is_none());
        let deeper = inner.map(|inner| paths(types, inner, json));
        match deeper.filter(|deeper| !deeper.is_empty()) {
            Some(deeper) => all.extend(deeper.iter().map(|path| format!("{}.{path}", field.name))),
            None => all.push(field.name.clone()),
        }
    }
    all
}

/// Returns the message in a field that is single.
fn inner<'t>(types: &'t Types, field: &Field) -> Option<&'t Layout> {
    match (field.repeat, field.shape) {
        (Repeat::Single, Shape::Message(place)) => Some(types.message(place)),
        _ => None,
    }
}
