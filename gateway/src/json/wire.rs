//! The wire format of protobuf (protobuf.dev, "Encoding"), read field by field.

/// How deep messages, groups and entries of maps may nest: parsers of protobuf take no message deeper than this.
pub(crate) const DEEPEST: usize = 100;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("its bytes break off within a field")]
    BrokenOff,
    #[error("a number of its bytes takes more than 10 bytes")]
    Varint,
    #[error("a field has the number 0, or none that a field can have")]
    Number,
    #[error("a field is of a wire type that there is none of")]
    WireType,
    #[error("a group does not end where it should")]
    Group,
    #[error("it nests deeper than {DEEPEST}")]
    Depth,
}

/// The value of one field, as it lies on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'w> {
    Varint(u64),
    Fixed64(u64),
    /// A text, bytes, a message or packed numbers.
    Bytes(&'w [u8]),
    /// What stands between the start and the end of a group.
    Group(&'w [u8]),
    Fixed32(u32),
}

/// What is left to read of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'w> {
    rest: &'w [u8],
}

impl<'w> Fields<'w> {
    pub(crate) fn new(message: &'w [u8]) -> Self {
        Self { rest: message }
    }

    /// Reads the next field.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'w>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            3 => Value::Group(self.group(number, 1)?),
            4 => return Err(Malformed::Group),
            other => self.plain(other)?,
        };
        Ok(Some((number, value)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == 9 && byte > 1 {
                    return Err(Malformed::Varint);
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { Malformed::BrokenOff } else { Malformed::Varint })
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::Number)?;
        match key >> 3 {
            0 => Err(Malformed::Number),
            number => Ok((number, (key & 7) as u8)),
        }
    }

    fn plain(&mut self, wire_type: u8) -> Result<Value<'w>, Malformed> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::BrokenOff)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.fixed32()?),
            _ => return Err(Malformed::WireType),
        })
    }

    /// Reads to the end of a group that has begun, and returns what is within.
    fn group(&mut self, number: u32, depth: usize) -> Result<&'w [u8], Malformed> {
        if depth > DEEPEST {
            return Err(Malformed::Depth);
        }
        let whole = self.rest;
        loop {
            let before = self.rest.len();
            match self.key()? {
                (inner, 3) => _ = self.group(inner, depth + 1)?,
                (end, 4) if end == number => return Ok(&whole[..whole.len() - before]),
                (_, 4) => return Err(Malformed::Group),
                (_, other) => _ = self.plain(other)?,
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'w [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::BrokenOff)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::BrokenOff)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        let mut fields = Fields::new(bytes);
        std::iter::from_fn(|| fields.next().transpose()).collect()
    }

    #[test]
    fn each_wire_type_is_read() {
        let bytes =
            [&[0x08, 0x96, 0x01][..], &[0x11, 1, 0, 0, 0, 0, 0, 0, 0], &[0x1a, 2, b'h', b'i'], &[0x25, 2, 0, 0, 0]];
        let wanted =
            [(1, Value::Varint(150)), (2, Value::Fixed64(1)), (3, Value::Bytes(b"hi")), (4, Value::Fixed32(2))];
        assert_eq!(all(&bytes.concat()).unwrap(), wanted);
        // A group in a group, and a field after both.
        let nested = [0x0b, 0x13, 0x08, 1, 0x14, 0x0c, 0x18, 2];
        assert_eq!(all(&nested).unwrap(), [(1, Value::Group(&nested[1..5])), (3, Value::Varint(2))]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, wanted) in [
            (&[0x08][..], Malformed::BrokenOff),
            (&[0x08, 0x80], Malformed::BrokenOff),
            (&[0x0a, 2, 0], Malformed::BrokenOff),
            (&[0x0d, 0, 0, 0], Malformed::BrokenOff),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], Malformed::Varint),
            (&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], Malformed::Varint),
            (&[0x00, 0], Malformed::Number),
            (&[0x0e], Malformed::WireType),
            (&[0x0c], Malformed::Group),
            (&[0x0b, 0x14], Malformed::Group),
            (&[0x0b], Malformed::BrokenOff),
            (&[0x0b; 200], Malformed::Depth),
        ] {
            assert_eq!(all(bytes), Err(wanted), "{bytes:?}");
        }
    }
}
