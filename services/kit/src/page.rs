//! Fills a page of a list (AIP-158).

use std::pin::pin;

use futures::{Stream, TryStreamExt as _};

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

/// Takes rows until the page is full, which is never before the first: `size` of them, or as many as fit into a
/// message. `read` makes something of a row, and says about how many bytes that has on the wire.
///
/// Returns what was made, and, if more rows follow, the last row that was taken.
///
/// # Errors
///
/// The first of the rows, or of `read`.
pub(crate) async fn fill<R, T, E>(
    size: usize,
    rows: impl Stream<Item = Result<R, E>>,
    read: impl Fn(&R) -> Result<(usize, T), E>,
) -> Result<(Vec<T>, Option<R>), E> {
    let mut rows = pin!(rows);
    let (mut taken, mut bytes, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.try_next().await? {
        let (more, value) = read(&row)?;
        let fits = taken.is_empty() || bytes + more <= MOST_BYTES;
        if taken.len() == size || !fits {
            return Ok((taken, last));
        }
        bytes += more;
        taken.push(value);
        last = Some(row);
    }
    Ok((taken, None))
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, stream};

    use super::*;

    /// Rows of so many bytes, each worth its place.
    fn filled(size: usize, rows: &[usize]) -> (usize, Option<usize>) {
        let rows = rows.iter().copied().enumerate().map(Ok::<_, ()>);
        let (taken, last) = block_on(fill(size, stream::iter(rows), |&(place, bytes)| Ok((bytes, place)))).unwrap();
        assert_eq!(taken, (0..taken.len()).collect::<Vec<_>>());
        (taken.len(), last.map(|(place, _)| place))
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
