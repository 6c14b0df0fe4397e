//! Writes a document as YAML 1.2, in blocks: texts plain where nothing can be taken for something else, several lines
//! as a literal block, all else in double quotes.

use std::fmt::Write as _;

use crate::openapi::node::Node;

/// Writes a document.
pub(crate) fn write(node: &Node) -> String {
    let mut out = String::new();
    block(&mut out, node, 0);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.trim_start_matches('\n').to_owned()
}

/// Writes a value after its key or dash; what has entries begins on a line of its own.
fn block(out: &mut String, node: &Node, depth: usize) {
    match node {
        Node::List(items) if !items.is_empty() => {
            for item in items {
                line(out, depth);
                out.push('-');
                match item {
                    Node::Map(entries) if !entries.is_empty() => {
                        out.push(' ');
                        self::entries(out, entries, depth + 1);
                    }
                    item => block(out, item, depth + 1),
                }
            }
        }
        Node::Map(entries) if !entries.is_empty() => {
            line(out, depth);
            self::entries(out, entries, depth);
        }
        leaf => {
            out.push(' ');
            self::leaf(out, leaf, depth);
        }
    }
}

/// Writes entries, the first where the line is.
fn entries(out: &mut String, entries: &[(String, Node)], depth: usize) {
    for (place, (key, value)) in entries.iter().enumerate() {
        if place > 0 {
            line(out, depth);
        }
        scalar(out, key);
        out.push(':');
        block(out, value, depth + 1);
    }
}

fn leaf(out: &mut String, node: &Node, depth: usize) {
    match node {
        Node::Bool(value) => _ = write!(out, "{value}"),
        Node::Number(value) => _ = write!(out, "{value}"),
        Node::Text(text) if is_literal(text) => literal(out, text, depth),
        Node::Text(text) => scalar(out, text),
        Node::List(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
    }
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn literal(out: &mut String, text: &str, depth: usize) {
    out.push_str("|-");
    for text in text.split('\n') {
        if text.is_empty() {
            out.push('\n');
        } else {
            line(out, depth.max(1));
            out.push_str(text);
        }
    }
}

/// Tells whether the lines can stand as they are: the first gives the indentation, and the last break is kept off.
fn is_literal(text: &str) -> bool {
    let framed = text.starts_with([' ', '\n']) || text.ends_with('\n');
    text.contains('\n') && !framed && text.chars().all(|letter| letter == '\n' || is_printable(letter))
}

fn scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            letter if is_printable(letter) => out.push(letter),
            letter => _ = write!(out, "\\U{:08X}", u32::from(letter)),
        }
    }
    out.push('"');
}

/// Tells whether a text needs no quotes: no number, date, boolean or null in any version of YAML.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let named = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '$');
    text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '$' | '_'))
        && text.chars().all(named)
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// Tells whether a letter may stand in a document (YAML 1.2 section 5.1), breaks and tabs apart.
fn is_printable(letter: char) -> bool {
    let line_break = matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    !letter.is_control() && !line_break && !matches!(letter, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_in_blocks() {
        let inner = Node::map().with("type", "object").with("list", Node::texts(["a", "b c"]));
        let node = Node::map()
            .with("/v1/{id}", inner)
            .with("200", Node::map())
            .with("none", Vec::new())
            .with("text", "two\n\n lines: # \"of\" it")
            .with("items", vec![Node::map().with("n", -1).with("on", true), Node::from("yes")]);
        let wanted = r#""/v1/{id}":
  type: object
  list:
    - a
    - "b c"
"200": {}
none: []
text: |-
  two

   lines: # "of" it
items:
  - "n": -1
    "on": true
  - "yes"
"#;
        assert_eq!(write(&node), wanted);
    }

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for (text, wanted) in [
            ("1e3", "\"1e3\""),
            ("", "\"\""),
            ("- x", "\"- x\""),
            ("a: b", "\"a: b\""),
            ("No", "\"No\""),
            ("tab\there", "\"tab\\U00000009here\""),
            ("next\u{85}line", "\"next\\U00000085line\""),
            ("\n first", "\"\\n first\""),
            ("grüße", "\"grüße\""),
            ("$ref", "$ref"),
            ("#/components/x", "\"#/components/x\""),
        ] {
            assert_eq!(write(&Node::map().with("k", text)), format!("k: {wanted}\n"), "{text:?}");
        }
    }
}
