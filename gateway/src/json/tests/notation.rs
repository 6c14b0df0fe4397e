//! Messages as the table of cases writes them: fields in the order of the wire.
//!
//! `3:7` a varint, `7:z-1` one by zigzag, `9:i32 5` and `10:i64 5` of fixed length, `2:f32 0.5` and `1:f64 0.5` floating,
//! `14:"text"`, `15:xff00` bytes, `17:{1:"a"}` what is nested, `23:[1 2]` packed varints, `8:(1:5)` a group.

/// Returns the bytes of a message.
pub(crate) fn message(text: &str) -> Result<Vec<u8>, String> {
    let mut rest = text.trim();
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        rest = field(rest, &mut bytes)?.trim_start();
    }
    Ok(bytes)
}

fn field<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Result<&'t str, String> {
    let (number, value) = text.split_once(':').ok_or_else(|| format!("{text:?} has no colon"))?;
    let number: u64 = number.trim().parse().map_err(|_| format!("{number:?} is no number of a field"))?;
    let mut key = |wire_type: u64, bytes: &mut Vec<u8>| varint(number << 3 | wire_type, bytes);
    let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
    match value.chars().next() {
        Some('"') => {
            let end = 1 + value[1..].find('"').ok_or("a text does not end")?;
            key(2, bytes);
            block(&value.as_bytes()[1..end], bytes);
            return Ok(&value[end + 1..]);
        }
        Some(open @ ('{' | '(' | '[')) => {
            let end = end_of(value)?;
            let inside = &value[1..end];
            match open {
                '{' => {
                    key(2, bytes);
                    block(&message(inside)?, bytes);
                }
                '(' => {
                    key(3, bytes);
                    bytes.extend(message(inside)?);
                    key(4, bytes);
                }
                _ => {
                    let mut packed = Vec::new();
                    inside.split_whitespace().try_for_each(|word| number_of(word).map(|n| varint(n, &mut packed)))?;
                    key(2, bytes);
                    block(&packed, bytes);
                }
            }
            return Ok(&value[end + 1..]);
        }
        Some('x') => {
            let hex = &word[1..];
            let read = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
            key(2, bytes);
            block(&read.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?, bytes);
        }
        Some('i' | 'f') => {
            let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let integer = || number_of(number);
            match word {
                "i32" => fixed(&mut key, 5, &(integer()? as u32).to_le_bytes(), bytes),
                "i64" => fixed(&mut key, 1, &integer()?.to_le_bytes(), bytes),
                "f32" => fixed(&mut key, 5, &number.parse::<f32>().map_err(|e| e.to_string())?.to_le_bytes(), bytes),
                _ => fixed(&mut key, 1, &number.parse::<f64>().map_err(|e| e.to_string())?.to_le_bytes(), bytes),
            }
            return Ok(rest);
        }
        _ => {
            let number = number_of(word)?;
            key(0, bytes);
            varint(number, bytes);
        }
    }
    Ok(rest)
}

fn fixed(key: &mut impl FnMut(u64, &mut Vec<u8>), wire_type: u64, value: &[u8], bytes: &mut Vec<u8>) {
    key(wire_type, bytes);
    bytes.extend_from_slice(value);
}

/// Finds the bracket that closes the first one.
fn end_of(text: &str) -> Result<usize, String> {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '{' | '(' | '[' if !quoted => depth += 1,
            '}' | ')' | ']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(format!("{text:?} does not end"))
}

fn number_of(word: &str) -> Result<u64, String> {
    let wrong = || format!("{word:?} is no number");
    if let Some(signed) = word.strip_prefix('z') {
        let signed: i64 = signed.parse().map_err(|_| wrong())?;
        return Ok((signed << 1 ^ signed >> 63).cast_unsigned());
    }
    word.parse().or_else(|_| word.parse().map(i64::cast_unsigned)).map_err(|_| wrong())
}

fn block(inside: &[u8], bytes: &mut Vec<u8>) {
    varint(inside.len() as u64, bytes);
    bytes.extend_from_slice(inside);
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
