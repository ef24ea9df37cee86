//! The identity of a definition: SHA-256 over a canonical form of its document.
//!
//! Canonical means: keys sorted, no places, no comments, no styles; keys that start with `x-` are
//! left out below the document and its steps, as nothing reads them. Lists keep their order, and a
//! condition is the same with and without `${{ }}` around it. So a reformatted text keeps its hash, and a
//! changed word does not.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::fmt::bare_condition;
use crate::grammar::{Form, ROOT};
use crate::syntax::{Kind, Map, Node, Shape};

/// The hash of a document, 64 hexadecimal digits.
pub(crate) fn of(root: &Node) -> String {
    digest(root, Some(&ROOT))
}

/// The hash that versions before 0.1.0 gave: they told a condition in `${{ }}` from the bare one.
/// Journals hold it.
pub(crate) fn before_bare_conditions(root: &Node) -> String {
    digest(root, None)
}

fn digest(root: &Node, form: Option<&'static Form>) -> String {
    let mut canonical = String::new();
    write_node(root, 0, form, &mut canonical);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        push(&mut hex, format_args!("{byte:02x}"));
    }
    hex
}

/// `level` counts maps and lists from the document: the keys of a step are at level 2.
fn write_node(node: &Node, level: usize, form: Option<&'static Form>, out: &mut String) {
    match &node.shape {
        Shape::Seq(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_node(item, level + 1, form.and_then(Form::item), out);
            }
            out.push(']');
        }
        Shape::Map(map) => write_map(map, level, form, out),
        Shape::Scalar(scalar) => match scalar.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(value) => push(out, format_args!("{value}")),
            Kind::Int(value) => push(out, format_args!("{value}")),
            // The shortest text that reads back as the same double, marked as one.
            Kind::Float(value) => push(out, format_args!("{value:?}")),
            Kind::Str => {
                let bare = form
                    .filter(|form| form.is_expression())
                    .and_then(|_| bare_condition(&scalar.text));
                write_text(bare.unwrap_or(&scalar.text), out);
            }
        },
    }
}

fn write_map(map: &Map, level: usize, form: Option<&'static Form>, out: &mut String) {
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
        let form = form.and_then(|form| form.below(&entry.key));
        write_node(&entry.value, level + 1, form, out);
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
