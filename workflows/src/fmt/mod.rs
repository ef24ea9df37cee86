//! The canonical layout of a workflow's text: what `phisync fmt` writes.
//!
//! Keys stand in the order of the grammar, two spaces of indentation, double quotation marks unless
//! single ones need no escapes, no `${{ }}` around a condition. Comments keep their neighbours, blank
//! lines stay (one at a time), and what stood on one line in `{...}` or `[...]` stays there. The
//! definition's hash never changes and a second pass changes nothing; the first is checked each time
//! before a text is handed out, so that a text beyond this layout stays as it is.

mod comments;
mod reader;
mod scalar;
mod writer;

pub(crate) use scalar::bare_condition;

use crate::diagnostic::{Diagnostic, Severity, Sink};
use crate::fingerprint;
use crate::source::SourceText;
use crate::syntax;

/// Why a text has no canonical layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is not YAML that the compiler can read; here is why.
    #[error("the text cannot be read")]
    Unreadable(Vec<Diagnostic>),
    /// The layout would have changed the definition or lost a comment.
    #[error("the text has a layout that cannot be changed without changing what it says")]
    Kept,
}

/// The text in its canonical layout. JSON, a document that is one `{...}`, is returned as it is.
///
/// # Errors
/// See [`FormatError`].
pub fn format(source: &SourceText) -> Result<String, FormatError> {
    let before = hashes(source)?;
    let Some(documents) = reader::read(source.text()) else {
        return Ok(source.text().to_owned());
    };
    let text = writer::write(&documents);
    let after = hashes(&SourceText::new(source.name(), text.as_str()));
    let comments = |text: &str| {
        let mut all = comments::of(text);
        all.sort();
        all
    };
    if after.as_ref() != Ok(&before) || comments(&text) != comments(source.text()) {
        return Err(FormatError::Kept);
    }
    Ok(text)
}

/// The hash of each document.
fn hashes(source: &SourceText) -> Result<Vec<String>, FormatError> {
    let mut sink = Sink::default();
    let documents = syntax::read(source, &mut sink);
    let found = sink.finish();
    let errors = found.iter().any(|d| d.severity == Severity::Error);
    match documents {
        Some(documents) if !errors => Ok(documents
            .iter()
            .map(|document| fingerprint::of(&document.root))
            .collect()),
        _ => Err(FormatError::Unreadable(found)),
    }
}
