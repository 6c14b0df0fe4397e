//! What `GET /v1/kv/…?recurse` answers (Consul API, "KV store").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// All pairs below a prefix; nothing where there is none, which Consul answers with 404.
pub(crate) type Pairs = Option<Vec<Pair>>;

/// One key and its value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Pair {
    pub(crate) key: String,
    /// In base64; an empty value is null.
    #[serde(default)]
    value: Option<String>,
}

impl Pair {
    /// Returns the bytes of the value; of what is no base64, nothing.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.value.as_ref().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
    }
}
