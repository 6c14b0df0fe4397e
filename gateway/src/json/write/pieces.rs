//! What the bytes of a message hold of each field.

use crate::json::{
    types::{Field, Layout, Repeat, Shape, Types},
    wire::{Fields, Malformed, Value},
};

/// One value of a field, or several packed ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'w> {
    /// The place of the field in its layout.
    pub(crate) place: usize,
    pub(crate) value: Value<'w>,
}

impl<'w> Value<'w> {
    /// Returns the bytes of a text, of bytes or of a message.
    pub(crate) fn bytes(self) -> &'w [u8] {
        match self {
            Value::Bytes(bytes) | Value::Group(bytes) => bytes,
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => &[],
        }
    }
}

/// Adds the pieces of a message, sorted by field. What is unknown is left out: fields, numbers of closed enums, and
/// what is of another wire type than its field.
pub(crate) fn read<'w>(
    layout: &Layout,
    types: &Types,
    bytes: &'w [u8],
    pieces: &mut Vec<Piece<'w>>,
) -> Result<(), Malformed> {
    let begin = pieces.len();
    let (mut near, mut sorted) = (0, true);
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next()? {
        // A field often follows the one before, or is it again.
        let again = near > 0 && layout.fields[near - 1].number == number;
        let Some(place) = (if again { Some(near - 1) } else { layout.numbered(number, near) }) else { continue };
        if !takes(&layout.fields[place], types, value) {
            continue;
        }
        sorted &= place + 1 >= near;
        near = place + 1;
        pieces.push(Piece { place, value });
    }
    if layout.choices > 0 {
        drop_unchosen(layout, pieces, begin);
    }
    if !sorted {
        pieces[begin..].sort_by_key(|piece| piece.place);
    }
    Ok(())
}

/// Returns the last value of a field that is single.
pub(crate) fn single<'w>(field: &Field, bytes: &'w [u8]) -> Result<Option<Value<'w>>, Malformed> {
    let mut fields = Fields::new(bytes);
    let mut last = None;
    while let Some((number, value)) = fields.next()? {
        if number == field.number && is_of(field.shape, field.group, value) {
            last = Some(value);
        }
    }
    Ok(last)
}

/// Returns the bytes of a message in a field: those of all its pieces.
pub(crate) fn wholly<'w>(field: &Field, bytes: &'w [u8]) -> Result<std::borrow::Cow<'w, [u8]>, Malformed> {
    let mut fields = Fields::new(bytes);
    let mut whole = std::borrow::Cow::Borrowed(&[][..]);
    while let Some((number, value)) = fields.next()? {
        if number != field.number || !is_of(field.shape, field.group, value) {
            continue;
        }
        if whole.is_empty() {
            whole = value.bytes().into();
        } else {
            whole.to_mut().extend_from_slice(value.bytes());
        }
    }
    Ok(whole)
}

/// Of a oneof the last field counts, and of it what came since another one was there.
fn drop_unchosen(layout: &Layout, pieces: &mut Vec<Piece<'_>>, begin: usize) {
    let choice = |piece: &Piece<'_>| layout.fields[piece.place].choice;
    if pieces[begin..].iter().filter(|piece| choice(piece).is_some()).nth(1).is_none() {
        return;
    }
    // The field that counts of each, and whether another one was met before it.
    let mut chosen: Vec<Option<(usize, bool)>> = vec![None; layout.choices];
    let mut kept: Vec<Piece<'_>> = Vec::with_capacity(pieces.len() - begin);
    for piece in pieces.drain(begin..).rev() {
        let Some(choice) = choice(&piece) else {
            kept.push(piece);
            continue;
        };
        let (place, over) = chosen[choice].get_or_insert((piece.place, false));
        *over |= *place != piece.place;
        if !*over {
            kept.push(piece);
        }
    }
    pieces.extend(kept.into_iter().rev());
}

fn takes(field: &Field, types: &Types, value: Value<'_>) -> bool {
    match (field.repeat, field.shape, value) {
        (Repeat::Map(_), _, value) => matches!(value, Value::Bytes(_)),
        (Repeat::List { .. }, Shape::String | Shape::Bytes | Shape::Message(_), value) => {
            is_of(field.shape, field.group, value)
        }
        (Repeat::List { .. }, _, Value::Bytes(_)) => true,
        (_, shape, value) => is_of(shape, field.group, value) && is_known(shape, types, value),
    }
}

/// Tells whether a value is of the wire type of a shape.
pub(crate) fn is_of(shape: Shape, group: bool, value: Value<'_>) -> bool {
    match shape {
        Shape::Double | Shape::Fixed64 | Shape::Sfixed64 => matches!(value, Value::Fixed64(_)),
        Shape::Float | Shape::Fixed32 | Shape::Sfixed32 => matches!(value, Value::Fixed32(_)),
        Shape::Message(_) if group => matches!(value, Value::Group(_)),
        Shape::String | Shape::Bytes | Shape::Message(_) => matches!(value, Value::Bytes(_)),
        _ => matches!(value, Value::Varint(_)),
    }
}

/// Tells whether a value is one that its closed enum has.
#[expect(clippy::cast_possible_truncation, reason = "what is too wide for an enum is cut, as the wire format has it")]
pub(crate) fn is_known(shape: Shape, types: &Types, value: Value<'_>) -> bool {
    let (Shape::Enum(place), Value::Varint(number)) = (shape, value) else { return true };
    let names = types.names(place);
    !names.closed || names.by_number.contains_key(&(number.cast_signed() as i32))
}

/// The values of a list that are no messages, packed or not.
#[derive(Debug)]
pub(crate) struct Elements<'a, 'w> {
    shape: Shape,
    types: &'a Types,
    pieces: std::slice::Iter<'a, Piece<'w>>,
    packed: Fields<'w>,
}

impl<'a, 'w> Elements<'a, 'w> {
    pub(crate) fn new(shape: Shape, types: &'a Types, pieces: &'a [Piece<'w>]) -> Self {
        Self { shape, types, pieces: pieces.iter(), packed: Fields::new(&[]) }
    }

    fn unpack(&mut self) -> Result<Value<'w>, Malformed> {
        Ok(match self.shape {
            Shape::Double | Shape::Fixed64 | Shape::Sfixed64 => Value::Fixed64(self.packed.fixed64()?),
            Shape::Float | Shape::Fixed32 | Shape::Sfixed32 => Value::Fixed32(self.packed.fixed32()?),
            _ => Value::Varint(self.packed.varint()?),
        })
    }
}

impl<'w> Iterator for Elements<'_, 'w> {
    type Item = Result<Value<'w>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if !self.packed.is_empty() {
                match self.unpack() {
                    Ok(value) if !is_known(self.shape, self.types, value) => continue,
                    value => return Some(value),
                }
            }
            match (self.pieces.next()?.value, self.shape) {
                (value, Shape::String | Shape::Bytes) => return Some(Ok(value)),
                (Value::Bytes(bytes), _) => self.packed = Fields::new(bytes),
                (value, _) => return Some(Ok(value)),
            }
        }
    }
}
