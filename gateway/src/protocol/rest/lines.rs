//! A body of lines, cut anywhere, to its lines.

use bytes::{Bytes, BytesMut};

/// Lines that are being read, none longer than a bound.
#[derive(Debug)]
pub(crate) struct Lines {
    read: BytesMut,
    /// Up to here there is no end of a line.
    searched: usize,
    most: usize,
}

/// A line is longer than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    pub(crate) fn new(most: usize) -> Self {
        Self { read: BytesMut::new(), searched: 0, most }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.read.extend_from_slice(bytes);
    }

    /// Returns the length of the longest line that is read.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Tells whether a line was begun.
    pub(crate) fn begun(&self) -> bool {
        !self.read.is_empty()
    }

    /// Returns how many bytes were taken and not returned as lines.
    pub(crate) fn unread(&self) -> usize {
        self.read.len()
    }

    /// Returns the next line that is there and is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let end = self.read[self.searched..].iter().position(|byte| *byte == b'\n');
            let length = end.map_or(self.read.len(), |end| self.searched + end);
            if length > self.most {
                return Err(TooLong);
            }
            if end.is_none() {
                self.searched = length;
                return Ok(None);
            }
            let line = self.read.split_to(length + 1).freeze();
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Returns the last line, which needs no end, if it is not blank.
    pub(crate) fn last(&mut self) -> Option<Bytes> {
        self.searched = 0;
        Some(self.read.split().freeze()).filter(|line| !line.trim_ascii().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &mut dyn Iterator<Item = &[u8]>, most: usize) -> Result<Vec<Bytes>, TooLong> {
        let (mut lines, mut all) = (Lines::new(most), Vec::new());
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next()? {
                all.push(line);
            }
        }
        all.extend(lines.last());
        Ok(all)
    }

    #[test]
    fn a_line_that_never_ends_is_refused() {
        assert_eq!(read(&mut b"aaaaaaaaaa".chunks(3), 8), Err(TooLong));
        assert_eq!(read(&mut b"a\naaaaaaaaaa\n".chunks(20), 8), Err(TooLong));
        assert_eq!(read(&mut b"aaaaaaaa\naaaaaaaa".chunks(3), 8).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn lines_are_read_however_they_are_cut(text in "[ab \r\n]{0,40}", cut in 1usize..10) {
            let wanted: Vec<_> = text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect();
            let all = read(&mut text.as_bytes().chunks(cut), 100).unwrap();
            let trimmed: Vec<_> = all.iter().map(|line| std::str::from_utf8(line).unwrap().trim()).collect();
            prop_assert_eq!(trimmed, wanted);
        }
    }
}
