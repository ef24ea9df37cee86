//! Alternatives of which the first that holds is taken: cases of a `switch`.

use super::domains::Declared;
use super::guards::{self, TooMany};
use crate::diagnostic::Note;
use crate::expr::formula::Formula;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{StepKind, SwitchSpec};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// PHI412, and PHI406 as a remark: the first case that is true is chosen, so an overlap is often
/// meant.
pub(super) fn switch(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>) {
    let StepKind::Switch(switch) = &step.step.kind else {
        return;
    };
    let declared = Declared::of(draft);
    let guards: Vec<Formula> = switch.cases.iter().map(|c| c.when.formula()).collect();
    match guards::analyse(&guards, &|term| declared.domain(term)) {
        Err(TooMany(count)) => too_many(cx, step.key_span("switch"), count),
        Ok(found) => {
            for &at in &found.shadowed {
                let note = Note::warning(
                    "PHI412",
                    case_span(step, at),
                    format!("case `{}` can never be chosen", switch.cases[at].id),
                )
                .label("an earlier case is true whenever this one is")
                .help("the first case that is true is chosen: put the narrower one first");
                cx.sink.push(earlier(note, step, switch, at));
            }
            for overlap in found.overlaps {
                if found.shadowed.binary_search(&overlap.second).is_ok() {
                    continue;
                }
                let (first, second) = (
                    &switch.cases[overlap.first].id,
                    &switch.cases[overlap.second].id,
                );
                cx.sink.push(
                    Note::info(
                        "PHI406",
                        case_span(step, overlap.second),
                        format!("cases `{first}` and `{second}` can both be true"),
                    )
                    .label(format!("as when {}", overlap.example))
                    .also(case_span(step, overlap.first), "this one is chosen then"),
                );
            }
        }
    }
}

/// Points at the case before, if there is only one.
fn earlier(note: Note, step: &StepDraft<'_>, switch: &SwitchSpec, at: usize) -> Note {
    if at == 1 {
        let first = format!("`{}`", switch.cases[0].id);
        note.also(case_span(step, 0), format!("{first} is chosen instead"))
    } else {
        note
    }
}

/// PHI426.
pub(super) fn too_many(cx: &mut Cx<'_>, span: Span, count: usize) {
    cx.sink.push(
        Note::warning(
            "PHI426",
            span,
            format!("the conditions here were not compared: more than {count} combinations"),
        )
        .help("test fewer values in one place, or decide in two steps"),
    );
}

/// The place of a case's `when`.
fn case_span(step: &StepDraft<'_>, at: usize) -> Span {
    let fields = step
        .map
        .get("switch")
        .and_then(|entry| entry.value.as_map());
    let cases = fields.and_then(|fields| fields.get("cases"));
    let case = cases
        .and_then(|entry| entry.value.as_seq())
        .and_then(|cases| cases.get(at))
        .and_then(Node::as_map);
    let when = case.and_then(|case: &Map| case.get("when"));
    when.map_or(step.id_span, |entry| entry.value.span)
}
