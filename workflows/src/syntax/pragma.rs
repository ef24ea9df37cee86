//! Comments that allow a warning: `# phisync: allow PHI612 - reason`, on the line above.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Note, Severity, Sink, code_info};
use crate::source::{SourceText, Span};

const MARKER: &str = "phisync:";

/// Which codes are allowed on which lines.
#[derive(Debug, Default)]
pub(crate) struct Pragmas {
    allowed: BTreeSet<(usize, &'static str)>,
}

impl Pragmas {
    /// Finds all such comments; what is wrong with one goes to `sink` and allows nothing.
    pub(crate) fn read(source: &SourceText, sink: &mut Sink) -> Self {
        let mut pragmas = Self::default();
        if !source.text().contains(MARKER) {
            return pragmas;
        }
        let mut pending: Vec<&'static str> = Vec::new();
        for line in 1..=source.line_count() {
            let range = source.line_range(line);
            let text = &source.text()[range.clone()];
            let trimmed = text.trim();
            let Some(comment) = trimmed.strip_prefix('#') else {
                if !trimmed.is_empty() {
                    pragmas
                        .allowed
                        .extend(pending.drain(..).map(|code| (line, code)));
                }
                continue;
            };
            if let Some(directive) = comment.trim().strip_prefix(MARKER) {
                let start = range.start + (text.len() - text.trim_start().len());
                let span = Span::new(start, start + trimmed.len());
                match allowed_code(directive.trim()) {
                    Ok(code) => pending.push(code),
                    Err(problem) => sink.push(
                        Note::warning("PHI120", span, problem)
                            .help("write `# phisync: allow PHI701 - why it is right here`"),
                    ),
                }
            }
        }
        pragmas
    }

    /// Whether a comment allows this finding. Errors cannot be allowed.
    pub(crate) fn allow(&self, source: &SourceText, diagnostic: &Diagnostic) -> bool {
        diagnostic.severity != Severity::Error
            && !self.allowed.is_empty()
            && self
                .allowed
                .contains(&(source.line(diagnostic.span.start), diagnostic.code))
    }
}

fn allowed_code(directive: &str) -> Result<&'static str, String> {
    let Some(rest) = directive.strip_prefix("allow ") else {
        return Err("a comment for phisync can only say `allow`".to_owned());
    };
    let rest = rest.trim_start();
    let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let Some(info) = code_info(code) else {
        return Err(format!("`{code}` is not a code of this version"));
    };
    let reason = reason
        .trim_start()
        .trim_start_matches(['-', ':', '\u{2013}', '\u{2014}']);
    if reason.trim().is_empty() {
        return Err(format!("allowing {code} needs a reason"));
    }
    Ok(info.code)
}
