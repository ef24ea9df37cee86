//! What the compiler reads and this version of the engine does not run.
//!
//! The one table of refusals (PHI119): to let something through, remove its word. Everything in
//! it is read and checked all the same, so that a refused workflow is told its other mistakes too.

use super::Cx;
use crate::diagnostic::Note;
use crate::source::Span;

/// The place as [`Keys`](super::keys::Keys) name it, and the keys (or values) that are refused
/// there.
const NOT_YET: &[(&str, &[&str])] = &[
    ("a workflow", &["config"]),
    ("`compat`", &["safe_points"]),
    ("`files`", &["verify"]),
];

impl Cx<'_> {
    /// Whether `word` is refused at `place`.
    pub(super) fn is_not_yet(place: &str, word: &str) -> bool {
        NOT_YET
            .iter()
            .any(|(known, words)| *known == place && words.contains(&word))
    }

    /// Refuses `word` at `place` if this version does not run it.
    pub(super) fn not_yet(&mut self, place: &str, word: &str, span: Span) {
        if !Self::is_not_yet(place, word) {
            return;
        }
        self.sink.push(
            Note::error(
                "PHI119",
                span,
                format!("`{word}` is not supported by this version of phisync"),
            )
            .label("part of the language, not of this version"),
        );
    }
}
