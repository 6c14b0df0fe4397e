//! The well-known types, from their bytes.

use crate::json::{
    known::Known,
    time,
    types::{GOOGLE_RPC, Layout},
    wire::Value,
    write::{
        Nested, Unwritable, Writer,
        pieces::{self, Piece},
    },
};

impl<'t> Writer<'t> {
    /// Writes a message of a well-known type. Its layout has the fields that such a type has, and no others.
    pub(crate) fn known<'w>(
        &mut self,
        message: Nested<'t, 'w>,
        scratch: &mut Vec<Piece<'w>>,
    ) -> Result<(), Unwritable> {
        let Nested { layout, bytes, .. } = message;
        match layout.known {
            Some(Known::Any) => self.any_of(message, scratch),
            Some(Known::Timestamp) => {
                self.time(layout, bytes, time::write_timestamp, "a time is out of the bounds of its type")
            }
            Some(Known::Duration) => {
                self.time(layout, bytes, time::write_duration, "a length of time is out of the bounds of its type")
            }
            Some(Known::Mask) => self.mask(layout, bytes, scratch),
            Some(Known::Value) => self.value(message, scratch),
            Some(Known::Struct | Known::List | Known::Wrapper) | None => self.only(message, scratch),
        }
    }

    /// Writes a type that is its only field.
    fn only<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, bytes, depth } = message;
        let begin = scratch.len();
        pieces::read(layout, self.types, bytes, scratch)?;
        let field = &layout.fields[0];
        if scratch.len() == begin {
            self.zero(field);
        } else {
            self.values(field, begin..scratch.len(), scratch, depth)?;
        }
        scratch.truncate(begin);
        Ok(())
    }

    /// Writes what is set of a `google.protobuf.Value`; `null` if nothing is.
    fn value<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, bytes, depth } = message;
        let begin = scratch.len();
        pieces::read(layout, self.types, bytes, scratch)?;
        match scratch.get(begin).copied() {
            None => self.raw("null"),
            Some(Piece { value: Value::Fixed64(bits), .. }) if !f64::from_bits(bits).is_finite() => {
                return Err(Unwritable::Value("a google.protobuf.Value is a number that JSON does not have"));
            }
            Some(piece) => self.values(&layout.fields[piece.place], begin..scratch.len(), scratch, depth)?,
        }
        scratch.truncate(begin);
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too wide for its field is cut, as the wire format has it"
    )]
    fn time(
        &mut self,
        layout: &Layout,
        bytes: &[u8],
        write: fn(i64, i32) -> Option<String>,
        wrong: &'static str,
    ) -> Result<(), Unwritable> {
        let number = |place: usize| match pieces::single(&layout.fields[place], bytes)? {
            Some(Value::Varint(value)) => Ok::<_, Unwritable>(value.cast_signed()),
            _ => Ok(0),
        };
        let text = write(number(0)?, number(1)? as i32).ok_or(Unwritable::Value(wrong))?;
        self.number(text);
        Ok(())
    }

    /// Writes the paths of a mask in JSON's spelling, if they can be read again (google/protobuf/field_mask.proto).
    fn mask<'w>(
        &mut self,
        layout: &'t Layout,
        bytes: &'w [u8],
        scratch: &mut Vec<Piece<'w>>,
    ) -> Result<(), Unwritable> {
        let begin = scratch.len();
        pieces::read(layout, self.types, bytes, scratch)?;
        let mut text = String::new();
        for (index, piece) in scratch[begin..].iter().enumerate() {
            let path = std::str::from_utf8(piece.value.bytes()).map_err(|_| Unwritable::Utf8("a path".to_owned()))?;
            if index > 0 {
                text.push(',');
            }
            camel(path, &mut text).ok_or(Unwritable::Value("a path of a field mask has no spelling in JSON"))?;
        }
        scratch.truncate(begin);
        self.number(text);
        Ok(())
    }

    /// Writes a message with its type. The bytes of one that nobody knows stay bytes.
    fn any_of<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, bytes, depth } = message;
        let text = |place: usize| pieces::single(&layout.fields[place], bytes).map(|value| value.map(Value::bytes));
        let (url, value) = (text(0)?.unwrap_or_default(), text(1)?.unwrap_or_default());
        if url.is_empty() && value.is_empty() {
            self.raw("{}");
            return Ok(());
        }
        let url = std::str::from_utf8(url).map_err(|_| Unwritable::Utf8("type_url".to_owned()))?;
        self.typed(url, value, scratch, depth)
    }

    /// Writes a message with the URL of its type.
    pub(crate) fn typed<'w>(
        &mut self,
        url: &str,
        value: &'w [u8],
        scratch: &mut Vec<Piece<'w>>,
        depth: usize,
    ) -> Result<(), Unwritable> {
        self.raw("{\"@type\":");
        self.number(url);
        let name = url.rsplit('/').next().unwrap_or_default();
        let own = self.types;
        let found = own.find(name).map(|layout| (own, layout));
        match found.or_else(|| GOOGLE_RPC.find(name).map(|layout| (&*GOOGLE_RPC, layout))) {
            Some((types, inner)) => {
                self.types = types;
                self.inner(Nested { layout: inner, bytes: value, depth }, scratch)?;
                self.types = own;
            }
            None => {
                self.undecoded(value);
                return Ok(());
            }
        }
        self.raw("}");
        Ok(())
    }

    pub(crate) fn undecoded(&mut self, bytes: &[u8]) {
        self.raw(",\"value\":");
        self.base64(bytes);
        self.raw("}");
    }

    /// Writes the fields of a message in an `Any`, or its form in JSON as a field `value`.
    fn inner<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, depth, .. } = message;
        let inner = Nested { depth: depth + 1, ..message };
        if layout.known.is_none() && depth < crate::json::wire::DEEPEST {
            return self.fields(inner, scratch);
        }
        self.raw(",\"value\":");
        self.nested(inner, scratch)
    }
}

/// Writes `display_name` as `displayName`; nothing for what would be read as something else.
fn camel(path: &str, text: &mut String) -> Option<()> {
    let mut up = false;
    for letter in path.chars() {
        match letter {
            'A'..='Z' => return None,
            '_' if up => return None,
            '_' => up = true,
            letter if up && !letter.is_ascii_lowercase() => return None,
            'a'..='z' | '0'..='9' | '.' | '*' => {
                text.push(if std::mem::take(&mut up) { letter.to_ascii_uppercase() } else { letter });
            }
            _ => return None,
        }
    }
    (!up).then_some(())
}
