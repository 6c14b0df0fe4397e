//! Counts what descriptors hold before they are decoded: two bytes can declare a message of hundreds.

/// How deep is counted: as deep as protobuf's decoders go.
const DEPTH: usize = 100;

/// Returns how many fields there are in the encoding of a message, those of inner messages included. It is never less
/// than what a decoder would make of it, and more where text looks like a message; each byte is looked at once.
pub(crate) fn fields(message: &[u8]) -> usize {
    let (mut counted, mut bytes) = (0, message);
    while !bytes.is_empty() {
        counted += 1;
        match field(&mut bytes, DEPTH) {
            Some(inner) => counted += inner,
            None => return counted,
        }
    }
    counted
}

/// Passes one field. Returns how many there are within, or nothing where a decoder would stop.
fn field(bytes: &mut &[u8], depth: usize) -> Option<usize> {
    match varint(bytes)? & 7 {
        0 => varint(bytes).map(|_| 0),
        1 => skip(bytes, 8).map(|_| 0),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let mut inner = skip(bytes, length)?;
            let (mut counted, depth) = (0, depth.saturating_sub(1));
            while !inner.is_empty() && depth > 0 {
                counted += 1;
                let Some(more) = field(&mut inner, depth) else { break };
                counted += more;
            }
            Some(counted)
        }
        // Groups, which descriptors have none of: their fields follow one by one.
        3 | 4 => Some(0),
        5 => skip(bytes, 4).map(|_| 0),
        _ => None,
    }
}

fn skip<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (skipped, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(skipped)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use prost_types::{DescriptorProto, FileDescriptorProto};

    use super::*;

    #[test]
    fn what_is_declared_is_counted_at_every_level() {
        let mut inner = DescriptorProto::default();
        for _ in 0..5 {
            inner = DescriptorProto { nested_type: vec![inner; 3], ..DescriptorProto::default() };
        }
        let file = FileDescriptorProto { message_type: vec![inner], ..FileDescriptorProto::default() };
        assert_eq!(fields(&file.encode_to_vec()), 1 + 3 + 9 + 27 + 81 + 243);
    }

    /// A decoder makes messages of what comes before the end that breaks.
    #[test]
    fn what_breaks_off_counts_up_to_there() {
        let empty = [0x22, 0x00].repeat(1_000);
        assert_eq!(fields(&empty), 1_000);
        assert_eq!(fields(&[&empty[..], &[0xff]].concat()), 1_001);
        let mut nested = [&empty[..], &[0x07]].concat();
        for _ in 0..50 {
            let length = nested.len();
            let mut outer = vec![0x1a];
            prost::encoding::encode_varint(length as u64, &mut outer);
            outer.append(&mut nested);
            nested = outer;
        }
        assert_eq!(fields(&nested), 1_051);
    }

    proptest! {
        #[test]
        fn no_bytes_can_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes) <= bytes.len());
        }
    }
}
