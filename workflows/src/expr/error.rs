//! What goes wrong with an expression: before a run ([`ExprError`]) and in one ([`EvalError`]).

use std::ops::Range;

use super::{Expr, Type};
use crate::diagnostic::Severity;

/// An expression that passed the checker.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The expression, ready to evaluate.
    pub expr: Expr,
    /// What it evaluates to.
    pub ty: Type,
    /// Warnings and remarks, by place.
    pub warnings: Vec<ExprError>,
}

/// One finding in an expression's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Stable code, as `PHI304`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where, in bytes of the expression's text. Empty at the end of an unfinished text.
    pub range: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// Text at the place, may be empty.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl ExprError {
    pub(super) fn new(code: &'static str, range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            range,
            message: message.into(),
            label: String::new(),
            help: None,
        }
    }

    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean ...?` when a near name is known, else the fallback.
    pub(super) fn suggest(mut self, nearest: Option<&str>, otherwise: Option<String>) -> Self {
        self.help = nearest
            .map(|name| format!("did you mean `{name}`?"))
            .or(otherwise);
        self
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} in `{source_text}`")]
pub struct EvalError {
    /// What went wrong.
    pub message: String,
    /// The expression.
    pub source_text: String,
}
