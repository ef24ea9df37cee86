//! Undoing: effects that nobody undoes, and undoes that cannot work.

use crate::diagnostic::Note;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{Compensate, Effects, OnReject, StepKind};

/// Rules about one step alone.
pub(super) fn step(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let effectless = matches!(step.step.effects, Effects::None | Effects::Read);
    if effectless && matches!(step.step.compensate, Compensate::Task(_)) {
        cx.sink.push(
            Note::info(
                "PHI702",
                step.key_span("compensate"),
                "`compensate` on a step without effects",
            )
            .also(step.value_span("effects"), "declared here"),
        );
    }
}

/// PHI701 and PHI703: what a later failure leaves behind. Only effects that somebody wrote count:
/// `write` is also what is assumed of a task about which nothing is known.
pub(super) fn effects(cx: &mut Cx<'_>, draft: &Draft<'_>, order: &Order, index: usize) {
    let step = &draft.steps[index];
    if !matches!(step.step.kind, StepKind::Task(_)) || step.map.get("effects").is_none() {
        return;
    }
    let irreversible = step.step.effects == Effects::Irreversible;
    let undone = !matches!(step.step.compensate, Compensate::Absent);
    let relevant = match step.step.effects {
        Effects::Write => !undone,
        Effects::Irreversible => true,
        Effects::None | Effects::Read => false,
    };
    if !relevant {
        return;
    }
    // What is ordered before this step has ended when it takes effect.
    let failing = draft.steps.iter().enumerate().find(|(other, candidate)| {
        let later = if irreversible {
            order.is_before(index, *other)
        } else {
            *other != index && !order.is_before(*other, index)
        };
        later && may_fail(candidate)
    });
    let Some((_, failing)) = failing else { return };
    let (id, other) = (&step.step.id, &failing.step.id);
    let note = if irreversible {
        Note::warning(
            "PHI703",
            step.value_span("effects"),
            format!("`{id}` cannot be undone and `{other}` may fail after it"),
        )
        .help("move it last, or let what follows continue on failure")
    } else {
        Note::warning(
            "PHI701",
            step.id_span,
            format!("`{id}` has effects, `{other}` may fail after it, and nothing undoes `{id}`"),
        )
        .help("add `compensate:`, or `compensate: none` if nothing is to be undone")
    };
    cx.sink.push(note.also(failing.id_span, "may fail"));
}

fn may_fail(step: &StepDraft<'_>) -> bool {
    if step.step.on_failure.goes_on() {
        return false;
    }
    match &step.step.kind {
        StepKind::Approval(approval) => {
            approval.on_reject != OnReject::Continue
                || approval.on_timeout == crate::machine::OnTimeout::Fail
        }
        // Blocks fail by what is inside, and those steps are asked themselves.
        kind => !kind.is_block() && !matches!(kind, StepKind::Set(_) | StepKind::Finish(_)),
    }
}
