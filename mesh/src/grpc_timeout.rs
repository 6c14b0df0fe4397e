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

/// Returns the value of the finest unit that eight digits can hold. It is seldom the same twice: marked as sensitive, it
/// does not push what comes again out of the connection's table (RFC 7541, 6.2.3).
pub(crate) fn format(timeout: Duration) -> HeaderValue {
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let units = [(b'n', 1), (b'u', 1_000), (b'm', 1_000_000), (b'S', 1_000_000_000), (b'M', 60_000_000_000)];
    let fits = units.into_iter().find(|(_, size)| nanos / size <= MOST);
    let (unit, size) = fits.unwrap_or((b'H', 3_600_000_000_000));
    // Eight digits at most, from behind.
    let mut left = u32::try_from((nanos / size).min(MOST)).unwrap_or(u32::MAX);
    let mut text = [unit; 9];
    let mut at = 8;
    loop {
        at -= 1;
        text[at] = b"0123456789"[(left % 10) as usize];
        left /= 10;
        if left == 0 || at == 0 {
            break;
        }
    }
    let mut value = HeaderValue::from_bytes(&text[at..]).expect("digits and a letter are a header value");
    value.set_sensitive(true);
    value
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

    proptest! {
        #[test]
        fn a_timeout_is_read_as_it_was_written_to_eight_digits(nanos in 0u64..u64::MAX) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read <= timeout);
            let lost = (timeout - read).as_secs_f64();
            prop_assert!(lost <= timeout.as_secs_f64() * 1.1e-6 + 1e-9);
        }
    }
}
