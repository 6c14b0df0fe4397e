//! Copies in the process.

use std::time::Duration;

use bytes::Bytes;
use moka::{Expiry, ops::compute::Op, sync::Cache};

use crate::cache::entry::{Entry, Version};

/// How much is kept, keys included.
const MOST_BYTES: u64 = 64 << 20;

/// Copies in the process, 64 MiB of them at most; clones share them.
#[derive(Clone, Debug)]
pub struct Memory {
    entries: Cache<String, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    version: Version,
    body: Bytes,
    ttl: Duration,
}

/// Each entry has a time to live of its own, from when it was put in.
struct OwnTtl;

impl Memory {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        let bytes = |key: &String, kept: &Kept| u32::try_from(key.len() + kept.body.len()).unwrap_or(u32::MAX);
        let entries = Cache::builder().max_capacity(MOST_BYTES).weigher(bytes).expire_after(OwnTtl).build();
        Self { entries }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        self.entries.get(key).map(|kept| kept.body)
    }

    /// Puts an entry in, unless what is there is as new.
    pub(crate) fn put(&self, key: &str, entry: &Entry, ttl: Duration) {
        let Entry { version, body } = entry.clone();
        self.entries.entry_by_ref(key).and_compute_with(|there| match there {
            Some(there) if there.value().version >= version => Op::Nop,
            _ => Op::Put(Kept { version, body, ttl }),
        });
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_types, reason = "the trait says which clock it is given, and it is not read here")]
impl Expiry<String, Kept> for OwnTtl {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: std::time::Instant) -> Option<Duration> {
        Some(kept.ttl)
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Kept,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.ttl)
    }
}
