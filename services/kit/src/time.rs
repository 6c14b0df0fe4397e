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

/// Returns the microseconds since 1970 of a timestamp, or nothing if they do not fit into 64 bits or `nanos` is no
/// fraction of a second.
#[must_use]
pub fn micros(timestamp: Timestamp) -> Option<i64> {
    let fraction = (0..1_000_000_000).contains(&timestamp.nanos).then(|| i64::from(timestamp.nanos / 1_000))?;
    timestamp.seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was_written() {
        for time in [0, 1, -1, 1_700_000_000_123_456, -62_135_596_800_000_000, i64::MAX] {
            assert_eq!(micros(timestamp(time)), Some(time));
        }
    }

    #[test]
    fn the_fraction_of_a_timestamp_is_never_negative() {
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
    }

    #[test]
    fn a_timestamp_out_of_range_is_none() {
        assert_eq!(micros(Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(micros(Timestamp { seconds: 0, nanos: -1 }), None);
    }
}
