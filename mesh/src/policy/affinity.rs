//! What draws calls to some instances of a service rather than to others: a hash, and a zone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where calls go with [`Balance::RingHash`](crate::Balance::RingHash) and [`Balance::Maglev`](crate::Balance::Maglev).
///
/// A call is hashed by the first of these that it has: the field of its request that the method's policy names
/// (`hash_field`), the headers below, the channel. Without any it goes anywhere. An instance is known by its
/// registration's metadata `hash-key` (gRFC A76), or else by its id: with either, it keeps its keys at another address.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HashPolicy {
    /// Names of request headers, hashed together; one that is absent counts as empty, and all absent as none.
    /// Default none.
    pub headers: Vec<String>,
    /// All calls of one channel without a hash of their own go to one instance, drawn at random when the channel is
    /// made. Default false.
    pub channel: bool,
    /// Places on the ring: 1,024 to 65,536. Default 4,096 (the most of gRFC A42).
    pub ring_places: u32,
    /// Places in Maglev's table, of which the next prime is taken: 251 to 1,048,573. Default 65,537.
    pub maglev_places: u32,
}

/// Prefers instances of the own zone: those whose registration says (`Locality.Zone`, or else metadata `zone`) what
/// `registry.zone` says of this one.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ZonePolicy {
    /// Whether it does so, where zones are known; never with a hash. Default true.
    pub prefer: bool,
    /// A call goes to another zone when one more call costs so many times as much at an instance of the own one: at
    /// least 1. Round robin knows no costs. Default 2.
    pub spill: f64,
    /// While less than this share of the own zone's instances, in percent, may be called, as many calls as are missing
    /// go to other zones: 1 to 100. Default 70.
    pub healthy_percent: u32,
}

impl Default for HashPolicy {
    fn default() -> Self {
        Self { headers: Vec::new(), channel: false, ring_places: 4_096, maglev_places: 65_537 }
    }
}

impl Default for ZonePolicy {
    fn default() -> Self {
        Self { prefer: true, spill: 2.0, healthy_percent: 70 }
    }
}
