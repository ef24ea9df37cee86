//! Semantic versions, as texts.

use super::{Cx, fields};
use crate::diagnostic::Note;
use crate::syntax::Node;

/// Whether a text may be a semantic version.
pub(super) fn is_semantic_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let rest = &text[core.len()..];
    let parts: Vec<&str> = core.split('.').collect();
    let number = |part: &&str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    text.len() <= 64
        && parts.len() == 3
        && parts.iter().all(number)
        && (rest.is_empty() || rest.len() > 1)
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
}

/// Reads a version; one that is not quoted might be read as a number.
pub(super) fn version(cx: &mut Cx<'_>, node: &Node) -> Option<String> {
    let scalar = node.as_scalar()?;
    if is_semantic_version(&scalar.text) && (fields::is_quoted(node) || node.as_str().is_some()) {
        return Some(scalar.text.clone());
    }
    let mut parts: Vec<&str> = scalar.text.split('.').collect();
    while parts.len() < 3 {
        parts.push("0");
    }
    let fixed = parts.join(".");
    let mut note = Note::error(
        "PHI112",
        node.span,
        "version must be a quoted semantic version",
    )
    .help("write `version: \"1.0.0\"`");
    if is_semantic_version(&fixed) {
        note = note.edit(node.span, format!("\"{fixed}\""));
    }
    cx.sink.push(note);
    None
}
