//! Pages of a list (AIP-158): how large, where they begin, and the token that leads to the next.
//!
//! A list is walked by sequence number, in the order of creation. So a walk shows every row that was there all the
//! time exactly once, whatever comes or goes meanwhile.

use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::{token, violation::Violations};

/// Rows of a page for which the caller named no size.
const DEFAULT_SIZE: usize = 50;
/// Rows of the largest page.
const MOST_ROWS: usize = 1_000;
/// Bytes after which a page is full: well below the 4 MiB that a message may have.
const MOST_BYTES: usize = 2 << 20;
/// What page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The most rows: 1 to 1000.
    pub size: usize,
    /// Rows up to this sequence number were shown already.
    pub after: i64,
}

/// Where a walk goes on; what a token holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    after: i64,
}

impl Request {
    /// Reads `page_size` and `page_token` of the list of a kind of resource.
    ///
    /// # Errors
    ///
    /// Violations of `page_size` and `page_token`: a size below 0, or a token that this list never gave.
    pub fn read(kind: &str, size: i32, token: &str) -> Result<Self, Violations> {
        let mut violations = Violations::new();
        let size = usize::try_from(size).map_err(|_| "must not be negative".to_owned());
        let size = violations.check("page_size", size).unwrap_or_default();
        let after = if token.is_empty() { Some(0) } else { open(kind, token) };
        let refusal = || "is not a token that this list gave: leave it out to begin again".to_owned();
        let after = violations.check("page_token", after.ok_or_else(refusal)).unwrap_or_default();
        violations.finish()?;
        let size = if size == 0 { DEFAULT_SIZE } else { size.min(MOST_ROWS) };
        Ok(Self { size, after })
    }

    /// Returns how many rows to read: one more than the page has, to learn whether another page follows.
    #[must_use]
    pub fn rows_to_read(self) -> i64 {
        i64::try_from(self.size + 1).expect("a page has at most 1000 rows")
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    kind: &'static str,
    request: Request,
    bytes: usize,
    last: i64,
    full: bool,
    /// The rows.
    pub rows: Vec<T>,
}

impl<T> Page<T> {
    /// Fills a page of the list of a kind of resource from its rows, in the order of their sequence numbers. `measure`
    /// returns the sequence number of a row and about how many bytes it has on the wire.
    ///
    /// # Errors
    ///
    /// The first of the rows.
    pub async fn fill<E>(
        kind: &'static str,
        request: Request,
        rows: impl Stream<Item = Result<T, E>>,
        measure: impl Fn(&T) -> (i64, usize),
    ) -> Result<Self, E> {
        let mut page = Self::new(kind, request);
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            let (sequence, bytes) = measure(&row);
            if !page.take(row, sequence, bytes) {
                break;
            }
        }
        Ok(page)
    }

    fn new(kind: &'static str, request: Request) -> Self {
        Self { kind, request, bytes: 0, last: request.after, full: false, rows: Vec::new() }
    }

    /// Says whether the next row was taken: a full page takes none, and there is no need to read on.
    fn take(&mut self, row: T, sequence: i64, bytes: usize) -> bool {
        let fits = self.rows.is_empty() || self.bytes + bytes <= MOST_BYTES;
        if self.rows.len() == self.request.size || !fits {
            self.full = true;
            return false;
        }
        self.bytes += bytes;
        self.last = sequence;
        self.rows.push(row);
        true
    }

    /// Returns the token of the next page, or an empty text if this one is the last.
    #[must_use]
    pub fn next_token(&self) -> String {
        if self.full { seal(self.kind, self.last) } else { String::new() }
    }
}

fn seal(kind: &str, after: i64) -> String {
    token::seal(kind, &Cursor { after })
}

fn open(kind: &str, token: &str) -> Option<i64> {
    token::open::<Cursor>(kind, token).map(|cursor| cursor.after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violated(size: i32, token: &str) -> Vec<String> {
        let violations = Request::read("users", size, token).unwrap_err();
        violations.listed().iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn a_size_has_a_default_and_a_limit() {
        for (asked, given) in [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(Request::read("users", asked, "").unwrap().size, given);
        }
        assert_eq!(violated(-1, ""), ["page_size"]);
    }

    #[test]
    fn a_token_leads_on_in_the_list_that_gave_it_and_in_no_other() {
        let token = seal("users", 42);
        assert_eq!(Request::read("users", 0, &token).unwrap().after, 42);
        assert!(Request::read("products", 0, &token).is_err());
    }

    #[test]
    fn a_token_that_was_tampered_with_is_refused() {
        let token = seal("users", 42);
        for i in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(violated(0, &String::from_utf8(changed).unwrap()), ["page_token"]);
            assert_eq!(open("users", &token[..i]), None);
        }
        let huge = "A".repeat(4 << 20);
        for made_up in ["42", "!", "\0", "ü", "AAAA", "eyJhZnRlciI6MX0", &huge] {
            assert_eq!(violated(0, made_up), ["page_token"]);
        }
        assert_eq!(violated(-5, "42"), ["page_size", "page_token"]);
    }

    #[test]
    fn a_page_ends_at_its_size_and_tells_whether_another_follows() {
        let request = Request { size: 2, after: 0 };
        let mut page = Page::new("users", request);
        assert!(page.take("a", 3, 1) && page.take("b", 5, 1));
        assert_eq!(page.next_token(), "");
        assert!(!page.take("c", 9, 1));
        assert_eq!(Request::read("users", 0, &page.next_token()).unwrap().after, 5);
        assert_eq!(request.rows_to_read(), 3);
    }

    #[test]
    fn a_page_ends_before_it_outgrows_a_message_but_is_never_empty() {
        let mut page = Page::new("products", Request { size: 100, after: 0 });
        assert!(page.take("large", 1, 3 << 20));
        assert!(!page.take("small", 2, 10));
        assert_eq!(Request::read("products", 0, &page.next_token()).unwrap().after, 1);
    }
}
