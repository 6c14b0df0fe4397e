//! A REST request to the message that a service takes.

use crate::{
    error::Failure,
    json::{Encoder, Not},
    schema::{Binding, BodyRule},
    transcode::{
        body, mask, path,
        query::{self, Given},
    },
};

/// What of a REST request becomes a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// The segments of the path that the route's variables are taken from.
    pub(crate) segments: &'a [&'a str],
    /// The text after `?`.
    pub(crate) query: Option<&'a str>,
    /// JSON, or nothing.
    pub(crate) body: &'a [u8],
}

/// Makes the message: first the body, then the query, then the path, which has the last word: of what a message says
/// twice the last counts.
pub(crate) fn request(binding: &Binding, parts: Parts<'_>) -> Result<Encoder, Failure> {
    let Parts { segments, query, body } = parts;
    let codec = &binding.method.json;
    let (mut made, mut given) = (Encoder::default(), Given::default());
    match &binding.body {
        BodyRule::None if body.is_empty() => {}
        BodyRule::None => return Err(Failure::field("", "this method takes no body: send its fields in the query")),
        rule => {
            let is_given = body::read(codec, rule, body, &mut made)?;
            if let BodyRule::Field(field) = rule
                && is_given
            {
                given.add(field.number());
            }
        }
    }
    query::bind(&mut made, codec, query.unwrap_or_default(), &taken(binding), &mut given)?;
    mask::fill(&mut made, binding, &given, body);
    for variable in &binding.template.variables {
        let text = variable.capture(segments).map_err(|bad| Failure::field(&variable.field, &bad.to_string()))?;
        let fields = path::find(codec.types(), codec.input(), &variable.field);
        let fields = fields.expect("a binding's variables were checked");
        path::put(codec.types(), &fields, &text, !body.is_empty(), &mut made)
            .map_err(|(Not::Named(why) | Not::Fits(why))| Failure::field(&variable.field, &why))?;
    }
    Ok(made)
}

/// Returns the fields that are no query parameters as something else binds them; nothing if all are.
fn taken(binding: &Binding) -> query::Taken {
    let variables = binding.template.variables.iter().map(|variable| variable.field.clone());
    match &binding.body {
        BodyRule::Whole => query::Taken::All,
        BodyRule::None => query::Taken::Fields(variables.collect()),
        BodyRule::Field(field) => query::Taken::Fields(variables.chain([field.name().to_owned()]).collect()),
    }
}

#[cfg(test)]
mod tests;
