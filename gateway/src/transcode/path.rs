//! Fields that a dotted path names, in a query or in a template.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use crate::json::{self, Encoder, Field, Layout, Not, Repeat, Shape, Types};

/// Finds the fields of a dotted path, each in the proto's spelling or in JSON's.
pub(crate) fn resolve(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields = Vec::new();
    let mut inside = Some(message.clone());
    for name in path.split('.') {
        let message = inside?;
        let field = message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))?;
        inside = field.kind().as_message().filter(|_| !field.is_list() && !field.is_map()).cloned();
        fields.push(field);
    }
    Some(fields)
}

/// Finds the same where messages are read and written.
pub(crate) fn find<'t>(types: &'t Types, layout: &'t Layout, path: &str) -> Option<Vec<&'t Field>> {
    let mut fields = Vec::new();
    let mut inside = Some(layout);
    for name in path.split('.') {
        let field = inside?.named(name).filter(|field| !field.extension)?;
        inside = match (field.repeat, field.shape) {
            (Repeat::Single, Shape::Message(place)) => Some(types.message(place)),
            _ => None,
        };
        fields.push(field);
    }
    Some(fields)
}

/// Returns the path as the proto spells it.
pub(crate) fn spelled(fields: &[&Field]) -> String {
    fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(".")
}

/// Appends a value to the field that a path leads to: who reads the message puts it where it belongs. `replaces` if it
/// takes the place of one that may be there.
pub(crate) fn put(types: &Types, fields: &[&Field], text: &str, replaces: bool, made: &mut Encoder) -> Result<(), Not> {
    let Some((last, outer)) = fields.split_last() else { return Ok(()) };
    let before = made.mark();
    let open: Vec<_> = outer.iter().map(|field| made.open_field(field)).collect();
    json::text(types, last, text, replaces, made).inspect_err(|_| made.back(before))?;
    open.into_iter().rev().for_each(|open| made.close(open));
    Ok(())
}
