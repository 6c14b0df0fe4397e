//! The header `grpc-timeout` (gRPC over HTTP/2, "Timeout"): at most eight digits and a unit.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// The name of the header.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const MOST: u64 = 99_999_999;

/// Returns the duration that a header value says, or nothing if it says none.
pub(crate) fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Returns the value in four significant digits, rounded down: calls with one deadline then have one value for most of the
/// time that they take to begin, and a connection's table has that (RFC 7541).
pub(crate) fn format(timeout: Duration) -> HeaderValue {
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let digits = nanos.checked_ilog10().map_or(0, |last| last.saturating_sub(3));
    let rounded = nanos - nanos % 10u64.pow(digits);
    let units = [("S", 1_000_000_000), ("m", 1_000_000), ("u", 1_000), ("n", 1)];
    // The coarsest that says it exactly; seconds of more than eight digits are years.
    let (unit, size) = units.into_iter().find(|(_, size)| rounded % size == 0).unwrap_or(("n", 1));
    let number = rounded / size;
    let text = if number > MOST { format!("{}H", number / 3_600) } else { format!("{number}{unit}") };
    HeaderValue::try_from(text).expect("digits and a letter are a header value")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_timeout_is_none() {
        for bad in ["", "5", "S", "123456789S", "-1S", "1.5S", "1d", "é"] {
            assert_eq!(parse(&HeaderValue::try_from(bad).unwrap()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_left_of_a_deadline_is_mostly_the_same() {
        for (left, value) in [
            (Duration::from_secs(15), "15S"),
            (Duration::from_micros(14_999_999), "14990m"),
            (Duration::from_micros(14_990_001), "14990m"),
            (Duration::from_nanos(1_234_567), "1234u"),
            (Duration::from_nanos(17), "17n"),
            (Duration::ZERO, "0S"),
            (Duration::from_secs(100_000_000), "27777H"),
        ] {
            assert_eq!(format(left), value, "{left:?}");
        }
    }

    proptest! {
        #[test]
        fn a_timeout_is_read_as_it_was_written_to_four_digits(digits in 0u32..20, nanos in 0u64..u64::MAX) {
            let timeout = Duration::from_nanos(nanos / 10u64.pow(digits));
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read <= timeout);
            let lost = (timeout - read).as_secs_f64();
            prop_assert!(lost <= timeout.as_secs_f64() * 1e-3);
        }
    }
}
