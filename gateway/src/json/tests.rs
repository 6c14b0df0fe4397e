//! Messages to JSON and JSON to messages: the rules as a table, properties, and what others make of the same.

mod generated;
mod notation;

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value as Json;

use self::generated::generate;
use crate::json::{Encoder, Reader, Settings, Types, Writer, Wrong};

/// The types of `every.proto`.
fn types() -> &'static (DescriptorPool, Types) {
    static TYPES: OnceLock<(DescriptorPool, Types)> = OnceLock::new();
    TYPES.get_or_init(|| {
        let set = crate::testing::descriptors("every/v1/every.proto");
        let pool = DescriptorPool::decode(&set[..]).unwrap();
        let types = Types::new(&pool);
        (pool, types)
    })
}

fn descriptor(name: &str) -> MessageDescriptor {
    types().0.get_message_by_name(name).unwrap()
}

/// Zero values are left out, so that a case has what it is about and nothing else.
const BRIEF: Settings = Settings {
    ignore_unknown_fields: false,
    always_print_fields_with_no_presence: false,
    preserve_proto_field_names: false,
    always_print_enums_as_ints: false,
    response_metadata: false,
};

fn write(name: &str, settings: Settings, bytes: &[u8]) -> Result<String, String> {
    let types = &types().1;
    let layout = types.find(name).unwrap();
    let text = Writer::new(types, settings, bytes.len()).message(layout, bytes).map_err(|why| why.to_string())?;
    Ok(String::from_utf8(text).unwrap())
}

fn read(name: &str, lenient: bool, text: &str) -> Result<Vec<u8>, Wrong> {
    let types = &types().1;
    let mut encoder = Encoder::default();
    Reader::new(types, lenient, text, &mut encoder).message(types.find(name).unwrap())?;
    Ok(encoder.frame().unwrap()[5..].to_vec())
}

fn settings(flags: &str) -> Settings {
    flags.split('.').skip(1).fold(BRIEF, |settings, flag| match flag {
        "zeros" => Settings { always_print_fields_with_no_presence: true, ..settings },
        "names" => Settings { preserve_proto_field_names: true, ..settings },
        "ints" => Settings { always_print_enums_as_ints: true, ..settings },
        other => panic!("there is no flag {other}"),
    })
}

/// Says what is wrong with one line of the table.
fn check(line: &str) -> Result<(), String> {
    let (sent, wanted) = line.rsplit_once(" => ").ok_or("is no case")?;
    let (head, message) = sent.split_once(' ').unwrap_or((sent, ""));
    let name = head.split('.').next().unwrap_or_default();
    let name = if name == "Older" { "older.v1.Older".to_owned() } else { format!("every.v1.{name}") };
    let written = write(&name, settings(head), &notation::message(message)?);
    match (written, wanted.strip_prefix('!')) {
        (Err(why), Some(wanted)) if why.contains(wanted.trim()) => Ok(()),
        (Ok(text), None) if serde_json::from_str::<Json>(wanted).map_err(|error| error.to_string())? == json(&text) => {
            Ok(())
        }
        (written, _) => Err(format!("became {written:?}")),
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_case_of_the_table_holds() {
    let table = include_str!("../../tests/cases/responses.txt");
    let cases: Vec<_> = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let wrong: Vec<_> = cases.iter().filter_map(|line| Some(format!("{line}\n    {}", check(line).err()?))).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 200, "{}", cases.len());
}

/// Keys of maps are sorted by what they say, and not by how they are spelled.
#[test]
fn one_message_has_one_text() {
    let text = |message: &str| write("every.v1.Every", BRIEF, &notation::message(message).unwrap()).unwrap();
    assert_eq!(text(r#"41:{1:10 2:"a"} 41:{1:9 2:"b"} 41:{1:-1 2:"c"}"#), r#"{"byInt32":{"-1":"c","9":"b","10":"a"}}"#);
    assert_eq!(
        text(r#"54:{1:"b" 2:i64 0} 3:1 54:{1:"a" 2:i64 0}"#),
        r#"{"int32":1,"doublesByName":{"a":0.0,"b":0.0}}"#
    );
}

#[test]
fn a_small_message_is_no_endless_text() {
    // Each of these two bytes is a message of some 100 bytes of zero values.
    let many = [0xaa, 0x02, 0].repeat(1_000_000);
    let all = Settings { always_print_fields_with_no_presence: true, ..BRIEF };
    assert_eq!(write("every.v1.Every", all, &many), Err("it is too long as JSON".to_owned()));
    assert!(write("every.v1.Every", BRIEF, &many).is_ok());
}

#[test]
fn unknown_names_are_passed_over_if_that_is_wanted() {
    let strict = |text: &str| read("every.v1.Small", false, text).unwrap_err().path();
    let lenient = |text: &str| write("every.v1.Small", BRIEF, &read("every.v1.Small", true, text).unwrap()).unwrap();
    for (text, path, wanted) in [
        (r#"{"nope": [{"a": [1, {}]}, "x"], "number": 1}"#, "nope", r#"{"number":1}"#),
        (r#"{"small": {"nope": null, "text": "a"}}"#, "small.nope", r#"{"small":{"text":"a"}}"#),
        (r#"{"color": "PLAID", "number": 2}"#, "color", r#"{"number":2}"#),
    ] {
        assert_eq!(strict(text), path, "{text}");
        assert_eq!(lenient(text), wanted, "{text}");
    }
    let every = |text: &str| write("every.v1.Every", BRIEF, &read("every.v1.Every", true, text).unwrap()).unwrap();
    assert_eq!(every(r#"{"colors": ["COLOR_RED", "PLAID", 0]}"#), r#"{"colors":["COLOR_RED","COLOR_UNSPECIFIED"]}"#);
    assert_eq!(every(r#"{"colorsByName": {"a": "PLAID", "b": 1}}"#), r#"{"colorsByName":{"b":"COLOR_RED"}}"#);
    assert_eq!(
        every(r#"{"older": {"needed": 1, "size": 4, "sizes": [4, 3]}}"#),
        r#"{"older":{"needed":1,"sizes":["SIZE_SMALL"]}}"#
    );
}

/// `null`, and what it is as an enum: its name and its number.
#[test]
fn a_null_is_read_in_each_of_its_forms() {
    for null in ["null", "\"NULL_VALUE\"", "0"] {
        let bytes = read("every.v1.Every", false, &format!(r#"{{"nothing": {null}, "nulls": [{null}]}}"#)).unwrap();
        assert_eq!(write("every.v1.Every", BRIEF, &bytes).unwrap(), r#"{"nothing":null,"nulls":[null]}"#, "{null}");
    }
    assert_eq!(read("every.v1.Every", false, r#"{"nothing": 1}"#).unwrap_err().path(), "nothing");
}

/// The type of an `Any` may stand anywhere in it, and says what the rest is.
#[test]
fn an_any_is_read_by_its_type() {
    let small = r#""@type": "type.googleapis.com/every.v1.Small""#;
    for (any, wanted) in [
        ("{}", "{}".to_owned()),
        (&format!(r#"{{{small}, "text": "a"}}"#), format!(r#"{{{small}, "text": "a"}}"#)),
        (
            &format!(r#"{{"text": "{{", "words": ["@type"], {small}}}"#),
            format!(r#"{{{small}, "text": "{{", "words": ["@type"]}}"#),
        ),
        (
            r#"{"value": "1s", "@type": "x/google.protobuf.Duration"}"#,
            r#"{"@type": "x/google.protobuf.Duration", "value": "1s"}"#.to_owned(),
        ),
        (r#"{"@type": "x/google.protobuf.Empty", "value": {}}"#, r#"{"@type": "x/google.protobuf.Empty"}"#.to_owned()),
        (
            r#"{"@type": "x/google.rpc.RetryInfo", "retryDelay": "1s"}"#,
            r#"{"@type": "x/google.rpc.RetryInfo", "retryDelay": "1s"}"#.to_owned(),
        ),
    ] {
        let bytes = read("every.v1.Every", false, &format!(r#"{{"any": {any}}}"#)).unwrap();
        assert_eq!(json(&write("every.v1.Every", BRIEF, &bytes).unwrap())["any"], json(&wanted), "{any}");
    }
    for (any, path) in [
        (r#"{"text": "a"}"#.to_owned(), "any.@type"),
        (r#"{"@type": 7}"#.to_owned(), "any.@type"),
        (r#"{"@type": "every.v1.Small"}"#.to_owned(), "any.@type"),
        (r#"{"@type": "x/"}"#.to_owned(), "any.@type"),
        (r#"{"@type": "x/no.Such"}"#.to_owned(), "any.@type"),
        (format!("{{{small}, {small}}}"), "any.@type"),
        (format!(r#"{{{small}, "nope": 1}}"#), "any.nope"),
        (format!(r#"{{{small}, "small": {{"number": "x"}}}}"#), "any.small.number"),
        (r#"{"@type": "x/google.protobuf.Duration"}"#.to_owned(), "any.value"),
        (r#"{"@type": "x/google.protobuf.Duration", "value": "1"}"#.to_owned(), "any.value"),
        (r#"{"@type": "x/google.protobuf.Duration", "value": "1s", "value": "1s"}"#.to_owned(), "any.value"),
        (r#"{"@type": "x/google.protobuf.Duration", "value": "1s", "seconds": 1}"#.to_owned(), "any.seconds"),
    ] {
        let wrong = read("every.v1.Every", false, &format!(r#"{{"any": {any}}}"#)).expect_err(&any);
        assert_eq!(wrong.path(), path, "{any}");
    }
}

/// What another implementation writes of the message.
fn told(message: &DynamicMessage, zeros: bool) -> Option<Json> {
    let options = SerializeOptions::new().skip_default_fields(!zeros);
    // Over its text: a number of 32 bits has another one as a number of 64 bits.
    let mut text = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut text, &options).ok()?;
    serde_json::from_slice(&text.into_inner()).ok()
}

fn decode(name: &str, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(descriptor(name), bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Both directions are each other's inverse, and what is written is what another implementation writes.
    #[test]
    fn a_message_survives_its_json(seed in any::<u64>(), zeros in any::<bool>(), names in any::<bool>(), ints in any::<bool>()) {
        let message = generate(&descriptor("every.v1.Every"), seed);
        let bytes = message.encode_to_vec();
        let settings = Settings { always_print_fields_with_no_presence: zeros, preserve_proto_field_names: names, always_print_enums_as_ints: ints, ..BRIEF };
        let text = write("every.v1.Every", settings, &bytes).unwrap();
        if !names && !ints {
            prop_assert_eq!(Some(json(&text)), told(&message, zeros), "{}", text);
        }
        let again = read("every.v1.Every", false, &text).unwrap_or_else(|wrong| panic!("{wrong:?}: {text}"));
        // Not the messages: the bytes in an `Any` may have the entries of a map in another order.
        prop_assert_eq!(told(&decode("every.v1.Every", &again), true), told(&message, true), "{}", text);
        prop_assert_eq!(write("every.v1.Every", settings, &again).unwrap(), text);
    }

    /// A message that was put together of two, in whatever order, is what others take it for.
    #[test]
    fn pieces_are_merged_as_others_merge_them(one in any::<u64>(), two in any::<u64>(), cut in 0usize..2000) {
        let of = |seed| {
            let mut message = generate(&descriptor("every.v1.Every"), seed);
            // What these say by two fields must not come half of one message and half of the other.
            [82, 88].iter().for_each(|number| message.clear_field_by_number(*number));
            message.encode_to_vec()
        };
        let both = [of(one), of(two)].concat();
        let merged = DynamicMessage::decode(descriptor("every.v1.Every"), &both[..]).unwrap();
        let text = write("every.v1.Every", BRIEF, &both);
        prop_assert_eq!(text.ok().map(|text| json(&text)), told(&merged, false));
        // What breaks off is refused, or is a message by chance: no more is promised.
        _ = write("every.v1.Every", BRIEF, &both[..cut.min(both.len())]);
    }

    #[test]
    fn any_bytes_are_read_as_others_read_them(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let other = DynamicMessage::decode(descriptor("every.v1.Small"), &bytes[..]);
        let own = write("every.v1.Small", BRIEF, &bytes);
        if let Ok(other) = other {
            prop_assert_eq!(own.ok().map(|text| json(&text)), told(&other, false));
        }
    }
}

/// No message is built in between: that would take memory for each of its values.
#[test]
fn nothing_is_built_in_between() {
    let small = r#"{"text": "a longer text than one", "number": 7, "words": ["a", "b"], "small": {"text": "c"}}"#;
    let text = format!(r#"{{"smalls": [{}]}}"#, [small; 1000].join(","));
    let bytes = read("every.v1.Every", false, &text).unwrap();
    let reading = allocation_counter::measure(|| drop(read("every.v1.Every", false, &text)));
    let writing = allocation_counter::measure(|| drop(write("every.v1.Every", BRIEF, &bytes)));
    assert!(reading.count_total < 100 && writing.count_total < 100, "{reading:?} {writing:?}");
}

/// Where a message nests, both directions end at the depth at which parsers of protobuf end.
#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| r#"{"small":"#.repeat(depth) + "{}" + &"}".repeat(depth);
    let deep = read("every.v1.Small", false, &nested(99)).unwrap();
    assert_eq!(write("every.v1.Small", BRIEF, &deep).unwrap(), nested(99));
    assert!(DynamicMessage::decode(descriptor("every.v1.Small"), &deep[..]).is_ok());
    assert!(
        matches!(read("every.v1.Small", false, &nested(100)), Err(Wrong::Value { why, .. }) if why.contains("deeper than 100"))
    );
    assert!(read("every.v1.Small", false, &nested(100_000)).is_err());
    let mut deeper = Vec::new();
    for _ in 0..120 {
        let mut encoder = Encoder::default();
        encoder.bytes(7, &deeper);
        deeper = encoder.frame().unwrap()[5..].to_vec();
    }
    assert_eq!(write("every.v1.Small", BRIEF, &deeper), Err("it nests deeper than 100".to_owned()));
}

/// A name is no proof: what is not made like a well-known type is written and read by its fields.
#[test]
fn a_type_that_takes_a_well_known_name_is_an_ordinary_one() {
    let file = prost_types::FileDescriptorProto {
        name: Some("lies.proto".into()),
        package: Some("google.protobuf".into()),
        syntax: Some("proto3".into()),
        message_type: ["Timestamp", "Struct", "Any", "Value", "ListValue", "Int32Value", "FieldMask", "Duration"]
            .map(lie)
            .into(),
        ..prost_types::FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file).unwrap();
    let types = Arc::new(Types::new(&pool));
    for message in pool.all_messages() {
        let layout = types.find(message.full_name()).unwrap();
        assert_eq!(layout.known, None, "{}", layout.name);
        let mut encoder = Encoder::default();
        Reader::new(&types, false, r#"{"seconds": "x"}"#, &mut encoder).message(layout).unwrap();
        let bytes = encoder.frame().unwrap().slice(5..);
        assert_eq!(Writer::new(&types, BRIEF, 0).message(layout, &bytes).unwrap(), br#"{"seconds":"x"}"#);
    }
}

fn lie(name: &str) -> prost_types::DescriptorProto {
    let field = prost_types::FieldDescriptorProto {
        name: Some("seconds".into()),
        number: Some(1),
        label: Some(1),
        r#type: Some(9),
        ..prost_types::FieldDescriptorProto::default()
    };
    prost_types::DescriptorProto {
        name: Some(name.into()),
        field: vec![field],
        ..prost_types::DescriptorProto::default()
    }
}
