//! The well-known types, to their bytes.

use crate::json::{
    cursor::Word,
    known::Known,
    read::{Reader, Wrong, name},
    text::{text_of, what},
    types::{Layout, Repeat},
};

impl<'t> Reader<'t, '_, '_> {
    /// Reads a message of a well-known type. Its layout has the fields that such a type has, and no others.
    pub(crate) fn known(&mut self, known: Known, layout: &'t Layout, depth: usize) -> Result<(), Wrong> {
        let field = &layout.fields[0];
        match (known, field.repeat) {
            (Known::Any, _) => self.any(layout, depth),
            (Known::Value, _) => self.value(layout, depth),
            (Known::Struct, Repeat::Map(key)) => self.map(field, key, depth),
            (Known::List, _) => self.list(field, false, depth),
            (Known::Wrapper, _) => self.single(field, depth).map(drop),
            (Known::Timestamp | Known::Duration | Known::Mask | Known::Struct, _) => match self.cursor.word()? {
                Word::Text(text) => text_of(known, &text, self.encoder, false).map_err(Wrong::value),
                other => Err(Wrong::value(format!("{} is not {}", name(&other), what(known)))),
            },
        }
    }

    /// Reads any JSON as a `google.protobuf.Value`.
    fn value(&mut self, layout: &'t Layout, depth: usize) -> Result<(), Wrong> {
        // By the numbers of google/protobuf/struct.proto, from 1.
        let place = match self.cursor.peek() {
            Some(b'n') => 0,
            Some(b'"') => 2,
            Some(b't' | b'f') => 3,
            Some(b'{') => 4,
            Some(b'[') => 5,
            _ => 1,
        };
        self.single(&layout.fields[place], depth).map(drop)
    }
}
