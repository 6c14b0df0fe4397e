//! Etags (AIP-154): an opaque text that names one state of one resource.
//!
//! They are written without the quotes of RFC 9110, so that they go into a query or a shell as they are.

use sha2::{Digest as _, Sha256};

/// How many bytes of the digest are kept.
const BYTES: usize = 12;

/// Returns the etag of a state: the row's sequence number, which is never used twice, and its revision.
#[must_use]
pub fn of(kind: &str, sequence: i64, revision: i64) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digest = Sha256::digest(format!("{kind}\n{sequence}\n{revision}"));
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    // A page has a thousand of them: no formatter for each byte.
    digest.iter().take(BYTES).flat_map(|byte| digits(*byte)).collect()
}

/// Says whether what the caller gave allows a change of the present state; no etag allows every change.
#[must_use]
pub fn allows(given: &str, current: &str) -> bool {
    given.is_empty() || given == current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_every_resource_has_an_etag_of_its_own() {
        let etags = [of("users", 1, 1), of("users", 1, 2), of("users", 2, 1), of("users", 11, 1), of("products", 1, 1)];
        for (i, etag) in etags.iter().enumerate() {
            assert!(etags[..i].iter().all(|other| other != etag), "{etags:?}");
        }
        assert_eq!(of("users", 1, 1), of("users", 1, 1));
    }

    #[test]
    fn only_the_current_etag_or_none_allows_a_change() {
        assert!(allows("", "abc") && allows("abc", "abc"));
        assert!(!allows("abd", "abc") && !allows(&"x".repeat(4 << 20), "abc"));
    }
}
