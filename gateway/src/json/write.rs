//! The bytes of a message to JSON (protobuf.dev, "ProtoJSON Format"), without a message in between.
//!
//! What is there of each field is found in one pass over the bytes, whatever its order: a message that came in several
//! pieces is merged, of a single value and of a oneof the last counts, of a map the last of each key, and unknown fields
//! are left out. Keys of maps come sorted, so that one message has one text.

mod known;
mod map;
mod pieces;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use self::pieces::{Elements, Piece};
pub(crate) use self::pieces::{single, wholly};
use crate::json::{
    settings::Settings,
    types::{Field, Layout, Repeat, Shape, Types},
    wire::{DEEPEST, Malformed, Value},
};

/// A text of at most this many bytes is always written.
const MOST: usize = 64 * 1024 * 1024;
/// A longer one may have this many bytes for each one of the message: an empty message is a text of all its zero values,
/// however many there are.
const GROWTH: usize = 16;

/// Why a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwritable {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0} is no UTF-8")]
    Utf8(String),
    #[error("{0}")]
    Value(&'static str),
    #[error("it is too long as JSON")]
    Length,
}

/// A message that is to be written, and how deep it is nested: 1 for the outermost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nested<'t, 'w> {
    layout: &'t Layout,
    bytes: &'w [u8],
    depth: usize,
}

/// A text that is being written.
#[derive(Debug)]
pub(crate) struct Writer<'t> {
    types: &'t Types,
    settings: Settings,
    text: Vec<u8>,
    most: usize,
}

impl<'t> Writer<'t> {
    /// Begins a text of a message that has this many bytes.
    pub(crate) fn new(types: &'t Types, settings: Settings, length: usize) -> Self {
        let most = MOST.max(length.saturating_mul(GROWTH));
        Self { types, settings, text: Vec::with_capacity(64 + 2 * length.min(MOST)), most }
    }

    /// Writes a message, and returns the text.
    pub(crate) fn message(mut self, layout: &'t Layout, bytes: &[u8]) -> Result<Vec<u8>, Unwritable> {
        self.nested(Nested { layout, bytes, depth: 1 }, &mut Vec::new())?;
        Ok(self.text)
    }

    /// Writes one field of a message, and returns the text: `null` if it is a message that is not there.
    pub(crate) fn field(mut self, layout: &'t Layout, place: usize, bytes: &[u8]) -> Result<Vec<u8>, Unwritable> {
        let mut all = Vec::new();
        pieces::read(layout, self.types, bytes, &mut all)?;
        let from = all.partition_point(|piece| piece.place < place);
        let to = all.partition_point(|piece| piece.place <= place);
        let field = &layout.fields[place];
        match (from == to, field.presence) {
            (true, true) => self.raw("null"),
            (true, false) => self.zero(field),
            (false, _) => self.values(field, from..to, &mut all, 1)?,
        }
        Ok(self.text)
    }

    /// Writes a message of which the URL of its type is known, with the URL as `@type`; its bytes, if nobody knows the
    /// type.
    pub(crate) fn any(mut self, url: &str, bytes: &[u8]) -> Result<Vec<u8>, Unwritable> {
        self.typed(url, bytes, &mut Vec::new(), 1)?;
        Ok(self.text)
    }

    /// Writes the bytes of a message that are not understood, with the URL of its type.
    pub(crate) fn bytes(mut self, url: &str, bytes: &[u8]) -> Vec<u8> {
        self.raw("{\"@type\":");
        self.number(url);
        self.undecoded(bytes);
        self.text
    }

    fn nested<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, depth, .. } = message;
        if depth > DEEPEST {
            return Err(Malformed::Depth.into());
        }
        if layout.known.is_some() {
            return self.known(message, scratch);
        }
        self.raw("{");
        self.fields(message, scratch)?;
        self.raw("}");
        Ok(())
    }

    /// Writes the fields of a message into an object that was begun.
    fn fields<'w>(&mut self, message: Nested<'t, 'w>, scratch: &mut Vec<Piece<'w>>) -> Result<(), Unwritable> {
        let Nested { layout, bytes, depth } = message;
        let mut first = self.text.last() == Some(&b'{');
        let begin = scratch.len();
        pieces::read(layout, self.types, bytes, scratch)?;
        let (mut at, mut next) = (begin, 0);
        let end = scratch.len();
        while at < end {
            let place = scratch[at].place;
            let to = at + scratch[at..end].iter().take_while(|piece| piece.place == place).count();
            let field = &layout.fields[place];
            self.zeros(&layout.fields[next..place], &mut first)?;
            if self.is_shown(field, &scratch[at..to])? {
                self.key(field, &mut first)?;
                self.values(field, at..to, scratch, depth)?;
            }
            (at, next) = (to, place + 1);
        }
        scratch.truncate(begin);
        self.zeros(&layout.fields[next..], &mut first)
    }

    /// Writes the zero values of fields that are not there, if they are to be shown.
    fn zeros(&mut self, fields: &[Field], first: &mut bool) -> Result<(), Unwritable> {
        if !self.settings.always_print_fields_with_no_presence {
            return Ok(());
        }
        for field in fields.iter().filter(|field| !field.presence && !field.extension) {
            self.key(field, first)?;
            self.zero(field);
        }
        Ok(())
    }

    /// Tells whether a field has something that is shown.
    fn is_shown(&self, field: &Field, pieces: &[Piece<'_>]) -> Result<bool, Unwritable> {
        if field.presence || self.settings.always_print_fields_with_no_presence {
            return Ok(true);
        }
        match field.repeat {
            Repeat::Single => Ok(!pieces.last().is_some_and(|piece| is_zero(piece.value))),
            Repeat::List { .. } if matches!(field.shape, Shape::Message(_)) => Ok(true),
            Repeat::List { .. } => Ok(Elements::new(field.shape, self.types, pieces).next().transpose()?.is_some()),
            Repeat::Map(_) => Ok(true),
        }
    }

    /// Writes what a field has, of the pieces in this range.
    fn values<'w>(
        &mut self,
        field: &'t Field,
        range: std::ops::Range<usize>,
        scratch: &mut Vec<Piece<'w>>,
        depth: usize,
    ) -> Result<(), Unwritable> {
        match (field.repeat, field.shape) {
            (Repeat::Map(key), _) => self.map((field, key), range, scratch, depth),
            (Repeat::List { .. }, Shape::Message(place)) => {
                self.raw("[");
                for index in range.clone() {
                    self.comma(index == range.start)?;
                    let bytes = scratch[index].value.bytes();
                    self.nested(Nested { layout: self.types.message(place), bytes, depth: depth + 1 }, scratch)?;
                }
                self.raw("]");
                Ok(())
            }
            (Repeat::List { .. }, _) => self.list(field, &scratch[range]),
            (Repeat::Single, Shape::Message(place)) if range.len() == 1 => {
                let bytes = scratch[range.start].value.bytes();
                self.nested(Nested { layout: self.types.message(place), bytes, depth: depth + 1 }, scratch)
            }
            (Repeat::Single, Shape::Message(place)) => {
                // Pieces of one message are merged by what they are put together (protobuf.dev, "Last One Wins").
                let whole: Vec<u8> = scratch[range].iter().flat_map(|piece| piece.value.bytes()).copied().collect();
                let message = Nested { layout: self.types.message(place), bytes: &whole, depth: depth + 1 };
                self.nested(message, &mut Vec::new())
            }
            (Repeat::Single, _) => self.scalar(field, scratch[range.end - 1].value),
        }
    }

    fn list(&mut self, field: &'t Field, pieces: &[Piece<'_>]) -> Result<(), Unwritable> {
        self.raw("[");
        let mut first = true;
        for element in Elements::new(field.shape, self.types, pieces) {
            let element = element?;
            self.comma(std::mem::replace(&mut first, false))?;
            self.scalar(field, element)?;
        }
        self.raw("]");
        Ok(())
    }

    /// Writes a value that is no message; of which shape it is was seen to where it was read.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too wide for its field is cut, as the wire format has it"
    )]
    fn scalar(&mut self, field: &Field, value: Value<'_>) -> Result<(), Unwritable> {
        match (field.shape, value) {
            (Shape::Int32, Value::Varint(value)) => self.number(value.cast_signed() as i32),
            (Shape::Uint32, Value::Varint(value)) => self.number(value as u32),
            (Shape::Sint32, Value::Varint(value)) => self.number(zigzag((value as u32).into()) as i32),
            (Shape::Fixed32, Value::Fixed32(value)) => self.number(value),
            (Shape::Sfixed32, Value::Fixed32(value)) => self.number(value.cast_signed()),
            (Shape::Int64, Value::Varint(value)) => self.long(value.cast_signed()),
            (Shape::Uint64, Value::Varint(value)) => self.long(value),
            (Shape::Sint64, Value::Varint(value)) => self.long(zigzag(value)),
            (Shape::Fixed64, Value::Fixed64(value)) => self.long(value),
            (Shape::Sfixed64, Value::Fixed64(value)) => self.long(value.cast_signed()),
            (Shape::Double, Value::Fixed64(bits)) => self.float(f64::from_bits(bits), f64::from_bits(bits)),
            (Shape::Float, Value::Fixed32(bits)) => self.float(f32::from_bits(bits).into(), f32::from_bits(bits)),
            (Shape::Bool, Value::Varint(value)) => self.raw(if value == 0 { "false" } else { "true" }),
            (Shape::String, value) => {
                let text = std::str::from_utf8(value.bytes()).map_err(|_| Unwritable::Utf8(field.name.clone()))?;
                self.number(text);
            }
            (Shape::Bytes, value) => self.base64(value.bytes()),
            (Shape::Enum(place), Value::Varint(value)) => self.enumerated(place, value.cast_signed() as i32),
            (Shape::Null, _) => self.raw("null"),
            _ => return Err(Unwritable::Value("a field is of another wire type than its own")),
        }
        Ok(())
    }

    /// Writes what a field without presence has when it is not there.
    fn zero(&mut self, field: &Field) {
        match field.repeat {
            Repeat::List { .. } => self.raw("[]"),
            Repeat::Map(_) => self.raw("{}"),
            Repeat::Single => self.zero_of(field.shape),
        }
    }

    fn zero_of(&mut self, shape: Shape) {
        match shape {
            Shape::Double | Shape::Float => self.raw("0.0"),
            Shape::Int64 | Shape::Uint64 | Shape::Sint64 | Shape::Fixed64 | Shape::Sfixed64 => self.raw("\"0\""),
            Shape::Int32 | Shape::Uint32 | Shape::Sint32 | Shape::Fixed32 | Shape::Sfixed32 => self.raw("0"),
            Shape::Bool => self.raw("false"),
            Shape::String | Shape::Bytes => self.raw("\"\""),
            Shape::Null | Shape::Message(_) => self.raw("null"),
            Shape::Enum(place) => self.enumerated(place, self.types.names(place).default),
        }
    }

    fn enumerated(&mut self, place: usize, number: i32) {
        let name = self.types.names(place).by_number.get(&number);
        match name.filter(|_| !self.settings.always_print_enums_as_ints) {
            Some(name) => self.number(name),
            None => self.number(number),
        }
    }

    /// Writes a number that texts say, where JSON has no number for it.
    fn float(&mut self, wide: f64, value: impl Serialize) {
        match wide {
            wide if wide.is_nan() => self.raw("\"NaN\""),
            f64::INFINITY => self.raw("\"Infinity\""),
            f64::NEG_INFINITY => self.raw("\"-Infinity\""),
            _ => self.number(value),
        }
    }

    fn long(&mut self, value: impl Serialize) {
        self.raw("\"");
        self.number(value);
        self.raw("\"");
    }

    /// Writes what JSON has a form of: a number or a text.
    fn number(&mut self, value: impl Serialize) {
        serde_json::to_writer(&mut self.text, &value).expect("memory takes any number and any text");
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.raw("\"");
        let from = self.text.len();
        self.text.resize(from + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.text[from..]).expect("four letters for each three bytes");
        self.text.truncate(from + written);
        self.raw("\"");
    }

    fn key(&mut self, field: &Field, first: &mut bool) -> Result<(), Unwritable> {
        self.comma(std::mem::replace(first, false))?;
        self.raw(&field.keys[usize::from(self.settings.preserve_proto_field_names)]);
        Ok(())
    }

    /// Begins the next of several; the text may be too long for it.
    fn comma(&mut self, first: bool) -> Result<(), Unwritable> {
        if !first {
            self.raw(",");
        }
        if self.text.len() > self.most { Err(Unwritable::Length) } else { Ok(()) }
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn is_zero(value: Value<'_>) -> bool {
    match value {
        Value::Varint(value) | Value::Fixed64(value) => value == 0,
        Value::Fixed32(value) => value == 0,
        Value::Bytes(bytes) | Value::Group(bytes) => bytes.is_empty(),
    }
}
