//! Base64 as gRPC-Web's text mode has it: pieces, each padded or not, one after the other, cut anywhere.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A text is no base64, or ends in the middle of a group of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadBase64;

/// Decodes a stream; keeps what is left of a group of four letters between chunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    left: Vec<u8>,
}

impl Decoder {
    /// Decodes the next chunk as far as it goes.
    pub(crate) fn push(&mut self, chunk: &[u8], decoded: &mut Vec<u8>) -> Result<(), BadBase64> {
        let mut text = std::mem::take(&mut self.left);
        text.extend_from_slice(chunk);
        let whole = text.len() - text.len() % 4;
        let mut begin = 0;
        for end in (4..=whole).step_by(4) {
            // Padding ends a piece; another may follow.
            if text[end - 1] == b'=' || end == whole {
                STANDARD.decode_vec(&text[begin..end], decoded).map_err(|_| BadBase64)?;
                begin = end;
            }
        }
        self.left = text.split_off(whole);
        Ok(())
    }

    /// Ends the stream.
    pub(crate) fn finish(self) -> Result<(), BadBase64> {
        if self.left.is_empty() { Ok(()) } else { Err(BadBase64) }
    }
}

/// Encodes one piece, padded.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    STANDARD.encode(bytes).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, BadBase64> {
        let (mut decoder, mut decoded) = (Decoder::default(), Vec::new());
        for chunk in chunks {
            decoder.push(chunk, &mut decoded)?;
        }
        decoder.finish().map(|()| decoded)
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in ["AAA", "AA=A", "AA*A", "A===", "AAAA=", "-_-_"] {
            assert_eq!(decode(std::iter::once(bad.as_bytes())), Err(BadBase64), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_read_back_however_they_are_padded_and_cut(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            cut in 1usize..9,
        ) {
            let text: Vec<u8> = pieces.iter().flat_map(|piece| encode(piece)).collect();
            prop_assert_eq!(decode(text.chunks(cut)).unwrap(), pieces.concat());
        }

        #[test]
        fn no_bytes_can_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..40), cut in 1usize..9) {
            prop_assert_eq!(decode(bytes.chunks(cut)).is_ok(), decode(std::iter::once(&bytes[..])).is_ok());
        }
    }
}
