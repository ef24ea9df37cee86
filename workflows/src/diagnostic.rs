//! What the compiler says about a text, as data.

use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No machine.
    Error,
    /// A machine that may surprise.
    Warning,
    /// Worth knowing.
    Info,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, as `PHI205`; never reused.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Text at the primary span, may be empty.
    pub label: String,
    /// Other places that matter.
    pub labels: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}
