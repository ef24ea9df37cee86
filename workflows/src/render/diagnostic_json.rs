//! Diagnostics as JSON, for programs.

use serde_json::{Value as Json, json};

use crate::diagnostic::Diagnostic;
use crate::source::{SourceText, Span};

/// A list with one object per diagnostic, in order: `code severity message file span label labels
/// help edit`. A span has bytes and, for its start and end, line and column from 1.
#[must_use]
pub fn json(source: &SourceText, diagnostics: &[Diagnostic]) -> Json {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let labels: Vec<Json> = diagnostic
                .labels
                .iter()
                .map(|(at, label)| json!({ "span": span(source, *at), "text": label }))
                .collect();
            let edit = diagnostic.edit.as_ref().map(
                |edit| json!({ "span": span(source, edit.span), "replacement": edit.replacement }),
            );
            json!({
                "code": diagnostic.code,
                "severity": diagnostic.severity.name(),
                "message": diagnostic.message,
                "file": source.name(),
                "span": span(source, diagnostic.span),
                "label": diagnostic.label,
                "labels": labels,
                "help": diagnostic.help,
                "edit": edit,
            })
        })
        .collect()
}

fn span(source: &SourceText, span: Span) -> Json {
    let (line, column) = source.line_column(span.start);
    let (end_line, end_column) = source.line_column(span.end);
    json!({
        "start": span.start,
        "end": span.end,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}
