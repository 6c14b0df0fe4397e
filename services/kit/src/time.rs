//! Points of time: microseconds since 1970 in the database, `google.protobuf.Timestamp` on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Bytes of the longest time that is read.
const LONGEST: usize = 40;

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

/// Reads a point of time as RFC 3339 writes it; nothing for what is none, or is finer than a microsecond.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    // The parser takes dates without a time too, and years of any length.
    if !text.contains(['T', 't']) || text.len() > LONGEST {
        return None;
    }
    let Timestamp { seconds, nanos } = text.parse().ok()?;
    let nanos = i64::from(nanos);
    (nanos % 1_000 == 0).then(|| seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(nanos / 1_000))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_any_zone_and_to_the_microsecond() {
        let of =
            |text, seconds: i64, rest| assert_eq!(micros(text), Some(seconds * MICROS_PER_SECOND + rest), "{text}");
        of("1970-01-01T00:00:00Z", 0, 0);
        of("2023-11-14T22:13:20.123456Z", 1_700_000_000, 123_456);
        of("2023-11-15T00:13:20+02:00", 1_700_000_000, 0);
        of("1969-12-31T23:59:59.5Z", -1, 500_000);
        let far = "999999999999999-01-01T00:00:00Z";
        for bad in ["", "2023", "2023-11-14", "T", "2023-13-14T00:00:00Z", "2023-11-14T22:13:20.1234567Z", far] {
            assert_eq!(micros(bad), None, "{bad}");
        }
        assert_eq!(micros(&"T".repeat(4 << 20)), None);
    }

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
