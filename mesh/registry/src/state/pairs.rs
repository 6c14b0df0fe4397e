//! The rules of key and value: how they come, change and go, and the index of a key or of all below a prefix.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// How many removed keys are remembered: the index of a prefix must not fall when a key below it goes.
const GRAVES: usize = 4096;

/// All keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pairs {
    entries: BTreeMap<String, Pair>,
    /// The index at which each of the keys went that went of late.
    graves: BTreeMap<String, u64>,
    /// The index of the last change of any key.
    pub(crate) last: u64,
}

/// What a key has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub(crate) value: Vec<u8>,
    pub(crate) flags: u64,
    pub(crate) created: u64,
    pub(crate) modified: u64,
}

impl Pairs {
    pub(crate) fn get(&self, key: &str) -> Option<&Pair> {
        self.entries.get(key)
    }

    /// Returns all keys that begin with a prefix, in their order.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Pair)> {
        self.entries.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Returns the index of all that begins with a prefix; of everything if nothing ever did.
    pub(crate) fn index_below(&self, prefix: &str) -> u64 {
        let graves = self.graves.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let gone = graves.map(|(_, index)| *index).max();
        let there = self.below(prefix).map(|(_, pair)| pair.modified).max();
        gone.max(there).unwrap_or(self.last)
    }

    /// Sets a key; with `cas` only if that is the index of its last change, or 0 and there is no such key. Returns
    /// whether it did, and whether anything changed.
    pub(crate) fn put(&mut self, key: &str, (value, flags): (Vec<u8>, u64), cas: Option<u64>, index: u64) -> Put {
        let old = self.entries.get(key);
        if cas.is_some_and(|cas| old.map_or(0, |old| old.modified) != cas) {
            return Put::Refused;
        }
        if old.is_some_and(|old| old.value == value && old.flags == flags) {
            return Put::Same;
        }
        let created = old.map_or(index, |old| old.created);
        self.entries.insert(key.to_owned(), Pair { value, flags, created, modified: index });
        self.graves.remove(key);
        self.last = index;
        Put::Changed
    }

    /// Removes a key; with `cas` only if that is the index of its last change.
    pub(crate) fn remove(&mut self, key: &str, cas: Option<u64>, index: u64) -> Put {
        let Some(old) = self.entries.get(key) else { return Put::Same };
        if cas.is_some_and(|cas| old.modified != cas) {
            return Put::Refused;
        }
        self.entries.remove(key);
        self.bury(key.to_owned(), index);
        Put::Changed
    }

    /// Removes all keys that begin with a prefix.
    pub(crate) fn remove_below(&mut self, prefix: &str, index: u64) -> Put {
        let gone: Vec<String> = self.below(prefix).map(|(key, _)| key.clone()).collect();
        if gone.is_empty() {
            return Put::Same;
        }
        for key in gone {
            self.entries.remove(&key);
            self.bury(key, index);
        }
        Put::Changed
    }

    /// Changes all indexes.
    pub(crate) fn shift(&mut self, change: impl Fn(u64) -> u64) {
        self.last = change(self.last);
        self.graves.values_mut().for_each(|index| *index = change(*index));
        for pair in self.entries.values_mut() {
            pair.created = change(pair.created);
            pair.modified = change(pair.modified);
        }
    }

    fn bury(&mut self, key: String, index: u64) {
        self.last = index;
        self.graves.insert(key, index);
        if self.graves.len() > GRAVES {
            let oldest = self.graves.iter().min_by_key(|(_, index)| **index).map(|(key, _)| key.clone());
            oldest.map(|key| self.graves.remove(&key));
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Changed,
    /// All is as it was to be.
    Same,
    /// The key changed since the index that was named.
    Refused,
}

fn to_base64<S: Serializer>(value: &[u8], output: S) -> Result<S::Ok, S::Error> {
    output.serialize_str(&BASE64_STANDARD.encode(value))
}

fn from_base64<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
    BASE64_STANDARD.decode(String::deserialize(input)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pairs: &mut Pairs, key: &str, value: &str, cas: Option<u64>) -> Put {
        let index = pairs.last + 1;
        pairs.put(key, (value.into(), 0), cas, index)
    }

    #[test]
    fn a_write_with_an_index_needs_the_last_one() {
        let mut pairs = Pairs::default();
        assert_eq!(put(&mut pairs, "k", "1", Some(5)), Put::Refused);
        assert_eq!(put(&mut pairs, "k", "1", Some(0)), Put::Changed);
        assert_eq!(put(&mut pairs, "k", "2", Some(0)), Put::Refused);
        assert_eq!(put(&mut pairs, "k", "2", Some(1)), Put::Changed);
        assert_eq!(pairs.get("k").map(|pair| (pair.created, pair.modified)), Some((1, 2)));
        assert_eq!(pairs.remove("k", Some(1), 3), Put::Refused);
        assert_eq!(pairs.remove("k", Some(2), 3), Put::Changed);
        assert_eq!(pairs.remove("k", Some(2), 4), Put::Same);
    }

    #[test]
    fn the_same_again_changes_no_index() {
        let mut pairs = Pairs::default();
        put(&mut pairs, "k", "1", None);
        assert_eq!((put(&mut pairs, "k", "1", None), pairs.last), (Put::Same, 1));
    }

    #[test]
    fn a_prefix_has_the_index_of_what_begins_with_it_even_if_gone() {
        let mut pairs = Pairs::default();
        for key in ["a/1", "a/2", "b", "a"] {
            put(&mut pairs, key, "x", None);
        }
        assert_eq!((pairs.index_below("a/"), pairs.index_below("b"), pairs.index_below("c")), (2, 3, 4));
        pairs.remove("a/1", None, 5);
        put(&mut pairs, "c", "x", None);
        assert_eq!((pairs.index_below("a/"), pairs.below("a").count()), (5, 2));
        assert_eq!((pairs.remove_below("a", 9), pairs.index_below("a"), pairs.index_below("b")), (Put::Changed, 9, 3));
    }
}
