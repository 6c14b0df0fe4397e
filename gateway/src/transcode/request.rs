//! A REST request to the message that a service takes.

use prost_reflect::DynamicMessage;

use crate::{
    error::Failure,
    schema::{Binding, BodyRule},
    transcode::{mask, message, query, value},
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

/// Makes the message: first the body, then the query, then the path, which has the last word.
pub(crate) fn request(binding: &Binding, parts: Parts<'_>) -> Result<DynamicMessage, Failure> {
    let Parts { segments, query, body } = parts;
    let input = binding.method.descriptor.input();
    let mut made = match &binding.body {
        BodyRule::None if body.is_empty() => DynamicMessage::new(input.clone()),
        BodyRule::None => return Err(Failure::field("", "this method takes no body: send its fields in the query")),
        rule => message::read(&input, rule, body)?,
    };
    query::bind(&mut made, query.unwrap_or_default(), &taken(binding))?;
    mask::fill(&mut made, binding, body);
    for variable in &binding.template.variables {
        let text = variable.capture(segments).map_err(|bad| Failure::field(&variable.field, &bad.to_string()))?;
        let fields = value::resolve(&input, &variable.field).expect("a binding's variables were checked");
        let kind = fields.last().expect("a field path has a field").kind();
        let parsed = value::parse(&kind, &text).map_err(|why| Failure::field(&variable.field, &why))?;
        value::set(&mut made, &fields, parsed);
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
