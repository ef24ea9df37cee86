//! The identity of a definition: SHA-256 over a canonical form of its document.
//!
//! Canonical means: keys sorted, no places, no comments, no styles; keys that start with `x-` are
//! left out below the document and its steps, as nothing reads them. Lists keep their order. So a
//! reformatted text keeps its hash, and a changed word does not.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::syntax::{Kind, Map, Node, Shape};

/// The hash of a document, 64 hexadecimal digits.
pub(crate) fn of(root: &Node) -> String {
    let mut canonical = String::new();
    write_node(root, 0, &mut canonical);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        push(&mut hex, format_args!("{byte:02x}"));
    }
    hex
}

/// `level` counts maps and lists from the document: the keys of a step are at level 2.
fn write_node(node: &Node, level: usize, out: &mut String) {
    match &node.shape {
        Shape::Seq(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_node(item, level + 1, out);
            }
            out.push(']');
        }
        Shape::Map(map) => write_map(map, level, out),
        Shape::Scalar(scalar) => match scalar.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(value) => push(out, format_args!("{value}")),
            Kind::Int(value) => push(out, format_args!("{value}")),
            // The shortest text that reads back as the same double, marked as one.
            Kind::Float(value) => push(out, format_args!("{value:?}")),
            Kind::Str => write_text(&scalar.text, out),
        },
    }
}

fn write_map(map: &Map, level: usize, out: &mut String) {
    let mut entries: Vec<_> = map
        .entries
        .iter()
        .filter(|entry| level > 2 || !entry.key.starts_with("x-"))
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    out.push('{');
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(&entry.key, out);
        out.push(':');
        write_node(&entry.value, level + 1, out);
    }
    out.push('}');
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => push(out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}
