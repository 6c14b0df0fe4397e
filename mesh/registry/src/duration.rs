//! Durations as Go writes them (package `time`, `ParseDuration` and `Duration.String`): "15s", "1m30s".

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

const SECOND: i64 = 1_000_000_000;
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// A span of time that may be negative, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GoDuration(i64);

impl GoDuration {
    /// Returns it if it is longer than nothing.
    pub(crate) fn positive(self) -> Option<Duration> {
        u64::try_from(self.0).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// Reads one, or returns Go's words for what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {text:?}");
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        let mut nanos = 0.0;
        loop {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            if unit == 0 {
                return Err(format!("time: missing unit in duration {text:?}"));
            }
            let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == &rest[..unit]) else {
                return Err(format!("time: unknown unit {:?} in duration {text:?}", &rest[..unit]));
            };
            nanos += number * *scale as f64;
            rest = &rest[unit..];
            if rest.is_empty() {
                break;
            }
        }
        if nanos >= i64::MAX as f64 {
            return Err(invalid());
        }
        Ok(Self((sign * nanos.round()) as i64))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let second = SECOND.unsigned_abs();
        if nanos == 0 {
            return out.write_str("0s");
        }
        if nanos < second {
            let (unit, scale) = match nanos {
                0..1_000 => ("ns", 1),
                1_000..1_000_000 => ("µs", 1_000),
                _ => ("ms", 1_000_000),
            };
            return write!(out, "{sign}{}{unit}", decimal(nanos, scale));
        }
        let (hours, minutes, rest) =
            (nanos / (3600 * second), nanos / (60 * second) % 60, decimal(nanos % (60 * second), second));
        match (hours, minutes) {
            (0, 0) => write!(out, "{sign}{rest}s"),
            (0, _) => write!(out, "{sign}{minutes}m{rest}s"),
            _ => write!(out, "{sign}{hours}h{minutes}m{rest}s"),
        }
    }
}

/// Returns `nanos / scale` with as many digits as it needs.
fn decimal(nanos: u64, scale: u64) -> String {
    let (whole, part) = (nanos / scale, nanos % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    format!("{whole}.{}", format!("{part:0width$}").trim_end_matches('0'))
}

impl<'de> Deserialize<'de> for GoDuration {
    /// Takes a text, or a number of nanoseconds; Consul takes anything else for nothing.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::String(text) => Self::parse(&text).map_err(D::Error::custom),
            Value::Number(nanos) => Ok(Self(nanos.as_f64().unwrap_or_default() as i64)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Ok(Self::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        let table = [
            ("0", 0),
            ("5s", 5 * SECOND),
            ("1m30s", 90 * SECOND),
            ("1h1m1.5s", 3661 * SECOND + SECOND / 2),
            ("1500ms", 3 * SECOND / 2),
            ("-5s", -5 * SECOND),
            ("+2us", 2_000),
            (".5s", SECOND / 2),
        ];
        for (text, nanos) in table {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_gos_words() {
        let table = [
            ("", "time: invalid duration \"\""),
            ("abc", "time: invalid duration \"abc\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("-", "time: invalid duration \"-\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("9999999h", "time: invalid duration \"9999999h\""),
        ];
        for (text, error) in table {
            assert_eq!(GoDuration::parse(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        let table = [
            (0, "0s"),
            (5 * SECOND, "5s"),
            (61 * SECOND, "1m1s"),
            (3600 * SECOND, "1h0m0s"),
            (3 * SECOND / 2, "1.5s"),
            (100_000_000, "100ms"),
            (1_500, "1.5µs"),
            (7, "7ns"),
            (-5 * SECOND, "-5s"),
        ];
        for (nanos, text) in table {
            assert_eq!(GoDuration(nanos).to_string(), text);
        }
    }

    #[test]
    fn numbers_are_nanoseconds() {
        let read = |json| serde_json::from_str::<GoDuration>(json).unwrap();
        assert_eq!(read("15000000000"), GoDuration(15 * SECOND));
        assert_eq!(read("true"), GoDuration::default());
    }
}
