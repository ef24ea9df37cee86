//! Comments that allow a warning: `# phisync: allow PHI612 - reason`, on the line above.
//!
//! A comment that allows nothing is itself a finding (PHI120): one without a reason, one with a
//! code that is not known, and one whose warning is not there (any more).

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Note, Severity, Sink, code_info};
use crate::source::{SourceText, Span};

const MARKER: &str = "phisync:";

/// Which codes are allowed on which lines.
#[derive(Debug, Default)]
pub(crate) struct Pragmas {
    allowed: BTreeMap<(usize, &'static str), Allowed>,
}

/// One comment that allows something.
#[derive(Debug)]
struct Allowed {
    comment: Span,
    used: bool,
}

impl Pragmas {
    /// Finds all such comments; what is wrong with one goes to `sink` and allows nothing.
    pub(crate) fn read(source: &SourceText, sink: &mut Sink) -> Self {
        let mut pragmas = Self::default();
        if !source.text().contains(MARKER) {
            return pragmas;
        }
        let mut pending: Vec<(&'static str, Span)> = Vec::new();
        for line in 1..=source.line_count() {
            let range = source.line_range(line);
            let text = &source.text()[range.clone()];
            let trimmed = text.trim();
            let Some(comment) = trimmed.strip_prefix('#') else {
                if !trimmed.is_empty() {
                    pragmas.allow_on(line, &mut pending);
                }
                continue;
            };
            if let Some(directive) = comment.trim().strip_prefix(MARKER) {
                let start = range.start + (text.len() - text.trim_start().len());
                let span = Span::new(start, start + trimmed.len());
                match allowed_code(directive.trim()) {
                    Ok(code) => pending.push((code, span)),
                    Err(problem) => sink.push(
                        Note::warning("PHI120", span, problem)
                            .help("write `# phisync: allow PHI701 - why it is right here`"),
                    ),
                }
            }
        }
        // Comments after the last line of the text stand above nothing.
        pragmas.allow_on(source.line_count() + 1, &mut pending);
        pragmas
    }

    fn allow_on(&mut self, line: usize, pending: &mut Vec<(&'static str, Span)>) {
        for (code, comment) in pending.drain(..) {
            self.allowed.entry((line, code)).or_insert(Allowed {
                comment,
                used: false,
            });
        }
    }

    /// Whether a comment allows this finding. Errors cannot be allowed.
    pub(crate) fn allow(&mut self, source: &SourceText, diagnostic: &Diagnostic) -> bool {
        if diagnostic.severity == Severity::Error || self.allowed.is_empty() {
            return false;
        }
        let place = (source.line(diagnostic.span.start), diagnostic.code);
        let found = self.allowed.get_mut(&place);
        found.map(|allowed| allowed.used = true).is_some()
    }

    /// Reports the comments whose finding was not there. `looked_for` says whether a code was
    /// looked for at all: without a team nobody does for PHI6xx.
    pub(crate) fn unused(
        &self,
        source: &SourceText,
        sink: &mut Sink,
        looked_for: impl Fn(&str) -> bool,
    ) {
        for ((_, code), allowed) in &self.allowed {
            if allowed.used || !looked_for(code) {
                continue;
            }
            let message = format!("nothing reports {code} on the line below");
            let note = Note::warning("PHI120", allowed.comment, message)
                .label("allows nothing")
                .help("remove the comment")
                .edit(whole_line(source, allowed.comment), "");
            sink.push(note);
        }
    }
}

/// The line of a comment, with its end.
fn whole_line(source: &SourceText, comment: Span) -> Span {
    let line = source.line(comment.start);
    let end = if line < source.line_count() {
        source.line_range(line + 1).start
    } else {
        source.line_range(line).end
    };
    Span::new(source.line_range(line).start, end)
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
