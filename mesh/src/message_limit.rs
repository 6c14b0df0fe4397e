//! Watches a body of gRPC frames go by, and stops one that is larger than the limit.

/// Reads the five-byte prefixes of messages in a stream of bytes, without keeping or copying any.
#[derive(Clone, Debug)]
pub(crate) struct MessageLimit {
    limit: usize,
    prefix: [u8; 5],
    have: usize,
    left: usize,
}

/// A message was announced that is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) size: usize,
    pub(crate) limit: usize,
}

impl MessageLimit {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; 5], have: 0, left: 0 }
    }

    /// Takes note of the next bytes of the body; returns how many of them belong to messages, and not to prefixes.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> Result<usize, TooLarge> {
        let mut messages = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = self.left.min(bytes.len());
                self.left -= skip;
                messages += skip;
                bytes = &bytes[skip..];
                continue;
            }
            let take = (5 - self.have).min(bytes.len());
            self.prefix[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == 5 {
                self.begin()?;
            }
        }
        Ok(messages)
    }

    fn begin(&mut self) -> Result<(), TooLarge> {
        let [_, a, b, c, d] = self.prefix;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        self.have = 0;
        self.left = size;
        if size > self.limit { Err(TooLarge { size, limit: self.limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(sizes: &[usize]) -> Vec<u8> {
        let frame = |size: &usize| {
            let mut bytes = vec![0];
            bytes.extend(u32::try_from(*size).unwrap().to_be_bytes());
            bytes.resize(5 + size, 7);
            bytes
        };
        sizes.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn a_message_over_the_limit_is_found_however_the_bytes_are_cut(
            sizes in proptest::collection::vec(0usize..40, 0..8),
            cut in 1usize..9,
        ) {
            let mut watch = MessageLimit::new(30);
            let found = frames(&sizes).chunks(cut).find_map(|chunk| watch.pass(chunk).err());
            let large = sizes.iter().find(|size| **size > 30);
            prop_assert_eq!(found.map(|f| f.size), large.copied());
        }
    }
}
