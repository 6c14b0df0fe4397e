//! How deep a JSON text nests.

/// The deepest nesting that is read: parsers of protobuf take no message deeper than this.
pub(crate) const MOST: usize = 100;

/// Returns how deep objects and arrays nest, whether the text is valid or not.
pub(crate) fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    most
}

fn skip_string<'b>(bytes: &mut impl Iterator<Item = &'b u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_strings() {
        for (json, wanted) in [
            ("", 0),
            ("7", 0),
            ("{}", 1),
            (r#"[{"a": [1]}, [], {}]"#, 3),
            (r#"{"a[[": "{{\"[[", "b": []}"#, 2),
            (r#""[[["#, 0),
            ("]]][", 1),
            (r#""\"#, 0),
        ] {
            assert_eq!(depth(json.as_bytes()), wanted, "{json}");
        }
        assert_eq!(depth("[".repeat(5_000_000).as_bytes()), 5_000_000);
    }
}
