//! The JSON of a request's body; what is wrong with it names the field.

use crate::{
    error::Failure,
    json::{Bad, Codec, Encoder, Reader, Wrong},
    schema::BodyRule,
};

/// Reads the body into a message. No body is an empty one.
///
/// Tells whether the field that the body goes into was given, if it is one field.
pub(crate) fn read(codec: &Codec, rule: &BodyRule, body: &[u8], made: &mut Encoder) -> Result<bool, Failure> {
    if body.is_empty() {
        return Ok(false);
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let why = format!("the body is not valid JSON: it is no UTF-8 from byte {} on", error.valid_up_to());
        Failure::field(rule.place(), &why)
    })?;
    let reader = Reader::new(codec.types(), codec.settings.ignore_unknown_fields, text, made);
    let read = match rule {
        BodyRule::Field(field) => reader.field(codec.field(field)),
        BodyRule::Whole | BodyRule::None => reader.message(codec.input()).map(|()| false),
    };
    read.map_err(|wrong| failure(&wrong, text))
}

fn failure(wrong: &Wrong, text: &str) -> Failure {
    let why = match wrong {
        Wrong::Value { why, .. } => why.clone(),
        Wrong::Syntax { bad, .. } => syntax(*bad, text),
    };
    Failure::field(&wrong.path(), &why)
}

fn syntax(Bad { at, wanted }: Bad, text: &str) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    format!("the body is not valid JSON: {wanted} is missing at line {line} column {column}")
}
