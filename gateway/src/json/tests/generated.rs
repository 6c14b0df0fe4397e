//! Messages made by chance, with values that JSON can say.

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use prost::Message as _;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

/// Makes a message with some of its fields.
pub(crate) fn generate(message: &MessageDescriptor, seed: u64) -> DynamicMessage {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    some(message, 3, &mut TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn some(message: &MessageDescriptor, depth: u32, rng: &mut TestRng) -> DynamicMessage {
    if let Some(known) = known(message, depth, rng) {
        return known;
    }
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let needed = field.cardinality() == Cardinality::Required;
        let endless = depth == 0 && field.kind().as_message().is_some();
        if needed || (!endless && rng.random_bool(0.3)) {
            let value = values(&field, depth, rng);
            made.set_field(&field, value);
        }
    }
    made
}

/// Well-known types whose values are bounded.
fn known(message: &MessageDescriptor, depth: u32, rng: &mut TestRng) -> Option<DynamicMessage> {
    let mut made = DynamicMessage::new(message.clone());
    match message.full_name().strip_prefix("google.protobuf.")? {
        "Timestamp" => {
            made.set_field_by_number(1, Value::I64(rng.random_range(-62_135_596_800..=253_402_300_799)));
            made.set_field_by_number(2, Value::I32(nanos(rng)));
        }
        "Duration" => {
            let sign = if rng.random() { 1 } else { -1 };
            made.set_field_by_number(1, Value::I64(sign * rng.random_range(0..=315_576_000_000)));
            made.set_field_by_number(2, Value::I32(nanos(rng) * if sign == 1 { 1 } else { -1 }));
        }
        "FieldMask" => {
            let paths = ["a", "snake_name", "small.snake_name", "a1.b"];
            let some = (0..rng.random_range(0..3)).map(|_| Value::String(paths[rng.random_range(0..4)].into()));
            let some = some.collect();
            made.set_field_by_number(1, Value::List(some));
        }
        "Value" => {
            let number = if depth == 0 { rng.random_range(1..5) } else { rng.random_range(1..7) };
            let field = message.get_field(number).unwrap();
            let value =
                if number == 2 { Value::F64(f64::from(rng.random::<i32>()) / 8.0) } else { values(&field, depth, rng) };
            made.set_field(&field, if number == 1 { Value::EnumNumber(0) } else { value });
        }
        "Any" => {
            let pool = message.parent_pool();
            let names =
                ["every.v1.Small", "google.protobuf.Duration", "google.protobuf.Value", "google.protobuf.StringValue"];
            let name = names[rng.random_range(0..names.len())];
            let inner = some(&pool.get_message_by_name(name).unwrap(), depth.saturating_sub(1), rng);
            made.set_field_by_number(1, Value::String(format!("type.googleapis.com/{name}")));
            made.set_field_by_number(2, Value::Bytes(inner.encode_to_vec().into()));
        }
        _ => return None,
    }
    Some(made)
}

fn nanos(rng: &mut TestRng) -> i32 {
    [0, 1, 999_999_999, 500_000_000, 1_000][rng.random_range(0..5)]
}

fn values(field: &FieldDescriptor, depth: u32, rng: &mut TestRng) -> Value {
    let count = rng.random_range(1..4);
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            Value::Map((0..count).map(|_| (map_key(&key, rng), one(&value, depth, rng))).collect())
        }
        kind if field.is_list() => Value::List((0..count).map(|_| one(&kind, depth, rng)).collect()),
        kind => one(&kind, depth, rng),
    }
}

fn map_key(kind: &Kind, rng: &mut TestRng) -> MapKey {
    match kind {
        Kind::Bool => MapKey::Bool(rng.random()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(rng.random()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(rng.random()),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(rng.random()),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(rng.random()),
        _ => MapKey::String(text(rng)),
    }
}

fn text(rng: &mut TestRng) -> String {
    let letters = ['a', '"', '\\', '\n', '\0', 'é', '\u{2028}', '😀', '<', '\u{7f}'];
    (0..rng.random_range(0..6)).map(|_| letters[rng.random_range(0..letters.len())]).collect()
}

fn one(kind: &Kind, depth: u32, rng: &mut TestRng) -> Value {
    match kind {
        Kind::Double => Value::F64(f64::from_bits(rng.random::<u64>() & !(1 << 62))),
        Kind::Float => Value::F32(f32::from_bits(rng.random::<u32>() & !(1 << 30))),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(rng.random()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(rng.random()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(rng.random()),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(rng.random()),
        Kind::Bool => Value::Bool(rng.random()),
        Kind::String => Value::String(text(rng)),
        Kind::Bytes => Value::Bytes(text(rng).into_bytes().into()),
        Kind::Enum(descriptor) => {
            let numbers: Vec<i32> = descriptor.values().map(|value| value.number()).collect();
            let closed = descriptor.parent_file().syntax() == prost_reflect::Syntax::Proto2;
            let null = descriptor.full_name() == "google.protobuf.NullValue";
            let open = !closed && !null && rng.random_bool(0.2);
            Value::EnumNumber(if open { 77 } else { numbers[rng.random_range(0..numbers.len())] })
        }
        Kind::Message(message) => Value::Message(some(message, depth.saturating_sub(1), rng)),
    }
}
