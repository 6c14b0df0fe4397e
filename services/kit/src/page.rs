//! Fills a page of a list (AIP-158).

use std::ops::ControlFlow;

/// Bytes after which a page is full: well below the 4 MiB that a message may have.
const MOST_BYTES: usize = 2 << 20;

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Leads to the next page; empty if this one is the last.
    pub next_token: String,
}

/// A page that is filled row by row: with so many rows, or as many as fit into a message, and never with none if there is
/// one.
#[derive(Debug)]
pub(crate) struct Filling<R, T> {
    size: usize,
    taken: Vec<T>,
    bytes: usize,
    last: Option<R>,
    /// A row came that did not fit.
    more: bool,
}

impl<R, T> Filling<R, T> {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, taken: Vec::new(), bytes: 0, last: None, more: false }
    }

    /// Takes a row and what was made of it, which has about so many bytes on the wire; nothing more if it does not fit.
    /// Whoever reads one row more than the page has reads on to the end: a connection in the middle of an answer is lost.
    pub(crate) fn take(&mut self, row: R, value: T, bytes: usize) -> ControlFlow<()> {
        if self.taken.len() == self.size {
            self.more = true;
            return ControlFlow::Continue(());
        }
        let fits = self.taken.is_empty() || self.bytes + bytes <= MOST_BYTES;
        if !fits {
            self.more = true;
            return ControlFlow::Break(());
        }
        self.bytes += bytes;
        self.taken.push(value);
        self.last = Some(row);
        ControlFlow::Continue(())
    }

    /// Returns what was made of the rows, and, if more rows follow, the last row that was taken.
    pub(crate) fn finish(self) -> (Vec<T>, Option<R>) {
        (self.taken, self.last.filter(|_| self.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of so many bytes, each worth its place.
    fn filled(size: usize, rows: &[usize]) -> (usize, Option<usize>) {
        let mut filling = Filling::new(size);
        let all = rows.iter().enumerate().try_for_each(|(place, bytes)| filling.take(place, place, *bytes));
        let (taken, last) = filling.finish();
        assert_eq!(last.is_none(), taken.len() == rows.len());
        assert_eq!(all.is_continue(), last.is_none() || taken.len() == size);
        assert_eq!(taken, (0..taken.len()).collect::<Vec<_>>());
        (taken.len(), last)
    }

    #[test]
    fn a_page_ends_at_its_size_and_tells_whether_another_follows() {
        assert_eq!(filled(2, &[]), (0, None));
        assert_eq!(filled(2, &[1, 1]), (2, None));
        assert_eq!(filled(2, &[1, 1, 1]), (2, Some(1)));
    }

    #[test]
    fn a_page_ends_before_it_outgrows_a_message_but_is_never_empty() {
        assert_eq!(filled(100, &[3 << 20, 10]), (1, Some(0)));
        assert_eq!(filled(100, &[1 << 20, 1 << 20, 1]), (2, Some(1)));
        assert_eq!(filled(100, &[3 << 20]), (1, None));
    }
}
