//! Whether descriptors can be trusted to be what they look like: what links may still lie.

use std::borrow::Cow;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

/// Longest full name, in bytes. Names of people's protos have a tenth of that.
const NAME: usize = 512;

/// Refuses names that no compiler of protos lets through, for they are written to logs, documents and paths; and
/// well-known types that are declared otherwise than protobuf does, for their JSON is written by what they should be.
pub(crate) fn check(pool: &DescriptorPool) -> Result<(), String> {
    for file in pool.files() {
        let name = file.name();
        if name.len() > NAME || name.chars().any(char::is_control) {
            return Err(format!("it has a file of a name that cannot be: {}", clean(name)));
        }
    }
    pool.all_messages().try_for_each(|message| check_message(&message))?;
    pool.all_enums().try_for_each(|all| check_enum(&all))?;
    pool.all_extensions().try_for_each(|extension| check_name(extension.full_name()))?;
    for service in pool.services() {
        check_name(service.full_name())?;
        service.methods().try_for_each(|method| check_name(method.full_name()))?;
    }
    let known = DescriptorPool::global();
    pool.all_messages().filter(|message| message.package_name() == "google.protobuf").try_for_each(|message| {
        known.get_message_by_name(message.full_name()).map_or(Ok(()), |known| check_known(&known, &message))
    })
}

/// Makes text of a stranger fit for a line of a log, and no longer than a few of them.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    const MOST: usize = 500;
    let end = (0..=MOST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if end == text.len() && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let plain = text[..end].chars().flat_map(|c| if is_plain(c) { vec![c] } else { c.escape_default().collect() });
    let cut = if end < text.len() { "…" } else { "" };
    Cow::Owned(plain.collect::<String>() + cut)
}

fn check_message(message: &MessageDescriptor) -> Result<(), String> {
    check_name(message.full_name())?;
    message.fields().try_for_each(|field| check_name(field.full_name()))?;
    message.fields().try_for_each(|field| match field.json_name() {
        name if name.len() > NAME || name.chars().any(char::is_control) => Err(wrong_name(name)),
        _ => Ok(()),
    })?;
    message.oneofs().try_for_each(|oneof| check_name(oneof.full_name()))
}

fn check_enum(all: &EnumDescriptor) -> Result<(), String> {
    check_name(all.full_name())?;
    all.values().try_for_each(|value| check_name(value.full_name()))
}

/// Names are identifiers with dots between (Protocol Buffers language specification, "Lexical elements").
fn check_name(name: &str) -> Result<(), String> {
    let is_identifier = |part: &str| {
        let mut bytes = part.bytes();
        let begins = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if name.len() <= NAME && name.split('.').all(is_identifier) { Ok(()) } else { Err(wrong_name(name)) }
}

fn wrong_name(name: &str) -> String {
    format!("it declares something of a name that cannot be: {}", clean(name))
}

/// Releases of protobuf add fields to the descriptors of descriptors; to no other type, and they change none.
fn check_known(known: &MessageDescriptor, declared: &MessageDescriptor) -> Result<(), String> {
    let grows = known.parent_file().name() == "google/protobuf/descriptor.proto";
    let same = |a: &FieldDescriptor, b: &FieldDescriptor| {
        let shape =
            |field: &FieldDescriptor| (field.name().to_owned(), field.cardinality(), format!("{:?}", field.kind()));
        shape(a) == shape(b)
    };
    let agree =
        known.fields().all(|field| declared.get_field(field.number()).map_or(grows, |other| same(&field, &other)));
    if agree && (grows || known.fields().len() == declared.fields().len()) {
        return Ok(());
    }
    Err(format!("it declares {} otherwise than protobuf does", known.full_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_is_cut_and_without_control_characters() {
        assert_eq!(clean("plain näme"), "plain näme");
        assert_eq!(clean("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
        let long = clean(&"ä".repeat(1_000)).into_owned();
        assert_eq!((long.chars().count(), long.ends_with('…')), (251, true));
    }

    #[test]
    fn names_are_identifiers() {
        for good in ["a", "a.B", "_a.b_1"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(600);
        for bad in ["", "a..b", ".a", "1a", "a-b", "a/b", "a\nb", "ä", "a b", long.as_str()] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn protobuf_agrees_with_itself() {
        assert_eq!(check(&DescriptorPool::global()), Ok(()));
    }
}
