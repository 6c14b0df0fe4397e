//! Where operators say how services are called.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Where operators say how services are called.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PolicyConfig {
    /// The prefix of the keys in Consul's KV store that hold the policies of services, one document
    /// ([`Document`](crate::Document)) each: `selvedge/policy/users`. It ends with a slash; empty for none. The token
    /// needs `key_prefix "<prefix>" { policy = "read" }`. Default `selvedge/policy/`.
    pub prefix: String,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { prefix: "selvedge/policy/".into() }
    }
}

impl PolicyConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Self { prefix } = self;
        let inner = prefix.strip_suffix('/').unwrap_or_default();
        let plain = inner.split('/').all(|part| !matches!(part, "" | "." | "..") && part.trim() == part);
        if prefix.is_empty() || (prefix.ends_with('/') && plain) {
            return Ok(());
        }
        Err(Error::config(
            "policy.prefix",
            &format!("{prefix:?} is no prefix of keys: expected one such as selvedge/policy/, or nothing"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_parts_with_slashes_after_them() {
        for (prefix, good) in [
            ("", true),
            ("selvedge/policy/", true),
            ("policy/", true),
            ("policy", false),
            ("/", false),
            ("/policy/", false),
            ("a//b/", false),
            ("../b/", false),
            (" a/", false),
        ] {
            assert_eq!(PolicyConfig { prefix: prefix.into() }.validate().is_ok(), good, "{prefix:?}");
        }
    }
}
