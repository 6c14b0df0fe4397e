//! Fields out of texts, as paths, queries and JSON give them.

use std::borrow::Cow;

use crate::json::{
    encoder::Encoder,
    known::Known,
    scalar::{self, Scalar, quoted},
    time,
    types::{Field, Repeat, Shape, Types},
};

/// Reads a text of a well-known type that is one; `either` if a mask may be in either spelling.
pub(crate) fn text_of(known: Known, text: &str, encoder: &mut Encoder, either: bool) -> Result<(), String> {
    let wrong = || format!("{} is not {}", quoted(text), what(known));
    let (seconds, nanos) = match known {
        Known::Timestamp => time::timestamp(text).ok_or_else(wrong)?,
        Known::Duration => time::duration(text).ok_or_else(wrong)?,
        _ => {
            for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
                encoder.bytes(
                    1,
                    snake(path, either).ok_or_else(|| format!("{} is no path of a field", quoted(path)))?.as_bytes(),
                );
            }
            return Ok(());
        }
    };
    for (number, value) in [(1, seconds), (2, nanos.into())] {
        if value != 0 {
            encoder.scalar(number, &Scalar::Varint(value.cast_unsigned()));
        }
    }
    Ok(())
}

/// Reads one value of a field out of a text, as paths and queries give it, and appends it; a zero that a field has
/// anyway only if it has to take the place of what was written before.
///
/// # Errors
///
/// Says what the text is not; nothing for a name of an enum that those who are lenient pass over.
pub(crate) fn text(
    types: &Types,
    field: &Field,
    text: &str,
    replaces: bool,
    encoder: &mut Encoder,
) -> Result<(), scalar::Not> {
    let Shape::Message(place) = field.shape else {
        let scalar = scalar::of_text(types, field.shape, Cow::Borrowed(text))?;
        let is_had = field.repeat == Repeat::Single && !field.presence && scalar.is_zero();
        if replaces || !is_had {
            encoder.scalar(field.number, &scalar);
        }
        return Ok(());
    };
    let layout = types.message(place);
    let open = encoder.open_field(field);
    match layout.known {
        Some(known @ (Known::Timestamp | Known::Duration | Known::Mask)) => {
            text_of(known, text, encoder, true).map_err(scalar::Not::Fits)?;
        }
        Some(Known::Wrapper) => self::text(types, &layout.fields[0], text, replaces, encoder)?,
        Some(_) => return Err(scalar::Not::Fits(format!("{} cannot be given as text", layout.name))),
        None => return Err(scalar::Not::Fits("is a message: name one of its fields, as in a.b=c".to_owned())),
    }
    encoder.close(open);
    Ok(())
}

/// Says what a type takes.
pub(crate) fn what(known: Known) -> &'static str {
    match known {
        Known::Timestamp => "a time, such as 2020-01-31T23:59:59.5Z",
        Known::Duration => "a length of time, such as 1.5s",
        Known::Mask => "a list of fields, such as name,size.width",
        Known::Struct => "an object",
        Known::Any | Known::Value | Known::List | Known::Wrapper => "a value",
    }
}

/// Writes `displayName` as `display_name`. In JSON there are no underscores; in a query either spelling is taken.
fn snake(path: &str, either: bool) -> Option<String> {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            'A'..='Z' => snake.extend(['_', letter.to_ascii_lowercase()]),
            'a'..='z' | '0'..='9' | '.' | '*' => snake.push(letter),
            '_' if either => snake.push(letter),
            _ => return None,
        }
    }
    Some(snake)
}
