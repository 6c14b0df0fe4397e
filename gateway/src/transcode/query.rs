//! Query parameters to fields, by google/api/http.proto: `a.b=c`, repeated by repeating, names in either spelling.
//!
//! `+` is a space, as in HTML forms and `URLSearchParams`. A parameter that names no field is refused, as is a field
//! that the path or the body binds.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use crate::{error::Failure, percent, transcode::value};

/// How deep in messages a parameter may reach: what is made of it must be encoded, and no parser of protobuf takes
/// more than 100.
const DEPTH: usize = 32;

/// Fields that are no query parameters.
#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// The body holds the whole message.
    All,
    /// These, and what is in them.
    Fields(Vec<String>),
}

/// Sets the fields that the query names.
pub(crate) fn bind(message: &mut DynamicMessage, query: &str, taken: &Taken) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        let text = decode(text)?;
        if name.split('.').nth(DEPTH).is_some() {
            return Err(Failure::field("", &format!("a parameter reaches more than {DEPTH} messages deep")));
        }
        let fields = value::resolve(&message_of(message), &name).ok_or_else(|| unknown(message, &name))?;
        let path = path_of(&fields);
        if taken.holds(&path) {
            return Err(Failure::field(&path, "is given by the path or the body, and not by the query"));
        }
        let last = fields.last().expect("a resolved path has a field");
        if last.is_map() {
            return Err(Failure::field(&path, "is a map, which a query cannot give"));
        }
        let parsed = value::parse(&last.kind(), &text).map_err(|why| Failure::field(&path, &why))?;
        check_oneof(message, &fields).map_err(|why| Failure::field(&path, &why))?;
        if last.is_list() {
            push(message, &fields, parsed).map_err(|why| Failure::field(&path, why))?;
        } else if seen.insert(path.clone()) {
            value::set(message, &fields, parsed);
        } else {
            return Err(Failure::field(&path, "is given more than once, and takes one value"));
        }
    }
    Ok(())
}

impl Taken {
    fn holds(&self, path: &str) -> bool {
        let Self::Fields(fields) = self else { return true };
        let inside =
            |outer: &String| path == outer || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        fields.iter().any(inside)
    }
}

fn decode(text: &str) -> Result<String, Failure> {
    percent::decode(&text.replace('+', " ")).map_err(|bad| Failure::field("", &format!("the query is wrong: {bad}")))
}

fn unknown(message: &DynamicMessage, name: &str) -> Failure {
    let full = message_of(message).full_name().to_owned();
    Failure::field(name, &format!("there is no such field in {full}"))
}

fn message_of(message: &DynamicMessage) -> prost_reflect::MessageDescriptor {
    prost_reflect::ReflectMessage::descriptor(message)
}

fn path_of(fields: &[FieldDescriptor]) -> String {
    fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
}

fn push(message: &mut DynamicMessage, fields: &[FieldDescriptor], parsed: Value) -> Result<(), &'static str> {
    let Some((last, outer)) = fields.split_last() else { return Ok(()) };
    let list = value::inner(message, outer).get_field_mut(last).as_list_mut().ok_or("is no list")?;
    list.push(parsed);
    Ok(())
}

/// Of the fields of a oneof only one may be given, be it the last of the path or a message on the way.
fn check_oneof(message: &DynamicMessage, fields: &[FieldDescriptor]) -> Result<(), String> {
    let Some((field, deeper)) = fields.split_first() else { return Ok(()) };
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let other = oneof.and_then(|oneof| oneof.fields().find(|other| other != field && message.has_field(other)));
    if let Some(other) = other {
        return Err(format!("cannot be given together with {}", other.name()));
    }
    let value = message.get_field(field);
    value.as_message().map_or(Ok(()), |inner| check_oneof(inner, deeper))
}
