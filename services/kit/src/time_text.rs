//! Times as operators write them.

use std::time::Duration;

/// Reads `40ms`, `30s` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..unit].parse().ok();
    let millis = match &text[unit..] {
        "ms" => number,
        "s" => number.and_then(|number: u64| number.checked_mul(1_000)),
        "m" => number.and_then(|number: u64| number.checked_mul(60_000)),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(|| "expected a number with ms, s or m, such as 40ms".into())
}
