//! The rules of transcoding as a table, and as properties of generated messages.

use std::sync::{Arc, OnceLock};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::*;
use crate::{
    schema::Schema,
    testing::{descriptor, learned, pipeline_of, states},
};

/// The schema of `kinds.proto`, made once.
fn schema() -> Arc<Schema> {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    Arc::clone(SCHEMA.get_or_init(|| {
        let kinds = learned("kinds", 0, "kinds/v1/kinds.proto", "kinds.v1.KindService");
        let schema = Schema::build(&states(vec![("kinds", kinds)]), true, &Schema::default());
        assert_eq!(schema.report.problems(), Vec::<String>::new());
        Arc::new(schema)
    }))
}

fn kinds() -> MessageDescriptor {
    descriptor(&schema(), "kinds.v1.KindService", "kinds.v1.Kinds")
}

fn echo() -> Stub {
    Stub::new(|got| answer(vec![got.body.clone()]))
}

async fn ask(stub: &Stub, verb: &str, path: &str, body: &str) -> Answered {
    let sent = request(verb, path, if body.is_empty() { &[] } else { JSON }, body.to_owned());
    let (parts, body) = pipeline_of(schema(), stub).handle(sent).await.into_parts();
    Answered { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// Says what is wrong with one line of the table.
async fn check(line: &str) -> Result<(), String> {
    let (sent, wanted) = line.rsplit_once(" => ").ok_or("is no case")?;
    let mut words = sent.splitn(3, ' ');
    let (verb, path) = (words.next().unwrap_or_default(), words.next().ok_or("has no path")?);
    let stub = echo();
    let answered = ask(&stub, verb, path, words.next().unwrap_or_default()).await;
    if let Some(field) = wanted.strip_prefix('!') {
        let named = field.trim().is_empty() || answered.fields() == [field.trim()];
        return (answered.status == 400 && named)
            .then_some(())
            .ok_or(format!("{} {:?}", answered.status, answered.body));
    }
    if answered.status != 200 {
        return Err(format!("{} {:?}", answered.status, answered.body));
    }
    let mut wanted = serde_json::Deserializer::from_str(wanted);
    let wanted = DynamicMessage::deserialize(kinds(), &mut wanted).map_err(|error| error.to_string())?;
    let got = decode(&stub.last().body[5..]);
    // Not by `Debug`, which has no end for a type that holds itself.
    if got == decode(&wanted.encode_to_vec()) { Ok(()) } else { Err(format!("became {}", serde_json::json!(got))) }
}

fn decode(bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(kinds(), bytes).unwrap()
}

#[tokio::test]
async fn every_case_of_the_table_holds() {
    let table = include_str!("../../../tests/cases/requests.txt");
    let cases = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    for line in cases {
        count += 1;
        if let Err(why) = check(line).await {
            wrong.push(format!("{line}\n    {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "{count}");
}

/// Makes a message with some of its fields.
fn generate(message: &MessageDescriptor, depth: u32, rng: &mut TestRng) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| !field.kind().as_message().is_some_and(|m| is_left_out(m, depth))) {
        if rng.random_bool(0.5) {
            let value = generate_field(&field, depth, rng);
            made.set_field(&field, value);
        }
    }
    made
}

/// Types whose values JSON bounds, and what would nest without end.
fn is_left_out(message: &MessageDescriptor, depth: u32) -> bool {
    let bounded = ["Timestamp", "Duration", "FieldMask", "Struct", "Value"];
    depth == 0 || bounded.iter().any(|name| message.full_name() == format!("google.protobuf.{name}"))
}

fn generate_field(field: &FieldDescriptor, depth: u32, rng: &mut TestRng) -> Value {
    let count = rng.random_range(1..4);
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let value = entry.map_entry_value_field();
            let key = entry.map_entry_key_field().kind();
            Value::Map((0..count).map(|_| (map_key(&key, rng), generate_one(&value.kind(), depth - 1, rng))).collect())
        }
        kind if field.is_list() => Value::List((0..count).map(|_| generate_one(&kind, depth, rng)).collect()),
        kind => generate_one(&kind, depth, rng),
    }
}

fn map_key(kind: &Kind, rng: &mut TestRng) -> MapKey {
    match kind {
        Kind::Bool => MapKey::Bool(rng.random()),
        Kind::Int64 => MapKey::I64(rng.random()),
        _ => MapKey::String(text(rng)),
    }
}

fn text(rng: &mut TestRng) -> String {
    let letters = ['a', '"', '\\', '\n', '\0', 'é', '\u{2028}', '😀', '<', '\u{7f}'];
    (0..rng.random_range(0..6)).map(|_| letters[rng.random_range(0..letters.len())]).collect()
}

fn generate_one(kind: &Kind, depth: u32, rng: &mut TestRng) -> Value {
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
        Kind::Enum(_) => Value::EnumNumber([0, 1, -2, 77][rng.random_range(0..4)]),
        Kind::Message(message) => Value::Message(generate(message, depth.saturating_sub(1), rng)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A message becomes JSON by an answer, and the JSON the message again by a request.
    #[test]
    fn a_message_survives_its_json(seed in any::<[u8; 32]>()) {
        let message = generate(&kinds(), 3, &mut TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let frame = crate::testing::frame(&message);
        let first = Stub::new(move |_| answer(vec![frame.clone()]));
        let second = echo();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (json, again) = runtime.block_on(async {
            let json = ask(&first, "GET", "/v1/kinds", "").await;
            let json = String::from_utf8(json.body.to_vec()).unwrap();
            let again = ask(&second, "POST", "/v1/kinds", &json).await;
            (json, again)
        });
        prop_assert_eq!(again.status, 200, "{} {:?}", json, again.body);
        prop_assert!(decode(&second.last().body[5..]) == decode(&message.encode_to_vec()), "{}", json);
    }
}
