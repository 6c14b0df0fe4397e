//! Points of time: microseconds since 1970 in the database, `google.protobuf.Timestamp` on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Returns the microseconds since 1970; a clock that stands before 1970 counts as 0.
#[must_use]
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the timestamp of a number of microseconds since 1970.
#[must_use]
pub fn timestamp(micros: i64) -> Timestamp {
    let nanos = micros.rem_euclid(MICROS_PER_SECOND) * 1_000;
    Timestamp {
        seconds: micros.div_euclid(MICROS_PER_SECOND),
        nanos: i32::try_from(nanos).expect("less than a second is less than 2^31 ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_keeps_the_microseconds() {
        let of = |micros, seconds, nanos| assert_eq!(timestamp(micros), Timestamp { seconds, nanos });
        of(0, 0, 0);
        of(1, 0, 1_000);
        of(1_700_000_000_123_456, 1_700_000_000, 123_456_000);
        of(i64::MAX, 9_223_372_036_854, 775_807_000);
    }

    #[test]
    fn the_fraction_of_a_timestamp_is_never_negative() {
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
    }
}
