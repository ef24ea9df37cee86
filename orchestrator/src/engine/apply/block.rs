//! Facts about blocks and their passes.

use phisync_state::Timestamp;
use phisync_workflows::machine::{Owner, StepKind};

use super::{stop_waiting, undo, wait_until, walk};
use crate::engine::block::{Block, PassEnd, Progress};
use crate::engine::event::{BlockWork, CancelReason, PassOutcome, RunEvent};
use crate::engine::pass::{PassId, PassStatus, Slot, parts};
use crate::engine::run::{Clock, RunState};
use crate::engine::status::{Phase, StepStatus};
use crate::engine::step::UndoOf;
use crate::engine::{Failure, RawJson, Waker};

pub(super) fn apply_to_block(run: &mut RunState, slot: Slot, event: &RunEvent) {
    match event {
        RunEvent::BlockStarted {
            attempt,
            work,
            at,
            deadline,
            ..
        } => start(run, slot, *attempt, work, *at, *deadline),
        RunEvent::BlockFailing { error, .. } => {
            stop_waiting(run, slot);
            if let Some(block) = &mut run.step_mut(slot).block {
                block.failing = Some(error.clone());
            }
        }
        RunEvent::BlockCancelling { reason, .. } => {
            stop_waiting(run, slot);
            if let Some(block) = &mut run.step_mut(slot).block {
                block.cancelling = Some(*reason);
            }
        }
        RunEvent::BlockRetried { due, .. } => {
            if let Some(block) = &mut run.step_mut(slot).block {
                block.failures += 1;
                block.retrying = true;
            }
            wait_until(run, slot, *due);
        }
        // `apply` sends only facts about blocks here.
        _ => {}
    }
}

fn start(
    run: &mut RunState,
    slot: Slot,
    attempt: u32,
    work: &BlockWork,
    at: Timestamp,
    deadline: Option<Timestamp>,
) {
    stop_waiting(run, slot);
    let branches = match &run.spec(slot).kind {
        StepKind::Parallel(spec) => spec.branches.len(),
        _ => 0,
    };
    let step = run.step_mut(slot);
    let mut block = Block::new(work, branches, at);
    block.attempt = attempt;
    block.deadline = deadline;
    if let Some(earlier) = step.block.take() {
        block.failures = earlier.failures;
        block.first_started_at = earlier.first_started_at;
        block.deadline = earlier.deadline;
        block.passes = earlier.passes;
    }
    step.block = Some(Box::new(block));
    step.status = StepStatus::Running;
    step.started_at.get_or_insert(at);
    step.waker = Some(match work {
        BlockWork::Call { run, .. } => Waker::Child { run: run.clone() },
        BlockWork::Do
        | BlockWork::Try
        | BlockWork::Parallel
        | BlockWork::Switch { .. }
        | BlockWork::Foreach { .. }
        | BlockWork::Loop { .. } => Waker::Steps,
    });
    if let Some(deadline) = deadline {
        let undo = false;
        let clock = Clock::Total { step: slot, undo };
        run.deadlines.insert((deadline, clock));
    }
    run.undoing.remove(&UndoOf::Block(slot));
}

/// The pass comes to be, and its owner knows about it.
pub(super) fn open(run: &mut RunState, name: &str, at: Timestamp) {
    let Some((owner, body, round)) = run.read_pass_name(name) else {
        return;
    };
    let id = run.open_pass(owner, body, round);
    let Some(slot) = owner else {
        run.phase = match run.machine.body(body).owner {
            Owner::OnFailure => Phase::Handling,
            Owner::Finally => Phase::Cleaning,
            Owner::Run | Owner::Block(_) | Owner::Handler(_) | Owner::Undo(_) | Owner::State(_) => {
                run.phase
            }
        };
        if let Owner::State(_) = run.machine.body(body).owner {
            run.pass_mut(PassId::MAIN).open += 1;
            walk::entered(run, id);
        }
        return;
    };
    if run.is_undo_pass(id) {
        return undo::entered(run, slot, id);
    }
    if is_on_failure(run, slot, id) {
        let outer = run.step(slot).pass;
        run.pass_mut(outer).open += 1;
        run.step_mut(slot).handler = Some(id);
        return;
    }
    stop_waiting(run, slot);
    let part = part(run, slot, id);
    let step = run.step_mut(slot);
    step.started_at.get_or_insert(at);
    let Some(block) = &mut step.block else {
        return;
    };
    block.passes.push(id);
    block.open.insert(id);
    let mut carry = None;
    match (&mut block.progress, part) {
        (_, Part::Finally) => block.finally = Some(None),
        (Progress::Try { caught, .. }, Part::Catch(number)) => *caught = Some((number, None)),
        (Progress::Once { entered, .. } | Progress::Try { entered, .. }, _) => *entered = true,
        (Progress::Many(many), Part::Body(place)) => {
            many.next = round.unwrap_or(place) + 1;
        }
        (
            Progress::Loop {
                round: last, next, ..
            },
            _,
        ) => {
            *last = round.unwrap_or(*last + 1);
            carry = next.take();
        }
        (Progress::Many(_), Part::Catch(_)) | (Progress::Call { .. }, _) => {}
    }
    run.pass_mut(id).carry = carry;
}

/// Which part of its block a pass goes through.
enum Part {
    /// What it is there for; of several bodies, which one.
    Body(u32),
    /// A handler of a `try`.
    Catch(usize),
    /// The `finally` of a `try`.
    Finally,
}

fn part(run: &RunState, slot: Slot, pass: PassId) -> Part {
    let body = run.pass(pass).body;
    match &run.spec(slot).kind {
        StepKind::Try(spec) if spec.finally == Some(body) => Part::Finally,
        StepKind::Try(spec) => {
            let caught = spec.catch.iter().position(|catch| catch.body == body);
            caught.map_or(Part::Body(0), Part::Catch)
        }
        kind => {
            let place = parts(kind).iter().position(|(_, own)| *own == body);
            Part::Body(u32::try_from(place.unwrap_or(0)).unwrap_or(u32::MAX))
        }
    }
}

fn is_on_failure(run: &RunState, slot: Slot, pass: PassId) -> bool {
    use phisync_workflows::machine::OnFailure;
    let body = run.pass(pass).body;
    matches!(run.spec(slot).on_failure, OnFailure::Handle { body: own, .. } if own == body)
}

pub(super) fn fail(run: &mut RunState, name: &str, step: &str, error: &Failure) {
    let step = run.slot_named(step);
    if let Some(pass) = run.pass_named(name) {
        let pass = run.pass_mut(pass);
        pass.status = PassStatus::Failing;
        pass.error = Some((step, error.clone()));
    }
}

pub(super) fn stop(run: &mut RunState, pass: PassId, reason: CancelReason) {
    let pass = run.pass_mut(pass);
    pass.status = PassStatus::Stopping;
    pass.stopped = Some(reason);
}

pub(super) fn end(
    run: &mut RunState,
    name: &str,
    end: PassEnd,
    next: Option<&RawJson>,
    exhausted: bool,
    due: Option<Timestamp>,
) {
    let Some(id) = run.pass_named(name) else {
        return;
    };
    let pass = run.pass_mut(id);
    pass.status = match end.outcome {
        PassOutcome::Succeeded => PassStatus::Succeeded,
        PassOutcome::Failed => PassStatus::Failed,
        PassOutcome::Cancelled => PassStatus::Cancelled,
    };
    pass.output.clone_from(&end.output);
    if let Some(error) = &end.error {
        let at = pass.error.take().and_then(|(step, _)| step);
        pass.error = Some((at, error.clone()));
    }
    let (owner, round, body) = (pass.owner, pass.round, pass.body);
    let Some(slot) = owner else {
        if let Owner::State(_) = run.machine.body(body).owner {
            let main = run.pass_mut(PassId::MAIN);
            main.open = main.open.saturating_sub(1);
        }
        return;
    };
    if run.is_undo_pass(id) {
        return undo::left(run, slot, end.outcome);
    }
    if is_on_failure(run, slot, id) {
        let outer = run.step(slot).pass;
        let outer = run.pass_mut(outer);
        outer.open = outer.open.saturating_sub(1);
        return;
    }
    let part = part(run, slot, id);
    let Some(block) = &mut run.step_mut(slot).block else {
        return;
    };
    block.open.remove(&id);
    match (&mut block.progress, part) {
        (_, Part::Finally) => block.finally = Some(Some(end)),
        (Progress::Try { caught, .. }, Part::Catch(number)) => *caught = Some((number, Some(end))),
        (Progress::Once { end: own, .. } | Progress::Try { end: own, .. }, _) => *own = Some(end),
        (Progress::Many(many), Part::Body(place)) => many.record(round.unwrap_or(place), end),
        (
            Progress::Loop {
                next: own,
                exhausted: bound,
                end: last,
                ..
            },
            _,
        ) => {
            *own = next.cloned();
            *bound = exhausted;
            *last = Some(end);
        }
        (Progress::Many(_), Part::Catch(_)) | (Progress::Call { .. }, _) => {}
    }
    if let Some(due) = due {
        wait_until(run, slot, due);
    }
}
