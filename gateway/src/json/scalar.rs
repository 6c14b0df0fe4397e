//! Numbers, texts, bytes and enums: what JSON, a query or a path says, as it stands on the wire.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::json::{
    cursor::{Word, is_number},
    types::{Names, Shape, Types},
};

/// A value as it stands on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'s> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Text(Cow<'s, str>),
    Bytes(Vec<u8>),
}

/// Why something is no value of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Not {
    /// It says something else.
    Fits(String),
    /// It is a name that the enum does not have, which those who are lenient pass over.
    Named(String),
}

impl Scalar<'_> {
    pub(crate) fn wire_type(&self) -> u32 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Text(_) | Self::Bytes(_) => 2,
            Self::Fixed32(_) => 5,
        }
    }

    /// Tells whether it is what a field without presence has when it is not there.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Varint(value) => *value == 0,
            Self::Fixed32(value) => *value == 0,
            Self::Fixed64(value) => *value == 0,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

/// Reads a word of JSON. The shape is no message's.
pub(crate) fn of_word<'s>(types: &Types, shape: Shape, word: Word<'s>) -> Result<Scalar<'s>, Not> {
    let wrong = |found: String| Not::Fits(format!("{found} is not {}", what(shape)));
    match (word, shape) {
        (Word::Text(text), Shape::Bool) => Err(wrong(quoted(&text))),
        (Word::Text(text), shape) => of_text(types, shape, text),
        (Word::Number(_), Shape::String | Shape::Bytes | Shape::Bool) => Err(wrong("a number".to_owned())),
        (Word::Number(number), Shape::Enum(place)) => {
            let number = integer(number).and_then(|number| i32::try_from(number).ok());
            of_number(types.names(place), number.ok_or_else(|| wrong("a number".to_owned()))?)
        }
        (Word::Number(number), shape) => of_text(types, shape, Cow::Borrowed(number)),
        (Word::Bool(value), Shape::Bool) => Ok(Scalar::Varint(value.into())),
        (Word::Null, Shape::Null) => Ok(Scalar::Varint(0)),
        (Word::Bool(value), _) => Err(wrong(value.to_string())),
        (Word::Null, _) => Err(wrong("null".to_owned())),
        (Word::Object, _) => Err(wrong("an object".to_owned())),
        (Word::List, _) => Err(wrong("a list".to_owned())),
    }
}

/// Reads a text, such as a parameter of a query or the key of a map. The shape is no message's.
pub(crate) fn of_text<'s>(types: &Types, shape: Shape, text: Cow<'s, str>) -> Result<Scalar<'s>, Not> {
    let read = match shape {
        Shape::String => return Ok(Scalar::Text(text)),
        Shape::Enum(place) => return of_name(types.names(place), &text),
        Shape::Double => double(&text).map(|value| Scalar::Fixed64(value.to_bits())),
        Shape::Float => float(&text).map(|value| Scalar::Fixed32(value.to_bits())),
        Shape::Int32 => narrow::<i32>(&text).map(|value| Scalar::Varint(i64::from(value).cast_unsigned())),
        Shape::Int64 => narrow::<i64>(&text).map(|value| Scalar::Varint(value.cast_unsigned())),
        Shape::Uint32 => narrow::<u32>(&text).map(|value| Scalar::Varint(value.into())),
        Shape::Uint64 => narrow(&text).map(Scalar::Varint),
        Shape::Sint32 => narrow::<i32>(&text).map(|value| Scalar::Varint(zigzag(value.into()))),
        Shape::Sint64 => narrow(&text).map(|value| Scalar::Varint(zigzag(value))),
        Shape::Fixed32 => narrow(&text).map(Scalar::Fixed32),
        Shape::Fixed64 => narrow(&text).map(Scalar::Fixed64),
        Shape::Sfixed32 => narrow::<i32>(&text).map(|value| Scalar::Fixed32(value.cast_unsigned())),
        Shape::Sfixed64 => narrow::<i64>(&text).map(|value| Scalar::Fixed64(value.cast_unsigned())),
        Shape::Bool => text.parse().ok().map(|value: bool| Scalar::Varint(value.into())),
        Shape::Bytes => bytes(&text).map(Scalar::Bytes),
        Shape::Null => (text == "NULL_VALUE" || integer(&text) == Some(0)).then_some(Scalar::Varint(0)),
        Shape::Message(_) => None,
    };
    read.ok_or_else(|| Not::Fits(format!("{} is not {}", quoted(&text), what(shape))))
}

/// Says what a shape takes.
fn what(shape: Shape) -> &'static str {
    match shape {
        Shape::Double => "a number",
        Shape::Float => "a 32-bit number",
        Shape::Int32 | Shape::Sint32 | Shape::Sfixed32 => "a 32-bit integer",
        Shape::Int64 | Shape::Sint64 | Shape::Sfixed64 => "a 64-bit integer",
        Shape::Uint32 | Shape::Fixed32 => "a 32-bit integer that is not negative",
        Shape::Uint64 | Shape::Fixed64 => "a 64-bit integer that is not negative",
        Shape::Bool => "true or false",
        Shape::String => "a text",
        Shape::Bytes => "base64",
        Shape::Null => "null",
        Shape::Enum(_) => "a value of the enum",
        Shape::Message(_) => "a message",
    }
}

/// Reads the name of a value, or its number.
fn of_name(names: &Names, text: &str) -> Result<Scalar<'static>, Not> {
    if let Some(number) = names.by_name.get(text) {
        return Ok(enumerated(*number));
    }
    match integer(text).and_then(|number| i32::try_from(number).ok()) {
        Some(number) => of_number(names, number),
        None => Err(Not::Named(format!("{} is none of {}", quoted(text), listed(names)))),
    }
}

fn of_number(names: &Names, number: i32) -> Result<Scalar<'static>, Not> {
    if names.closed && !names.by_number.contains_key(&number) {
        return Err(Not::Named(format!("{number} is the number of none of {}", listed(names))));
    }
    Ok(enumerated(number))
}

/// Puts the beginning of a text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn listed(names: &Names) -> String {
    let more = if names.all.len() > 32 { ", …" } else { "" };
    names.all.iter().take(32).map(String::as_str).collect::<Vec<_>>().join(", ") + more
}

fn enumerated(number: i32) -> Scalar<'static> {
    Scalar::Varint(i64::from(number).cast_unsigned())
}

fn narrow<T: TryFrom<i128>>(text: &str) -> Option<T> {
    integer(text).and_then(|number| T::try_from(number).ok())
}

/// Reads an integer, with a fraction of zeros and an exponent if it likes (protobuf.dev, "ProtoJSON Format").
#[expect(clippy::cast_possible_truncation, reason = "it is an integer, and one that is far from the bounds of i128")]
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let number = double(text).filter(|number| number.fract() == 0.0 && number.abs() < 1e20)?;
    Some(number as i128)
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok().filter(|value: &f64| value.is_finite() && is_number(text)),
    }
}

fn float(text: &str) -> Option<f32> {
    match text {
        "NaN" => Some(f32::NAN),
        "Infinity" => Some(f32::INFINITY),
        "-Infinity" => Some(f32::NEG_INFINITY),
        text => text.parse().ok().filter(|value: &f32| value.is_finite() && is_number(text)),
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Either alphabet, padded or not, as JSON takes bytes.
fn bytes(text: &str) -> Option<Vec<u8>> {
    const ANY: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}
