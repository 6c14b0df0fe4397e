//! Tokens that callers bring back as they are: where a list or a watch goes on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// No token of ours is longer.
const LONGEST: usize = 4096;
/// How many bytes of the digest guard a token.
const CHECK_BYTES: usize = 8;

/// Makes a token: the digest's first bytes, then the place as JSON, all as base64 that fits into a URL.
///
/// What it is good for is in the digest: a token of another list does not fit. It is no secret, but a guard against
/// tokens that were cut, changed or made up.
pub fn seal(purpose: &str, place: &impl Serialize) -> String {
    let place = serde_json::to_vec(place).expect("numbers and texts are JSON");
    URL_SAFE_NO_PAD.encode([check(purpose, &place).as_slice(), &place].concat())
}

/// The opposite of [`seal`]; nothing for what was not sealed for this purpose.
#[must_use]
pub fn open<T: DeserializeOwned>(purpose: &str, token: &str) -> Option<T> {
    if token.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (given, place) = bytes.split_at_checked(CHECK_BYTES)?;
    if given != check(purpose, place) {
        return None;
    }
    serde_json::from_slice(place).ok()
}

fn check(purpose: &str, place: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(place).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_on_where_it_was_given_and_nowhere_else() {
        let token = seal("users", &42);
        assert_eq!(open("users", &token), Some(42));
        assert_eq!(open::<i64>("products", &token), None);
        assert_eq!(open::<String>("users", &token), None);
    }

    #[test]
    fn a_token_that_was_tampered_with_is_refused() {
        let token = seal("users", &42);
        for i in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(open::<i64>("users", &String::from_utf8(changed).unwrap()), None);
            assert_eq!(open::<i64>("users", &token[..i]), None);
        }
        assert_eq!(open::<i64>("users", &"A".repeat(4 << 20)), None);
    }
}
