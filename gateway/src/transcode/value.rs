//! Text of a path or a query to the value of a field.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::value::{Error as ValueError, StrDeserializer};

/// Finds the fields of a dotted path, each in the proto's spelling or in JSON's.
pub(crate) fn resolve(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields = Vec::new();
    let mut inside = Some(message.clone());
    for name in path.split('.') {
        let field = find(&inside?, name)?;
        inside = field.kind().as_message().filter(|_| !field.is_list() && !field.is_map()).cloned();
        fields.push(field);
    }
    Some(fields)
}

/// Finds a field by the proto's spelling of its name or by JSON's.
pub(crate) fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))
}

/// Sets a field inside of nested messages, which come to be on the way.
pub(crate) fn set(message: &mut DynamicMessage, fields: &[FieldDescriptor], value: Value) {
    let Some((last, outer)) = fields.split_last() else { return };
    inner(message, outer).set_field(last, value);
}

/// Returns the message that a path of single messages leads to.
pub(crate) fn inner<'m>(message: &'m mut DynamicMessage, path: &[FieldDescriptor]) -> &'m mut DynamicMessage {
    path.iter().fold(message, |message, field| {
        message.get_field_mut(field).as_message_mut().expect("only the last field of a path is no single message")
    })
}

/// Reads one value of this kind; the error says what was expected.
pub(crate) fn parse(kind: &Kind, text: &str) -> Result<Value, String> {
    let number = |what: &str| format!("{text:?} is not {what}");
    match kind {
        Kind::Double => float(text).map(Value::F64).ok_or_else(|| number("a number")),
        Kind::Float => float(text).and_then(narrow).map(Value::F32).ok_or_else(|| number("a 32-bit number")),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            text.parse().map(Value::I32).map_err(|_| number("a 32-bit integer"))
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            text.parse().map(Value::I64).map_err(|_| number("a 64-bit integer"))
        }
        Kind::Uint32 | Kind::Fixed32 => {
            text.parse().map(Value::U32).map_err(|_| number("a 32-bit integer that is not negative"))
        }
        Kind::Uint64 | Kind::Fixed64 => {
            text.parse().map(Value::U64).map_err(|_| number("a 64-bit integer that is not negative"))
        }
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| number("true or false")),
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes => bytes(text).ok_or_else(|| number("base64")),
        Kind::Enum(descriptor) => enumeration(descriptor, text),
        Kind::Message(descriptor) => well_known(descriptor, text).map(Value::Message),
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Returns the nearest value that a float can hold, if there is one near.
#[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes infinite, and is refused")]
fn narrow(value: f64) -> Option<f32> {
    let narrow = value as f32;
    (narrow.is_infinite() == value.is_infinite()).then_some(narrow)
}

/// Either alphabet, padded or not, as JSON takes bytes.
fn bytes(text: &str) -> Option<Value> {
    const ANY: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY);
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()?;
    Some(Value::Bytes(decoded.into()))
}

fn enumeration(descriptor: &EnumDescriptor, text: &str) -> Result<Value, String> {
    let named = descriptor.get_value_by_name(text).map(|value| value.number());
    let number = named.or_else(|| text.parse().ok());
    number.map(Value::EnumNumber).ok_or_else(|| {
        let names: Vec<_> = descriptor.values().map(|value| value.name().to_owned()).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

/// Well-known types whose JSON form is one text or number.
fn well_known(descriptor: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let full = descriptor.full_name();
    match full {
        "google.protobuf.Timestamp" | "google.protobuf.Duration" => {
            let json = StrDeserializer::<ValueError>::new(text);
            DynamicMessage::deserialize(descriptor.clone(), json).map_err(|error| format!("{text:?}: {error}"))
        }
        "google.protobuf.FieldMask" => field_mask(descriptor, text),
        _ if full.starts_with("google.protobuf.") && full.ends_with("Value") => {
            let field = descriptor.get_field_by_name("value").filter(|field| field.kind().as_message().is_none());
            let field = field.ok_or_else(|| format!("{full} cannot be given as text"))?;
            let mut wrapper = DynamicMessage::new(descriptor.clone());
            wrapper.set_field(&field, parse(&field.kind(), text)?);
            Ok(wrapper)
        }
        _ => Err("is a message: name one of its fields, as in a.b=c".to_owned()),
    }
}

/// Paths in either spelling: `displayName` and `display_name` are the same.
fn field_mask(descriptor: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let named = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '*');
    let mut paths = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        if !path.chars().all(named) {
            return Err(format!("{path:?} is no path of a field"));
        }
        paths.push(Value::String(snake(path)));
    }
    let mut mask = DynamicMessage::new(descriptor.clone());
    mask.set_field_by_name("paths", Value::List(paths));
    Ok(mask)
}

fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
