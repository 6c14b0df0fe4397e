//! Query parameters to fields, by google/api/http.proto: `a.b=c`, repeated by repeating, names in either spelling.
//!
//! `+` is a space, as in HTML forms and `URLSearchParams`. A parameter that names no field is refused, unless the
//! service is lenient; one of a field that the path or the body binds is refused always.

use crate::{
    error::Failure,
    json::{Codec, Encoder, Field, Layout, Not, Repeat, Shape},
    percent,
    transcode::path,
};

/// How deep in messages a parameter may reach: no parser of protobuf takes a message deeper than 100.
const DEPTH: usize = 32;

/// Fields that are no query parameters.
#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// The body holds the whole message.
    All,
    /// These, and what is in them.
    Fields(Vec<String>),
}

/// The fields that body and query gave, as the numbers that lead to them.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<Vec<u32>>);

impl Given {
    /// Notes a field of the request.
    pub(crate) fn add(&mut self, number: u32) {
        self.0.push(vec![number]);
    }

    /// Tells whether a field of the request, or something in it, was given.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.0.iter().any(|path| path.first() == Some(&number))
    }
}

/// Sets the fields that the query names.
pub(crate) fn bind(
    made: &mut Encoder,
    codec: &Codec,
    query: &str,
    taken: &Taken,
    given: &mut Given,
) -> Result<(), Failure> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name)?, decode(text)?);
        if name.split('.').nth(DEPTH).is_some() {
            return Err(Failure::field("", &format!("a parameter reaches more than {DEPTH} messages deep")));
        }
        let Some(fields) = path::find(codec.types(), codec.input(), &name) else {
            if codec.settings.ignore_unknown_fields {
                continue;
            }
            return Err(Failure::field(&name, &format!("there is no such field in {}", codec.input().name)));
        };
        let path = path::spelled(&fields);
        check(codec, &fields, &path, taken, given).map_err(|why| Failure::field(&path, &why))?;
        match path::put(codec.types(), &fields, &text, false, made) {
            Ok(()) => given.0.push(numbers(&fields)),
            Err(Not::Named(_)) if codec.settings.ignore_unknown_fields => {}
            Err(Not::Named(why) | Not::Fits(why)) => return Err(Failure::field(&path, &why)),
        }
    }
    Ok(())
}

/// Says why a field cannot be given here.
fn check(codec: &Codec, fields: &[&Field], path: &str, taken: &Taken, given: &Given) -> Result<(), String> {
    if taken.holds(path) {
        return Err("is given by the path or the body, and not by the query".to_owned());
    }
    let last = fields.last().expect("a resolved path has a field");
    if matches!(last.repeat, Repeat::Map(_)) {
        return Err("is a map, which a query cannot give".to_owned());
    }
    if last.repeat == Repeat::Single && given.0.contains(&numbers(fields)) {
        return Err("is given more than once, and takes one value".to_owned());
    }
    check_oneofs(codec, fields, given)
}

/// Of the fields of a oneof only one may be given, be it the last of the path or a message on the way.
fn check_oneofs(codec: &Codec, fields: &[&Field], given: &Given) -> Result<(), String> {
    let numbers = numbers(fields);
    let mut layout = codec.input();
    for (depth, field) in fields.iter().enumerate() {
        let beside = given.0.iter().filter(|path| path.get(..depth) == Some(&numbers[..depth]));
        let others = beside.filter_map(|path| other(layout, field, *path.get(depth)?));
        if let Some(other) = { others }.next() {
            return Err(format!("cannot be given together with {other}"));
        }
        if let Shape::Message(place) = field.shape {
            layout = codec.types().message(place);
        }
    }
    Ok(())
}

/// Returns the name of a field with this number, if it is another one of the same oneof.
fn other<'l>(layout: &'l Layout, field: &Field, number: u32) -> Option<&'l str> {
    let choice = field.choice.filter(|_| number != field.number)?;
    let other = &layout.fields[layout.numbered(number, 0)?];
    (other.choice == Some(choice)).then_some(&other.name)
}

fn numbers(fields: &[&Field]) -> Vec<u32> {
    fields.iter().map(|field| field.number).collect()
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
