//! A field of a request by which calls are hashed: named in a proto, found in the bytes of a message.

use std::{borrow::Cow, collections::HashMap, fmt};

use prost::encoding::{WireType, decode_key, decode_varint};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Messages that a field may be in.
const DEPTH: usize = 4;

/// A field of a request message, by the numbers of the fields that lead to it: `1`, or `2.1` for field 1 of the message
/// that is field 2; at most four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashField {
    /// None is zero but those past the end.
    numbers: [u32; DEPTH],
}

/// The fields of messages, by the full name of the message (`.pkg.Message`) and the name of the field: its number, and the
/// message that it holds, if it does.
pub(crate) type Fields<'a> = HashMap<(String, &'a str), (u32, &'a str)>;

impl HashField {
    fn new(numbers: &[u32]) -> Option<Self> {
        let valid = !numbers.is_empty() && numbers.len() <= DEPTH && !numbers.contains(&0);
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        valid.then(|| Self { numbers: std::array::from_fn(number) })
    }

    /// Finds a field by names with dots between, from a message on.
    ///
    /// # Errors
    ///
    /// Says which name is none.
    pub(crate) fn named(names: &str, message: &str, fields: &Fields<'_>) -> Result<Self, String> {
        let (mut numbers, mut message) = (Vec::new(), message);
        for name in names.split('.') {
            let found = fields.get(&(message.to_owned(), name));
            let (number, below) =
                found.ok_or_else(|| format!("{} has no field {name:?}", message.trim_start_matches('.')))?;
            numbers.push(*number);
            message = below;
        }
        Self::new(&numbers).ok_or_else(|| format!("{names:?} leads through more than {DEPTH} messages"))
    }

    /// Returns the bytes of the field in an encoded message: without length, and as they are for numbers. Nothing if the
    /// message has none, or cannot be read. Of several the last, as proto3 has it.
    pub(crate) fn find(self, message: &[u8]) -> Option<&[u8]> {
        let numbers = self.numbers.into_iter().take_while(|number| *number != 0);
        let mut found = message;
        for number in numbers {
            found = field(found, number)?;
        }
        Some(found)
    }
}

/// Returns the last field of that number.
fn field(mut message: &[u8], number: u32) -> Option<&[u8]> {
    let mut found = None;
    while !message.is_empty() {
        let (tag, kind) = decode_key(&mut message).ok()?;
        let mut rest = message;
        let length = match kind {
            WireType::Varint => {
                decode_varint(&mut rest).ok()?;
                message.len() - rest.len()
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = decode_varint(&mut message).ok()?;
                usize::try_from(length).ok()?
            }
            // Groups are of proto2, and of no request here.
            WireType::StartGroup | WireType::EndGroup => return found,
        };
        let value = message.get(..length)?;
        message = &message[length..];
        if tag == number {
            found = Some(value);
        }
    }
    found
}

impl fmt::Display for HashField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers.iter().filter(|number| **number != 0).map(u32::to_string);
        f.write_str(&numbers.collect::<Vec<_>>().join("."))
    }
}

impl Serialize for HashField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HashField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        let field = numbers.and_then(|numbers| Self::new(&numbers));
        field.ok_or_else(|| D::Error::custom(format!("{text:?} is no path of field numbers, such as \"1\" or \"2.1\"")))
    }
}

impl JsonSchema for HashField {
    fn schema_name() -> Cow<'static, str> {
        "HashField".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The numbers of the fields that lead to it: `1`, or `2.1` for field 1 of the message that is field 2.",
            "type": "string",
            "pattern": "^[1-9][0-9]*([.][1-9][0-9]*){0,3}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    #[derive(prost::Message)]
    struct Outer {
        #[prost(uint64, tag = "1")]
        number: u64,
        #[prost(string, tag = "2")]
        text: String,
        #[prost(message, optional, tag = "3")]
        inner: Option<Inner>,
        #[prost(fixed32, tag = "4")]
        fixed: u32,
        #[prost(fixed64, tag = "5")]
        long: u64,
    }

    #[derive(prost::Message)]
    struct Inner {
        #[prost(string, tag = "7")]
        text: String,
    }

    fn at(numbers: &[u32]) -> HashField {
        HashField::new(numbers).unwrap()
    }

    #[test]
    fn a_field_is_found_wherever_it_stands() {
        let inner = Some(Inner { text: "deep".into() });
        let bytes = Outer { number: 300, text: "top".into(), inner, fixed: 7, long: 8 }.encode_to_vec();
        for (numbers, found) in [
            (&[2][..], Some(&b"top"[..])),
            (&[1], Some(&[0xac, 0x02])),
            (&[3, 7], Some(b"deep")),
            (&[4], Some(&[7, 0, 0, 0])),
            (&[5], Some(&[8, 0, 0, 0, 0, 0, 0, 0])),
            (&[6], None),
            (&[3, 6], None),
            (&[2, 1], None),
        ] {
            assert_eq!(at(numbers).find(&bytes), found, "{numbers:?}");
        }
        let twice = [bytes, Outer { text: "last".into(), ..Outer::default() }.encode_to_vec()].concat();
        assert_eq!(at(&[2]).find(&twice), Some(&b"last"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad_to_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..60), number in 1u32..20) {
            let found = at(&[number, 1]).find(&bytes);
            prop_assert!(found.is_none_or(|found| found.len() <= bytes.len()));
        }
    }

    #[test]
    fn it_is_written_as_numbers() {
        let read = |text: &str| serde_json::from_str::<HashField>(&format!("{text:?}"));
        assert_eq!(read("2.1").unwrap(), at(&[2, 1]));
        assert_eq!(serde_json::to_value(at(&[2, 1])).unwrap(), "2.1");
        for bad in ["", "0", "1.", "a", "1.2.3.4.5", "-1"] {
            assert!(read(bad).unwrap_err().to_string().contains("field numbers"), "{bad}");
        }
    }
}
