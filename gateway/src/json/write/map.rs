//! Maps: entries whose keys are texts in JSON.

use std::ops::Range;

use crate::json::{
    types::{Field, Shape},
    wire::{DEEPEST, Fields, Malformed, Value},
    write::{
        Nested, Unwritable, Writer,
        pieces::{Piece, is_known, is_of},
        zigzag,
    },
};

/// The numbers of the fields of an entry (protobuf.dev, "Backwards Compatibility" of maps).
const KEY: u32 = 1;
const VALUE: u32 = 2;

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'w str),
}

impl<'t> Writer<'t> {
    /// Writes the entries in this range, sorted by key; of those of one key the last.
    pub(crate) fn map<'w>(
        &mut self,
        (field, key): (&'t Field, Shape),
        range: Range<usize>,
        scratch: &mut Vec<Piece<'w>>,
        depth: usize,
    ) -> Result<(), Unwritable> {
        if depth + 1 > DEEPEST {
            return Err(Malformed::Depth.into());
        }
        let mut entries = Vec::with_capacity(range.len());
        for index in range {
            let bytes = scratch[index].value.bytes();
            if let Some(key) = self.key_of(field, key, bytes)? {
                entries.push((key, bytes));
            }
        }
        // One entry, or none, is sorted.
        if entries.len() > 1 {
            entries.sort_by_key(|(key, _)| *key);
        }
        self.raw("{");
        let mut first = true;
        for (index, (key, bytes)) in entries.iter().enumerate() {
            if entries.get(index + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            self.comma(std::mem::replace(&mut first, false))?;
            match key {
                Key::Bool(value) => self.long(value),
                Key::Signed(value) => self.long(value),
                Key::Unsigned(value) => self.long(value),
                Key::Text(text) => self.number(text),
            }
            self.raw(":");
            self.value_of(field, bytes, scratch, depth + 1)?;
        }
        self.raw("}");
        Ok(())
    }

    /// Returns the key of an entry; nothing if its value is a number that a closed enum does not have.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too wide for its field is cut, as the wire format has it"
    )]
    fn key_of<'w>(&self, field: &Field, shape: Shape, entry: &'w [u8]) -> Result<Option<Key<'w>>, Unwritable> {
        let mut key = None;
        let mut fields = Fields::new(entry);
        while let Some((number, value)) = fields.next()? {
            match number {
                KEY if is_of(shape, false, value) => key = Some(value),
                VALUE if is_of(field.shape, false, value) && !is_known(field.shape, self.types, value) => {
                    return Ok(None);
                }
                _ => {}
            }
        }
        Ok(Some(match (shape, key) {
            (Shape::Bool, key) => Key::Bool(matches!(key, Some(Value::Varint(1..)))),
            (Shape::String, key) => {
                let text = std::str::from_utf8(key.map(Value::bytes).unwrap_or_default());
                Key::Text(text.map_err(|_| Unwritable::Utf8(format!("a key of {}", field.name)))?)
            }
            (Shape::Int32, Some(Value::Varint(value))) => Key::Signed((value.cast_signed() as i32).into()),
            (Shape::Int64, Some(Value::Varint(value))) => Key::Signed(value.cast_signed()),
            (Shape::Sint32, Some(Value::Varint(value))) => Key::Signed(zigzag((value as u32).into())),
            (Shape::Sint64, Some(Value::Varint(value))) => Key::Signed(zigzag(value)),
            (Shape::Sfixed32, Some(Value::Fixed32(value))) => Key::Signed(value.cast_signed().into()),
            (Shape::Sfixed64, Some(Value::Fixed64(value))) => Key::Signed(value.cast_signed()),
            (Shape::Uint32, Some(Value::Varint(value))) => Key::Unsigned((value as u32).into()),
            (_, Some(Value::Varint(value) | Value::Fixed64(value))) => Key::Unsigned(value),
            (_, Some(Value::Fixed32(value))) => Key::Unsigned(value.into()),
            (_, _) => Key::Unsigned(0),
        }))
    }

    fn value_of<'w>(
        &mut self,
        field: &'t Field,
        entry: &'w [u8],
        scratch: &mut Vec<Piece<'w>>,
        depth: usize,
    ) -> Result<(), Unwritable> {
        let begin = scratch.len();
        let mut fields = Fields::new(entry);
        while let Some((number, value)) = fields.next()? {
            if number == VALUE && is_of(field.shape, false, value) {
                scratch.push(Piece { place: 0, value });
            }
        }
        let pieces = scratch.len() - begin;
        match (field.shape, pieces) {
            (Shape::Message(place), 0 | 1) => {
                let bytes = scratch[begin..].first().map_or(&[][..], |piece| piece.value.bytes());
                self.nested(Nested { layout: self.types.message(place), bytes, depth: depth + 1 }, scratch)?;
            }
            (Shape::Message(place), _) => {
                let whole: Vec<u8> = scratch[begin..].iter().flat_map(|piece| piece.value.bytes()).copied().collect();
                let message = Nested { layout: self.types.message(place), bytes: &whole, depth: depth + 1 };
                self.nested(message, &mut Vec::new())?;
            }
            (shape, 0) => self.zero_of(shape),
            (_, _) => self.scalar(field, scratch[scratch.len() - 1].value)?,
        }
        scratch.truncate(begin);
        Ok(())
    }
}
