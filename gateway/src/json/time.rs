//! `google.protobuf.Timestamp` and `Duration` as texts.

/// From 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z (google/protobuf/timestamp.proto).
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years (google/protobuf/duration.proto).
const LONGEST: i64 = 315_576_000_000;
const NANOS: i32 = 1_000_000_000;

/// Writes a time by RFC 3339, with 0, 3, 6 or 9 digits of a fraction; nothing for one that it has no text for.
pub(crate) fn write_timestamp(seconds: i64, nanos: i32) -> Option<String> {
    let fits = SECONDS.contains(&seconds) && (0..NANOS).contains(&nanos);
    fits.then(|| prost_types::Timestamp { seconds, nanos }.to_string())
}

/// Writes a length of time, with 0, 3, 6 or 9 digits of a fraction; nothing for one out of the bounds of its type.
pub(crate) fn write_duration(seconds: i64, nanos: i32) -> Option<String> {
    let one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    let fits = seconds.unsigned_abs() <= LONGEST.unsigned_abs() && nanos.unsigned_abs() < NANOS.unsigned_abs();
    (one_sign && fits).then(|| prost_types::Duration { seconds, nanos }.to_string())
}

/// Reads a time of RFC 3339, with `T` and `Z` in upper case.
pub(crate) fn timestamp(text: &str) -> Option<(i64, i32)> {
    let time: prost_types::Timestamp = text.parse().ok().filter(|_| is_rfc3339(text))?;
    SECONDS.contains(&time.seconds).then_some((time.seconds, time.nanos))
}

/// Reads seconds, with at most nine digits of a fraction, and an `s`.
pub(crate) fn duration(text: &str) -> Option<(i64, i32)> {
    let (whole, fraction) =
        text.strip_suffix('s')?.split_once('.').map_or((text.strip_suffix('s')?, "0"), |parts| parts);
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if !is_digits(digits) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds = whole.parse().ok().filter(|seconds: &i64| seconds.unsigned_abs() <= LONGEST.unsigned_abs())?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some((seconds, if whole.starts_with('-') { -nanos } else { nanos }))
}

/// `2020-01-31T23:59:59`, a fraction, and `Z` or an offset.
fn is_rfc3339(text: &str) -> bool {
    let Some((time, rest)) = text.split_at_checked(19) else { return false };
    let shape = "0000-00-00T00:00:00";
    let fits = |(is, like): (u8, u8)| if like == b'0' { is.is_ascii_digit() } else { is == like };
    let fraction = rest.strip_prefix('.').map(|rest| rest.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    let zone = match (fraction, rest.starts_with('.')) {
        (Some(zone), _) if (2..=10).contains(&(rest.len() - zone.len())) => zone,
        (None, false) => rest,
        _ => return false,
    };
    time.bytes().zip(shape.bytes()).all(fits) && (zone == "Z" || is_offset(zone))
}

fn is_offset(zone: &str) -> bool {
    let Some((hours, minutes)) = zone.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let two =
        |text: &str, most| is_digits(text) && text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number <= most);
    two(hours, 23) && two(minutes, 59)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_of_rfc_3339() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("1970-01-01T00:00:01.5Z", Some((1, 500_000_000))),
            ("1970-01-01T02:00:00.000000001+02:00", Some((0, 1))),
            ("0001-01-01T00:00:00Z", Some((-62_135_596_800, 0))),
            ("9999-12-31T23:59:59.999999999Z", Some((253_402_300_799, 999_999_999))),
            ("0000-12-31T23:59:59Z", None),
            ("9999-12-31T23:59:59-01:00", None),
            ("1970-01-01t00:00:00Z", None),
            ("1970-01-01T00:00:00z", None),
            ("1970-01-01 00:00:00Z", None),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00.Z", None),
            ("1970-01-01T00:00:00.0000000001Z", None),
            ("1970-02-30T00:00:00Z", None),
            ("1970-01-01T00:00:00+2:00", None),
            ("1970-01-01T00:00:00+24:00", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_length_of_time_is_seconds() {
        for (text, wanted) in [
            ("0s", Some((0, 0))),
            ("1.5s", Some((1, 500_000_000))),
            ("-1.000000001s", Some((-1, -1))),
            ("-0.5s", Some((0, -500_000_000))),
            ("315576000000s", Some((315_576_000_000, 0))),
            ("315576000001s", None),
            ("1.0000000001s", None),
            ("1.s", None),
            (".5s", None),
            ("+1s", None),
            ("1", None),
            ("s", None),
            ("1e3s", None),
        ] {
            assert_eq!(duration(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_has_no_text_is_not_written() {
        assert_eq!(write_timestamp(1, 500_000_000).unwrap(), "1970-01-01T00:00:01.500Z");
        assert_eq!(write_duration(-1, -1).unwrap(), "-1.000000001s");
        assert_eq!(write_duration(0, -500_000_000).unwrap(), "-0.500s");
        assert_eq!(write_timestamp(253_402_300_800, 0), None);
        assert_eq!(write_timestamp(0, -1), None);
        assert_eq!(write_timestamp(0, NANOS), None);
        assert_eq!(write_duration(1, -1), None);
        assert_eq!(write_duration(LONGEST + 1, 0), None);
        assert_eq!(write_duration(0, NANOS), None);
    }
}
