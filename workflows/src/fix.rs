//! Applies the edits that diagnostics offer: text in, text and the list of changes out.
//!
//! Edits that overlap are never merged: the first by place is taken, and the others have their turn
//! in the next round, against the new text, if they are offered again. Every change is in the
//! list with its reason, so that nothing changes silently.

use crate::diagnostic::{Diagnostic, Edit};
use crate::source::{SourceText, Span};
use crate::{Catalog, compile};

/// Rounds of compiling and applying. An edit may uncover the next finding; more rounds than this
/// would be edits that chase each other.
const ROUNDS_MAX: usize = 10;

/// A text with its edits applied.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// The new text; the old one if there was nothing to apply.
    pub text: String,
    /// What was changed and why, in the order of application.
    pub applied: Vec<Applied>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The code of the finding that offered it.
    pub code: &'static str,
    /// What was wrong.
    pub message: String,
    /// The first line that changed, from 1, in the text as it was when the change was made.
    pub line: usize,
    /// The lines as they were.
    pub before: String,
    /// The lines as they are now.
    pub after: String,
}

/// Applies all edits of the diagnostics of `source`, and those of what they uncover.
#[must_use]
pub fn fix(source: &SourceText, catalog: Option<&Catalog>) -> Fixed {
    let mut fixed = Fixed {
        text: source.text().to_owned(),
        applied: Vec::new(),
    };
    if source.bad_byte().is_some() {
        return fixed;
    }
    for _ in 0..ROUNDS_MAX {
        let current = SourceText::new(source.name(), fixed.text.as_str());
        let found = compile(&current, catalog).diagnostics;
        let chosen = without_overlap(&found);
        if chosen.is_empty() {
            break;
        }
        let applied = chosen.iter().map(|(diagnostic, edit)| {
            let (line, before, after) = lines(&current, edit);
            Applied {
                code: diagnostic.code,
                message: diagnostic.message.clone(),
                line,
                before,
                after,
            }
        });
        fixed.applied.extend(applied);
        let edits: Vec<&Edit> = chosen.iter().map(|(_, edit)| *edit).collect();
        let text = replaced(current.text(), &edits);
        if text == fixed.text {
            break;
        }
        fixed.text = text;
    }
    fixed
}

/// The edits that can be applied together: in order, none of them touching another.
fn without_overlap(found: &[Diagnostic]) -> Vec<(&Diagnostic, &Edit)> {
    let mut offered: Vec<(&Diagnostic, &Edit)> = found
        .iter()
        .filter_map(|diagnostic| Some((diagnostic, diagnostic.edit.as_ref()?)))
        .collect();
    offered.sort_by_key(|(_, edit)| edit.span);
    let mut chosen: Vec<(&Diagnostic, &Edit)> = Vec::new();
    for (diagnostic, edit) in offered {
        let touches = chosen
            .last()
            .is_some_and(|(_, last)| edit.span.start <= last.span.end);
        if !touches {
            chosen.push((diagnostic, edit));
        }
    }
    chosen
}

/// The text with edits applied, which are in order and do not touch each other.
fn replaced(text: &str, edits: &[&Edit]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let Span { start, end } = edit.span;
        new.push_str(text.get(at..start as usize).unwrap_or_default());
        new.push_str(&edit.replacement);
        at = end as usize;
    }
    new.push_str(text.get(at..).unwrap_or_default());
    new
}

/// The lines that an edit touches: where they start, as they were, and as they become.
fn lines(source: &SourceText, edit: &Edit) -> (usize, String, String) {
    let first = source.line(edit.span.start);
    // A span that ends at the start of a line leaves that line alone.
    let end = edit.span.end.max(edit.span.start + 1) - 1;
    let last = source.line(end).max(first);
    let whole = Span::new(
        source.line_range(first).start,
        source.line_range(last).end.max(edit.span.end as usize),
    );
    let before = source.slice(whole);
    let inner = Edit {
        span: Span {
            start: edit.span.start - whole.start,
            end: edit.span.end - whole.start,
        },
        replacement: edit.replacement.clone(),
    };
    let after = replaced(before, &[&inner]);
    (first, before.to_owned(), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Fixed {
        fix(&SourceText::new("x", text), None)
    }

    #[test]
    fn a_slip_is_mended_and_the_change_is_told() {
        let fixed = fixed("workflow: w\nsteps:\n  - id: a\n    promt: Go.\n");
        assert_eq!(
            fixed.text,
            "workflow: w\nsteps:\n  - id: a\n    prompt: Go.\n"
        );
        let [change] = &fixed.applied[..] else {
            panic!("one change: {:?}", fixed.applied)
        };
        assert_eq!((change.code, change.line), ("PHI101", 4));
        assert_eq!(change.before, "    promt: Go.");
        assert_eq!(change.after, "    prompt: Go.");
    }

    #[test]
    fn what_an_edit_uncovers_is_mended_in_the_next_round() {
        let text = "workflow: w\nsteps:\n  - { id: a, prompt: x }\n  - { id: b, promt: '${{ steps.a.output }}' }\n";
        let fixed = fixed(text);
        let codes: Vec<&str> = fixed.applied.iter().map(|change| change.code).collect();
        assert_eq!(codes, ["PHI101", "PHI205"], "{}", fixed.text);
        let again = compile(&SourceText::new("x", fixed.text.as_str()), None);
        assert!(!again.has_errors(), "{:?}", again.diagnostics);
    }

    #[test]
    fn edits_that_touch_each_other_are_not_applied_together() {
        let edit = |start, end| Edit {
            span: Span::new(start, end),
            replacement: "x".to_owned(),
        };
        let finding = |edit| Diagnostic {
            code: "PHI101",
            severity: crate::Severity::Error,
            message: String::new(),
            span: Span::new(0, 1),
            label: String::new(),
            labels: Vec::new(),
            help: None,
            edit: Some(edit),
        };
        let found = [edit(4, 6), edit(0, 5), edit(5, 5), edit(9, 9)].map(finding);
        let starts: Vec<u32> = without_overlap(&found)
            .iter()
            .map(|(_, edit)| edit.span.start)
            .collect();
        assert_eq!(starts, [0, 9]);
    }

    #[test]
    fn a_comment_that_allows_nothing_goes_with_its_line() {
        let text = "workflow: w\nsteps:\n  # phisync: allow PHI701 - once there was a reason\n  - { id: a, prompt: x }\n";
        assert_eq!(
            fixed(text).text,
            "workflow: w\nsteps:\n  - { id: a, prompt: x }\n"
        );
    }

    #[test]
    fn text_that_is_not_utf8_stays_as_it_is() {
        let source = SourceText::from_bytes("x", b"promt: \xff".to_vec());
        assert!(fix(&source, None).applied.is_empty());
    }
}
