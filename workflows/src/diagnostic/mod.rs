//! What the compiler says about a text, as data.
//!
//! A diagnostic knows its place, not its looks: [`crate::render`] turns it into text or JSON.
//! Codes are stable and never reused; their list stands in the catalogue.

mod catalogue;
mod sink;

use crate::source::Span;

pub use catalogue::{CATALOGUE, CodeInfo, code_info};
pub(crate) use sink::{Note, Sink};

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

impl Severity {
    /// As people and programs read it: `error`, `warning`, `info`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
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
    /// A change that does it.
    pub edit: Option<Edit>,
}

/// A change of the text that answers a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// By what.
    pub replacement: String,
}
