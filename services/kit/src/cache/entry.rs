//! What a cache holds of one name: a state of the resource, or that there is none; and which of two is newer.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// The place of a state among all states that a name ever had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The row's sequence number: of two resources that had the name one after the other, the later one's is higher.
    pub sequence: i64,
    /// Counts the changes of the row.
    pub revision: i64,
}

/// A resource that knows which of its states it is.
pub trait Versioned {
    /// Returns the place of this state among all states of its name.
    fn version(&self) -> Version;
}

impl Version {
    /// A name without a resource, as a read finds it: older than every state, so that it never hides a write.
    pub(crate) const MISSING: Self = Self { sequence: 0, revision: 0 };
    /// The length of [`Version::digits`].
    pub(crate) const DIGITS: usize = 38;

    /// Returns what comes after the last state of a resource: its deletion.
    #[must_use]
    pub fn deleted(self) -> Self {
        Self { revision: self.revision.saturating_add(1), ..self }
    }

    /// Returns a text whose order is that of the versions: neither number is ever negative.
    pub(crate) fn digits(self) -> String {
        format!("{:019}{:019}", self.sequence.max(0), self.revision.max(0))
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

impl Entry {
    /// Writes a resource, or that there is none. `format` says how resources are written: what was written in another
    /// one is not read.
    pub(crate) fn new<T: Serialize>(version: Version, format: i64, resource: Option<&T>) -> Self {
        let mut body = format!("{format}\n").into_bytes();
        if let Some(resource) = resource {
            serde_json::to_writer(&mut body, resource).expect("resources are JSON");
        }
        Self { version, body: body.into() }
    }
}

/// Reads the body of an entry; nothing if it is none that this format has.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], format: i64) -> Option<Option<T>> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let (written, resource) = (&body[..end], &body[end + 1..]);
    if written != format.to_string().as_bytes() {
        return None;
    }
    if resource.is_empty() { Some(None) } else { serde_json::from_slice(resource).ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sequence: i64, revision: i64) -> Version {
        Version { sequence, revision }
    }

    #[test]
    fn the_order_of_the_digits_is_that_of_the_versions() {
        let versions = [(0, 0), (1, 1), (1, 2), (1, 10), (2, 1), (9, i64::MAX), (10, 1), (i64::MAX, i64::MAX)];
        let versions: Vec<_> = versions.into_iter().map(|(sequence, revision)| version(sequence, revision)).collect();
        for pair in versions.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].digits() < pair[1].digits(), "{pair:?}");
            assert_eq!(pair[0].digits().len(), Version::DIGITS);
        }
    }

    #[test]
    fn a_deletion_is_newer_than_what_it_deletes_and_older_than_what_comes_after() {
        assert!(version(3, 7) < version(3, 7).deleted());
        assert!(version(3, 7).deleted() < version(4, 1));
        assert!(Version::MISSING < version(1, 1));
    }

    #[test]
    fn what_was_written_is_read_in_the_same_format_only() {
        let entry = Entry::new(version(1, 1), 12, Some(&"Ada\n"));
        assert_eq!(read::<String>(&entry.body, 12), Some(Some("Ada\n".to_owned())));
        let none = Entry::new::<String>(version(1, 2), 12, None);
        assert_eq!(read::<String>(&none.body, 12), Some(None));
        for other in [1, 2, 120] {
            assert_eq!(read::<String>(&entry.body, other), None);
        }
        for broken in [&b""[..], b"12", b"12\n{", b"\n", b"\xff\n\"a\""] {
            assert_eq!(read::<String>(broken, 12), None);
        }
    }
}
