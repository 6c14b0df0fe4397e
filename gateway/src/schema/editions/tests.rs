use prost_reflect::MessageDescriptor;
use prost_types::{FileDescriptorProto, field_descriptor_proto::Label};

use super::*;
use crate::{
    json::{Encoder, Reader, Settings, Types, Writer},
    schema::{Files, Learned, RawSet},
};

/// Sets that `buf build` made of the files beside them.
const EDITION: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/edition/v1/edition.binpb"));
const LEGACY: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/edition/v1/legacy.binpb"));
const MIXED: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/edition/v1/mixed.binpb"));

const SETTINGS: Settings = Settings {
    ignore_unknown_fields: false,
    always_print_fields_with_no_presence: false,
    preserve_proto_field_names: false,
    always_print_enums_as_ints: false,
    response_metadata: false,
};

fn learned(set: &[u8], service: &str) -> Result<Learned, String> {
    Learned::new("echo", None, 0, Files::from_sets(&[set], &[service]).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What JSON becomes on the wire, or what is wrong with it.
fn read(types: &Types, message: &MessageDescriptor, json: &str) -> Result<String, String> {
    let mut encoder = Encoder::default();
    let layout = types.find(message.full_name()).unwrap();
    Reader::new(types, false, json, &mut encoder).message(layout).map_err(|wrong| format!("{wrong:?}"))?;
    Ok(hex(&encoder.frame().unwrap()[5..]))
}

fn write(types: &Types, message: &MessageDescriptor, settings: Settings, wire: &str) -> String {
    let wire = unhex(wire);
    let writer = Writer::new(types, settings, wire.len());
    String::from_utf8(writer.message(types.find(message.full_name()).unwrap(), &wire).unwrap()).unwrap()
}

/// What Python's protobuf 7.36 makes of the same JSON and the same bytes.
const EVERYTHING: &[(&str, &str)] = &[
    (r#"{"present":""}"#, "0a00"),
    (r#"{"absent":"a"}"#, "120161"),
    (r#"{"needed":0}"#, "1800"),
    (r#"{"preset":0}"#, "2000"),
    (r#"{"preset":7}"#, "2007"),
    (r#"{"packed":[1,2]}"#, "2a020102"),
    (r#"{"expanded":[1,2]}"#, "30013002"),
    (r#"{"inner":{"number":1}}"#, "3a020801"),
    (r#"{"delimited":{"number":1}}"#, "43080144"),
    (r#"{"manyDelimited":[{"number":1},{}]}"#, "4b08014c4b4c"),
    (r#"{"inners":{"a":{"number":1}}}"#, "52070a016112020801"),
    (r#"{"open":5}"#, "5805"),
    (r#"{"closed":"CLOSED_ONE"}"#, "6001"),
    (r#"{"manyClosed":["CLOSED_ONE","CLOSED_UNSPECIFIED"]}"#, "6a020100"),
    (r#"{"text":""}"#, "7200"),
    (r#"{"otherwise":{}}"#, "820100"),
    (r#"{"otherwise":{"present":""}}"#, "8201021200"),
    (r#"{"otherwise":{"expanded":[true,true]}}"#, "82010418011801"),
    (r#"{"otherwise":{"packed":[true]}}"#, "820103220101"),
    (r#"{"otherwise":{"delimited":{"number":1}}}"#, "8201042b08012c"),
    (r#"{"otherwise":{"parts":{"a":{"number":1}}}}"#, "82010932070a016112020801"),
    (r#"{"otherwise":{"closed":"KIND_ONE"}}"#, "8201023801"),
];

#[test]
fn what_an_edition_says_by_features_holds_in_json_and_on_the_wire() {
    let learned = learned(EDITION, "edition.v1.EchoService").unwrap();
    let (types, message) =
        (Types::new(&learned.pool), learned.pool.get_message_by_name("edition.v1.Everything").unwrap());
    for (json, wire) in EVERYTHING {
        assert_eq!(read(&types, &message, json).as_deref(), Ok(*wire), "{json}");
        assert_eq!(write(&types, &message, SETTINGS, wire), *json, "{wire}");
    }
    // What has no presence is not there when it is empty; a number that a closed enum lacks is an unknown field.
    assert_eq!(read(&types, &message, r#"{"absent":""}"#).as_deref(), Ok(""));
    for (wire, json) in
        [("6005", "{}"), ("6a020105", r#"{"manyClosed":["CLOSED_ONE"]}"#), ("8201023805", r#"{"otherwise":{}}"#)]
    {
        assert_eq!(write(&types, &message, SETTINGS, wire), json, "{wire}");
    }
    let zeros = Settings { always_print_fields_with_no_presence: true, ..SETTINGS };
    let written = write(&types, &message, zeros, "");
    assert_eq!(written, r#"{"absent":"","packed":[],"expanded":[],"manyDelimited":[],"inners":{},"manyClosed":[]}"#);
    // An option that no pool knows by itself is kept.
    let bound = &learned.bound("edition.v1.EchoService")[0];
    assert_eq!((bound.bindings[0].http.as_str(), bound.bindings[0].text.as_str()), ("POST", "/v1/echo"));
}

#[test]
fn a_file_that_begins_an_enum_otherwise_becomes_proto2() {
    let learned = learned(LEGACY, "edition.v1.LegacyService").unwrap();
    let (types, message) = (Types::new(&learned.pool), learned.pool.get_message_by_name("edition.v1.Legacy").unwrap());
    for (json, wire) in
        [(r#"{"level":"LEVEL_HIGH"}"#, "0802"), (r#"{"numbers":[1,2]}"#, "10011002"), (r#"{"kind":5}"#, "1805")]
    {
        assert_eq!(read(&types, &message, json).as_deref(), Ok(wire), "{json}");
        assert_eq!(write(&types, &message, SETTINGS, wire), json, "{wire}");
    }
    assert_eq!(write(&types, &message, SETTINGS, "0805"), "{}", "a closed enum has no 5");
}

#[test]
fn what_neither_can_say_is_refused_with_a_reason() {
    let why = learned(MIXED, "edition.v1.MixedService").unwrap_err();
    for part in ["edition/v1/mixed.proto", ".edition.v1.Mixed.Level", ".edition.v1.Mixed.absent"] {
        assert!(why.contains(part), "{part}: {why}");
    }
}

fn files(set: &[u8]) -> Vec<Bytes> {
    RawSet::decode(set).unwrap().file
}

#[test]
fn a_file_of_an_edition_to_come_is_refused_and_any_other_file_is_as_it_was() {
    for file in files(EDITION) {
        let of_edition = Said::decode(file.clone()).unwrap().edition.is_some();
        assert_eq!(linkable(&file).unwrap() == file, !of_edition);
        if of_edition {
            let later = [&file[..], &[0x70, 0xea, 0x07]].concat();
            let why = linkable(&Bytes::from(later)).unwrap_err();
            assert!(why.contains("edition 1002") && why.contains("2023 and 2024"), "{why}");
        }
    }
}

#[test]
fn what_is_required_is_required_in_the_older_words() {
    let file = files(EDITION).into_iter().find(|file| linkable(file).unwrap() != *file && file.len() > 900).unwrap();
    let file = FileDescriptorProto::decode(linkable(&file).unwrap()).unwrap();
    let needed = file.message_type.iter().flat_map(|message| &message.field).find(|field| field.name() == "needed");
    assert_eq!(needed.unwrap().label(), Label::Required);
}
