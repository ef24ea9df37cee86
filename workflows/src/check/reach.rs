//! Steps that can never run, and joins that can never be met.
//!
//! Only the first step of a chain is told: what comes after one that never runs does not either.

use super::fate::{Fates, catches_all};
use crate::diagnostic::Note;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{Join, StepKind};

/// PHI402, PHI413 and PHI417 of one step.
pub(super) fn step(cx: &mut Cx<'_>, draft: &Draft<'_>, fates: &Fates, index: usize) {
    let step = &draft.steps[index];
    let fate = fates.get(index);
    if !fates.starts(step.step.body) {
        return;
    }
    if !fate.met {
        match step.step.join {
            Join::All => blocked(cx, draft, fates, step),
            Join::Any | Join::First => unmet(cx, draft, fates, step, 1),
            Join::AtLeast(least) => unmet(cx, draft, fates, step, least),
        }
    } else if !fate.runs {
        only_skipped(cx, draft, fates, step);
    }
    unreachable_handlers(cx, step);
}

/// PHI402 of handlers behind one that takes every error.
fn unreachable_handlers(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let StepKind::Try(spec) = &step.step.kind else {
        return;
    };
    let entries = step.nested_items("try", "catch");
    let place = |at: usize| entries.get(at).map_or(step.id_span, |node| node.span);
    let Some(all) = spec.catch.iter().position(catches_all) else {
        return;
    };
    for at in all + 1..spec.catch.len() {
        cx.sink.push(
            Note::warning("PHI402", place(at), "this handler can never run")
                .also(place(all), "handles every error")
                .help("put the narrower one first"),
        );
    }
}

/// Why a need never lets others go on, `None` if it was told itself.
fn cause(draft: &Draft<'_>, fates: &Fates, need: usize) -> Option<String> {
    let fate = fates.get(need);
    let step = &draft.steps[need].step;
    fate.runs.then(|| {
        let what = if fate.misses {
            "never succeeds"
        } else if fate.fails {
            "always fails"
        } else {
            "always ends the run"
        };
        format!("`{}` {what}", step.id)
    })
}

fn blocked(cx: &mut Cx<'_>, draft: &Draft<'_>, fates: &Fates, step: &StepDraft<'_>) {
    let needs = step.step.needs.iter().map(|need| need.get());
    let found = needs
        .enumerate()
        .find(|(_, need)| !fates.get(*need).passes());
    let Some((place, need)) = found else { return };
    let Some(cause) = cause(draft, fates, need) else {
        return;
    };
    let span = step.need_spans.get(place).copied();
    cx.sink.push(
        Note::warning(
            "PHI402",
            step.id_span,
            format!("step `{}` can never run", step.step.id),
        )
        .also(span.unwrap_or(draft.steps[need].id_span), cause)
        .help(format!("give `{}` a condition", draft.steps[need].step.id)),
    );
}

fn unmet(cx: &mut Cx<'_>, draft: &Draft<'_>, fates: &Fates, step: &StepDraft<'_>, wanted: u32) {
    let needs = &step.step.needs;
    let (can, cannot): (Vec<usize>, Vec<usize>) = needs
        .iter()
        .map(|need| need.get())
        .partition(|need| fates.get(*need).succeeds);
    if cannot
        .iter()
        .all(|need| cause(draft, fates, *need).is_none())
    {
        return;
    }
    let mut note = Note::error(
        "PHI413",
        step.value_span("join"),
        format!(
            "join can never be met: {} of {} needs can succeed, {wanted} must",
            can.len(),
            needs.len()
        ),
    )
    .help("`join` counts successes; wait for steps that can succeed");
    for need in cannot {
        if let Some(cause) = cause(draft, fates, need) {
            note = note.also(draft.steps[need].id_span, cause);
        }
    }
    cx.sink.push(note);
}

fn only_skipped(cx: &mut Cx<'_>, draft: &Draft<'_>, fates: &Fates, step: &StepDraft<'_>) {
    let wanted = step
        .step
        .condition
        .iter()
        .flat_map(|c| c.requires_success_of());
    for id in wanted {
        let other = draft.steps.iter().position(|draft| draft.step.id == id);
        let Some(other) = other.filter(|other| !fates.get(*other).succeeds) else {
            continue;
        };
        let Some(cause) = cause(draft, fates, other) else {
            continue;
        };
        cx.sink.push(
            Note::warning(
                "PHI417",
                step.id_span,
                format!(
                    "`{}` can only be skipped or cancelled, as {cause}",
                    step.step.id
                ),
            )
            .also(
                step.value_span("if"),
                format!("`steps.{id}.outcome == 'succeeded'` is never true"),
            ),
        );
        return;
    }
}
