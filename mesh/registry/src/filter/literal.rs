//! Go's literals: strings and booleans.

/// Reads a boolean (`strconv.ParseBool`).
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Returns the text that is meant by what stands between double quotes, if it is well formed (`strconv.Unquote`).
pub(crate) fn unquote(inner: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => return None,
            '\\' => escaped(&mut rest, &mut bytes)?,
            plain => push(&mut bytes, plain),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn escaped(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    match rest.next()? {
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        'f' => bytes.push(12),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(11),
        '\\' => bytes.push(b'\\'),
        'x' => bytes.push(u8::try_from(digits(rest, 2, 16)?).ok()?),
        'u' => push(bytes, char::from_u32(digits(rest, 4, 16)?)?),
        'U' => push(bytes, char::from_u32(digits(rest, 8, 16)?)?),
        first @ '0'..='7' => {
            let high = first.to_digit(8)? * 64;
            bytes.push(u8::try_from(high + digits(rest, 2, 8)?).ok()?);
        }
        _ => return None,
    }
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0u32, |value, _| value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?))
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        let table = [
            ("plain é", Some("plain é")),
            (r"a\u0031\x32\063", Some("a123")),
            (r"1\\.2\t", Some("1\\.2\t")),
            (r"\x", None),
            (r"\q", None),
            (r"\'", None),
            ("\\", None),
            ("a\nb", None),
        ];
        for (inner, text) in table {
            assert_eq!(unquote(inner).as_deref(), text, "{inner}");
        }
    }
}
