//! What a server says of another attempt (gRFC A6).

use std::time::Duration;

use http::HeaderMap;

/// Says when to try again, or not to, in milliseconds.
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What a server says of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    After(Duration),
    Never,
}

impl Pushback {
    /// What cannot be read forbids another attempt, as a negative time does.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(PUSHBACK)?;
        let millis = value.to_str().ok().and_then(|text| text.parse::<i32>().ok());
        let after = millis.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        Some(after.map_or(Self::Never, Self::After))
    }
}
