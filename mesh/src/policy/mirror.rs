//! Copies of calls for another service, such as a new version that is to be tried.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sends copies of a share of the calls to another service, and throws its answers away. A call never waits for its copy,
/// and a copy is not copied again. Copies say so by the header `x-selvedge-mirror`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MirrorPolicy {
    /// Who gets copies, by a name or URL as [`Mesh::channel`](crate::Mesh::channel) takes it.
    pub service: String,
    /// What share of the calls is copied, in percent. Default 100.
    pub percent: f64,
    /// Copies under way at a time; calls beyond are not copied. Default 100.
    pub max_in_flight: u32,
    /// Bytes of a request that are copied; the copy of a larger one is broken off. Default 64 KiB.
    pub max_bytes: u32,
}

impl Default for MirrorPolicy {
    fn default() -> Self {
        Self { service: String::new(), percent: 100.0, max_in_flight: 100, max_bytes: 64 * 1024 }
    }
}
