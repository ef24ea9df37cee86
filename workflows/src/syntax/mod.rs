//! Text to spanned trees, without any meaning: one pass over parser events.
//!
//! Promises that whatever comes in ends soon, in a tree or in a diagnostic: limits on size, depth,
//! nodes and aliases are checked before they can hurt. Knows YAML, not workflows. Every map that
//! leaves here has text keys, each once.

mod places;
mod pragma;
mod reader;
mod reason;
mod scalar;
mod tree;

use crate::diagnostic::{Note, Sink};
use crate::source::{SourceText, Span};

pub(crate) use places::Places;
pub(crate) use pragma::Pragmas;
pub(crate) use reader::yaml11_note;
pub(crate) use scalar::{ScalarPlaces, is_plain_text};
pub(crate) use tree::{Entry, Kind, Map, Node, Scalar, Shape, Style};

/// Longest text, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// One YAML document of a text.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// The bytes of the text that belong to this document alone.
    pub(crate) extent: Span,
}

/// Reads all documents of `source`. `None` after an error that leaves no tree to look at.
pub(crate) fn read(source: &SourceText, sink: &mut Sink) -> Option<Vec<Document>> {
    let text = source.text();
    if let Some(at) = source.bad_byte() {
        let at = at as usize;
        sink.push(
            Note::error("PHI009", Span::new(at, at + 3), "the text is not UTF-8")
                .label("first byte that is not UTF-8")
                .help("save the file as UTF-8"),
        );
        return None;
    }
    if text.len() > BYTES_MAX {
        sink.push(
            Note::error(
                "PHI008",
                Span::new(0, 0),
                format!(
                    "the text has {} bytes, at most {BYTES_MAX} are allowed",
                    text.len()
                ),
            )
            .help("split it into several workflows"),
        );
        return None;
    }
    if let Some(at) = text.find('\0') {
        sink.push(Note::error(
            "PHI009",
            Span::new(at, at + 1),
            "the text holds a NUL character",
        ));
        return None;
    }
    reader::read(text, sink)
}
