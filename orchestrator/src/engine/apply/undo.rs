//! Facts about the undoing of steps: what is left of it, and what waits for a person.

use crate::engine::event::{PassOutcome, Undo};
use crate::engine::pass::{PassId, Slot};
use crate::engine::run::{RunState, Undoing};
use crate::engine::status::{Phase, StepStatus};
use crate::engine::step::UndoOf;
use crate::engine::{Failure, Resolution, Waker};

pub(super) fn started(
    run: &mut RunState,
    block: Option<&str>,
    steps: &[String],
    error: Option<&Failure>,
) {
    let whose = match block.map(|block| run.slot_named(block)) {
        None => UndoOf::Run,
        Some(Some(slot)) => UndoOf::Block(slot),
        Some(None) => return,
    };
    if whose == UndoOf::Run {
        run.phase = Phase::Compensating;
        run.waker = Some(Waker::Undo);
    }
    let left: Vec<_> = steps
        .iter()
        .rev()
        .filter_map(|id| run.slot_named(id))
        .collect();
    for slot in &left {
        run.step_mut(*slot).undone_by = Some(whose);
    }
    let undoing = Undoing {
        left,
        parked: 0,
        error: error.cloned(),
        ..Undoing::default()
    };
    run.undoing.insert(whose, undoing);
}

/// What another run has undone counts as undone here.
pub(super) fn spared(run: &mut RunState, steps: &[String]) {
    for slot in steps
        .iter()
        .filter_map(|id| run.slot_named(id))
        .collect::<Vec<_>>()
    {
        let step = run.step_mut(slot);
        step.status = StepStatus::Compensated;
        step.undone_by = Some(UndoOf::Run);
    }
}

fn undoing(run: &mut RunState, slot: Slot) -> Option<&mut Undoing> {
    let whose = run.step(slot).undone_by?;
    run.undoing.get_mut(&whose)
}

/// The undo of `slot` is in the queue.
pub(super) fn began(run: &mut RunState, slot: Slot) {
    if let Some(undoing) = undoing(run, slot) {
        undoing.take(slot);
        undoing.under_way.insert(slot);
    }
}

/// The pass through what undoes `slot` has begun.
pub(super) fn entered(run: &mut RunState, slot: Slot, pass: PassId) {
    let step = run.step_mut(slot);
    step.undo_pass = Some(pass);
    step.status = StepStatus::Compensating;
    step.waker = Some(Waker::Steps);
    began(run, slot);
}

/// The pass through what undoes `slot` has ended; if badly, `parked` says what that means.
pub(super) fn left(run: &mut RunState, slot: Slot, outcome: PassOutcome) {
    if outcome == PassOutcome::Succeeded {
        let step = run.step_mut(slot);
        step.status = StepStatus::Compensated;
        step.waker = None;
        ended(run, slot);
    }
}

/// The undo of `slot` has succeeded.
pub(super) fn ended(run: &mut RunState, slot: Slot) {
    if let Some(undoing) = undoing(run, slot) {
        undoing.under_way.remove(&slot);
    }
}

/// The undo of `slot` failed for good, or could not even begin.
pub(super) fn parked(run: &mut RunState, slot: Slot, error: &Failure) {
    if let Some(undoing) = undoing(run, slot) {
        undoing.take(slot);
        undoing.under_way.remove(&slot);
        undoing.parked += 1;
    }
    run.incidents.insert(slot, error.clone());
    let waker = Some(Waker::Incident {
        step: run.name(slot),
    });
    if run.phase == Phase::Compensating {
        run.waker.clone_from(&waker);
    }
    let step = run.step_mut(slot);
    step.status = StepStatus::CompensationFailed;
    step.waker = waker;
}

/// A person decided about the undo of `slot`.
pub(super) fn resolved(run: &mut RunState, slot: Slot, action: Resolution) {
    run.incidents.remove(&slot);
    if run.phase == Phase::Compensating {
        let next = run.incidents.keys().next().copied();
        run.waker = Some(next.map_or(Waker::Undo, |next| Waker::Incident {
            step: run.name(next),
        }));
    }
    run.step_mut(slot).waker = None;
    if let Some(undoing) = undoing(run, slot) {
        undoing.parked = undoing.parked.saturating_sub(1);
        match action {
            Resolution::Retry => undoing.left.push(slot),
            Resolution::Skip => {}
            Resolution::Abandon => undoing.left.clear(),
        }
    }
    match action {
        Resolution::Retry => {}
        Resolution::Skip if run.undo == Undo::Abandoned => {}
        Resolution::Skip => run.undo = Undo::Partial,
        Resolution::Abandon => run.undo = Undo::Abandoned,
    }
}
