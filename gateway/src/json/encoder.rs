//! Puts a message together: the length of what is nested is known at its end, and stands before it.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::json::{scalar::Scalar, types::Field};

/// A message that is being written. What is written twice is merged by who reads it, as the wire format has it.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// Everything but the lengths of what is nested.
    bytes: Vec<u8>,
    /// Where a length is to stand, and what it is, in the order of the places.
    lengths: Vec<(usize, usize)>,
    /// How many bytes the lengths take that are known.
    added: usize,
}

/// Something nested that was begun.
#[derive(Clone, Copy, Debug)]
#[must_use = "it has to be closed"]
pub(crate) struct Open {
    begin: Mark,
    /// The number, of a group; nothing where a length stands before.
    group: Option<u32>,
}

/// A place to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    lengths: usize,
    added: usize,
}

impl Encoder {
    /// Returns the place where it is.
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), lengths: self.lengths.len(), added: self.added }
    }

    /// Forgets what was written since.
    pub(crate) fn back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.lengths.truncate(mark.lengths);
        self.added = mark.added;
    }

    /// Begins a message in a field.
    pub(crate) fn open_field(&mut self, field: &Field) -> Open {
        if !field.group {
            return self.open(field.number);
        }
        let begin = self.mark();
        self.key(field.number, 3);
        Open { begin, group: Some(field.number) }
    }

    /// Begins a message, an entry of a map, or packed numbers.
    pub(crate) fn open(&mut self, number: u32) -> Open {
        let begin = self.mark();
        self.key(number, 2);
        self.lengths.push((self.bytes.len(), 0));
        Open { begin, group: None }
    }

    /// Ends what was begun last.
    pub(crate) fn close(&mut self, open: Open) {
        if let Some(number) = open.group {
            return self.key(number, 4);
        }
        let (at, length) = &mut self.lengths[open.begin.lengths];
        *length = self.bytes.len() - *at + self.added - open.begin.added;
        self.added += varint_length(*length as u64);
    }

    /// Takes back what was begun last, with all that is in it.
    pub(crate) fn cancel(&mut self, open: Open) {
        self.back(open.begin);
    }

    /// Tells whether nothing was written in what was begun last.
    pub(crate) fn is_empty(&self, open: Open) -> bool {
        self.lengths.get(open.begin.lengths).is_some_and(|(at, _)| *at == self.bytes.len())
    }

    /// Writes a field.
    pub(crate) fn scalar(&mut self, number: u32, scalar: &Scalar<'_>) {
        self.key(number, scalar.wire_type());
        self.packed(scalar);
    }

    /// Writes a value without its key, as in packed numbers.
    pub(crate) fn packed(&mut self, scalar: &Scalar<'_>) {
        match scalar {
            Scalar::Varint(value) => self.varint(*value),
            Scalar::Fixed32(value) => self.bytes.extend_from_slice(&value.to_le_bytes()),
            Scalar::Fixed64(value) => self.bytes.extend_from_slice(&value.to_le_bytes()),
            Scalar::Text(text) => self.block(text.as_bytes()),
            Scalar::Bytes(bytes) => self.block(bytes),
        }
    }

    /// Writes a field of bytes.
    pub(crate) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.key(number, 2);
        self.block(bytes);
    }

    /// Returns the message in a gRPC frame (gRPC over HTTP/2, "Length-Prefixed-Message"); nothing if it is larger than
    /// 4 GiB.
    pub(crate) fn frame(&self) -> Option<Bytes> {
        let length = self.bytes.len() + self.added;
        let mut frame = BytesMut::with_capacity(5 + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).ok()?);
        let mut from = 0;
        for &(at, length) in &self.lengths {
            frame.extend_from_slice(&self.bytes[from..at]);
            put_varint(&mut frame, length as u64);
            from = at;
        }
        frame.extend_from_slice(&self.bytes[from..]);
        Some(frame.freeze())
    }

    fn block(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn key(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    fn varint(&mut self, value: u64) {
        put_varint(&mut self.bytes, value);
    }
}

fn put_varint(bytes: &mut impl bytes::BufMut, mut value: u64) {
    while value >= 0x80 {
        bytes.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.put_u8((value & 0x7f) as u8);
}

fn varint_length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_the_lengths_within() {
        let mut encoder = Encoder::default();
        let outer = encoder.open(1);
        let inner = encoder.open(2);
        encoder.bytes(3, &[b'a'; 200]);
        encoder.close(inner);
        let gone = encoder.open(4);
        encoder.bytes(3, b"gone");
        encoder.cancel(gone);
        encoder.scalar(5, &Scalar::Varint(300));
        encoder.close(outer);
        let frame = encoder.frame().unwrap();
        let text = [&[0x1a, 200, 1][..], &[b'a'; 200]].concat();
        let inner = [&[0x12, 203, 1][..], &text, &[0x28, 0xac, 2]].concat();
        assert_eq!(frame[5..], [&[0x0a, 209, 1][..], &inner].concat());
        assert_eq!(frame[..5], [0, 0, 0, 0, 212]);
    }

    #[test]
    fn a_varint_is_as_long_as_it_is_said_to_be() {
        for value in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1]).chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_length(value), "{value}");
        }
    }
}
