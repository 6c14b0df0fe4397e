//! The entry points under properties, and over the seeds of the fuzzers.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*};

/// The name of a fuzzer, and where it enters.
type Entry = (&'static str, fn(&[u8]));

/// Every seed, whatever a fuzzer found since among them.
#[test]
fn seeds_hold() {
    let entries: [Entry; 5] = [
        ("frames", super::frames),
        ("template", super::template),
        ("query", super::query),
        ("json", super::json),
        ("answer", super::answer),
    ];
    for (name, entry) in entries {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| entry(&fs::read(seed).unwrap()));
    }
}

#[test]
fn every_entry_point_has_a_fuzzer() {
    for name in ["frames", "template", "query", "json", "answer"] {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets").join(name).with_extension("rs");
        let text = fs::read_to_string(&target).unwrap_or_default();
        assert!(text.contains(&format!("selvedge_gateway::fuzzing::{name}(")), "{}", target.display());
    }
}

/// JSON that is nearly a message: names of fields before values of any kind.
fn nearly() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|-?[0-9]{1,20}|-?[0-9]{1,3}[.][0-9]{1,9}|-?[0-9]e-?[0-9]{1,3}",
        r#""[A-Za-z0-9+/=:.,TZ-]{0,24}""#,
        r#""(NaN|-?Infinity|COLOR_RED|-2|1[.]5s|2020-02-29T23:59:59[.]5Z|string,inner[.]text)""#,
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let names =
            "double|float|s?int(32|64)|uint64|bool|string|bytes|color|inners?|strings|longs|time|text|numbers|[a-z]{3}";
        let object = vec((names, inner.clone()), 0..4)
            .prop_map(|fields| {
                fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>()
            })
            .prop_map(|fields| format!("{{{}}}", fields.join(",")));
        let list = vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(",")));
        prop_oneof![3 => object, 1 => list]
    })
}

proptest! {
    #[test]
    fn any_bytes_hold_as_frames(bytes in vec(any::<u8>(), 0..60)) {
        super::frames(&bytes);
    }

    #[test]
    fn real_frames_hold(cut in any::<u8>(), sent in vec(vec(any::<u8>(), 0..20), 0..4), left in vec(any::<u8>(), 0..6)) {
        let frame = |message: &Vec<u8>| [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], &message[..]].concat();
        super::frames(&[vec![cut], sent.iter().flat_map(frame).collect(), left].concat());
    }

    #[test]
    fn any_text_holds_as_a_template(text in "(/([a-z%2Ff]{1,4}|[*]{1,2}|\\{[a-z.]{1,3}(=[a-z*]{1,2}(/[*]{1,2})?)?\\})){1,4}(:[a-z%]{1,3})?(\n/\\PC{0,9})?|\\PC{0,30}") {
        super::template(text.as_bytes());
    }

    #[test]
    fn any_text_holds_as_a_query(text in "((double|float|int64|bool|string|bytes|color|inner[.]text|longs|time)=[-+.0-9a-zA-Z%_:]{0,12}&?){0,3}|\\PC{0,30}") {
        super::query(text.as_bytes());
    }

    #[test]
    fn any_bytes_hold_as_an_answer(bytes in vec(any::<u8>(), 0..40)) {
        super::answer(&bytes);
    }

    /// Fields that there are, with values that may be of their wire type.
    #[test]
    fn nearly_a_message_holds_as_an_answer(fields in vec((1..40u8, 0..3u8, vec(any::<u8>(), 0..9)), 0..6)) {
        let field = |(number, wire_type, value): &(u8, u8, Vec<u8>)| {
            let key = u16::from(*number) << 3 | [0, 2, 5][usize::from(*wire_type)];
            let key = [0x80 | key.to_le_bytes()[0], (key >> 7).to_le_bytes()[0]];
            match wire_type {
                0 => [&key[..], &[u8::try_from(value.len()).unwrap()]].concat(),
                1 => [&key[..], &[u8::try_from(value.len()).unwrap()], value].concat(),
                _ => [&key[..], &[0, 1, 2, 3]].concat(),
            }
        };
        super::answer(&fields.iter().flat_map(field).collect::<Vec<_>>());
    }

    #[test]
    fn any_json_holds(text in prop_oneof![nearly(), ".{0,40}"]) {
        super::json(text.as_bytes());
    }
}
