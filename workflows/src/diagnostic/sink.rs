//! Gathers findings while a text is compiled and puts them in order.
//!
//! The order is place, code, message, severity: the same text gives the same list. Of one code at
//! most [`PER_PARENT`] findings are kept below one parent (a step, or the document), and the last
//! one kept says how many are not shown.

use std::collections::BTreeMap;

use super::{Diagnostic, Edit, Severity};
use crate::source::Span;

/// Findings of one code that are kept below one parent.
const PER_PARENT: usize = 5;

/// A finding in the making.
pub(crate) struct Note(Diagnostic);

impl Note {
    /// An error; `code` is one of the catalogue.
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    pub(crate) fn info(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Info, span, message)
    }

    pub(crate) fn new(
        code: &'static str,
        severity: Severity,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        debug_assert!(
            super::code_info(code).is_some(),
            "{code} is missing in the catalogue"
        );
        Self(Diagnostic {
            code,
            severity,
            message: message.into(),
            span,
            label: String::new(),
            labels: Vec::new(),
            help: None,
            edit: None,
        })
    }

    /// Text beside the primary span.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = label.into();
        self
    }

    /// Another place that matters.
    pub(crate) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.0.labels.push((span, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The same finding at another place.
    pub(crate) fn at(mut self, span: Span) -> Self {
        self.0.span = span;
        self
    }

    /// The same finding under the code that it has at a special place.
    pub(crate) fn recode(mut self, code: &'static str) -> Self {
        self.0.code = code;
        self
    }

    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.0.help = help.or(self.0.help);
        self
    }

    /// The same finding in other words.
    pub(crate) fn reword(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    pub(crate) fn edit_if(self, edit: Option<(Span, String)>) -> Self {
        match edit {
            Some((span, replacement)) => self.edit(span, replacement),
            None => self,
        }
    }

    /// A change that answers the finding.
    pub(crate) fn edit(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.0.edit = Some(Edit {
            span,
            replacement: replacement.into(),
        });
        self
    }
}

/// All findings of one text.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    parent: u32,
    findings: Vec<(u32, Diagnostic)>,
}

impl Sink {
    /// Findings from here on belong to the parent that starts at `span`.
    pub(crate) fn enter(&mut self, span: Span) {
        self.parent = span.start;
    }

    pub(crate) fn push(&mut self, note: Note) {
        self.findings.push((self.parent, note.0));
    }

    /// Takes over the findings of another sink.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// How many findings there are so far, to ask with [`Sink::has_errors_since`] later.
    pub(crate) fn mark(&self) -> usize {
        self.findings.len()
    }

    pub(crate) fn has_errors_since(&self, mark: usize) -> bool {
        self.findings[mark..]
            .iter()
            .any(|(_, d)| d.severity == Severity::Error)
    }

    /// Whether this code was found inside `span`.
    pub(crate) fn has_within(&self, code: &str, span: Span) -> bool {
        self.findings
            .iter()
            .any(|(_, d)| d.code == code && span.start <= d.span.start && d.span.end <= span.end)
    }

    /// The places of all errors so far.
    pub(crate) fn errors(&self) -> Vec<Span> {
        self.findings
            .iter()
            .filter(|(_, d)| d.severity == Severity::Error)
            .map(|(_, d)| d.span)
            .collect()
    }

    /// Removes what `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Diagnostic) -> bool) {
        self.findings.retain(|(_, d)| keep(d));
    }

    /// Everything, in order, without repetitions.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.findings.sort_by(|(_, a), (_, b)| {
            (a.span, a.code, &a.message, a.severity).cmp(&(b.span, b.code, &b.message, b.severity))
        });
        // The same words about the same place are one finding: the most severe comes first.
        self.findings.dedup_by(|(_, b), (_, a)| {
            a.span == b.span && a.code == b.code && a.message == b.message
        });
        let mut totals: BTreeMap<(u32, &'static str), usize> = BTreeMap::new();
        for (parent, diagnostic) in &self.findings {
            *totals.entry((*parent, diagnostic.code)).or_default() += 1;
        }
        let mut seen: BTreeMap<(u32, &'static str), usize> = BTreeMap::new();
        let mut kept = Vec::with_capacity(self.findings.len());
        for (parent, mut diagnostic) in self.findings {
            let key = (parent, diagnostic.code);
            let count = seen.entry(key).or_default();
            *count += 1;
            if *count > PER_PARENT {
                continue;
            }
            let hidden = totals[&key].saturating_sub(PER_PARENT);
            if *count == PER_PARENT && hidden > 0 {
                let more = format!("{hidden} more like this are not shown");
                diagnostic.help = Some(match diagnostic.help {
                    Some(help) => format!("{help}; {more}"),
                    None => more,
                });
            }
            kept.push(diagnostic);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_code_five_are_kept_below_a_parent_and_the_rest_is_counted() {
        let mut sink = Sink::default();
        for at in (0..8).rev() {
            sink.push(Note::error("PHI101", Span::new(at, at + 1), "x"));
        }
        sink.enter(Span::new(50, 60));
        sink.push(Note::error("PHI101", Span::new(51, 52), "x"));
        let kept = sink.finish();
        assert_eq!(kept.len(), 6);
        assert_eq!(
            kept[4].help.as_deref(),
            Some("3 more like this are not shown")
        );
        assert_eq!(kept[5].help, None);
    }

    #[test]
    fn the_most_severe_of_one_code_at_one_place_wins() {
        let mut sink = Sink::default();
        sink.push(Note::warning("PHI005", Span::new(1, 2), "w"));
        sink.push(Note::error("PHI005", Span::new(1, 2), "w"));
        let kept = sink.finish();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].severity, Severity::Error);
    }
}
