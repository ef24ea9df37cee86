//! Folds one fact into a run. Total: replaying a valid journal cannot fail.
//!
//! Every wait gets its waker here, at the moment it starts, and every deadline enters or leaves
//! the run's own timer set here: whoever holds a `RunState` needs no other timers.

mod block;
mod files;
mod task;
mod undo;
mod walk;

use phisync_state::Timestamp;
use phisync_workflows::machine::StepKind;
use serde_json::Value;

use super::block::PassEnd;
use super::event::{CancelReason, RunEvent, Undo};
use super::pass::{PassId, PassStatus, Slot};
use super::run::{Clock, RunState};
use super::status::{Phase, RunStatus, StepStatus, TaskStatus};
use super::step::{Approval, Verdict};
use super::watchdog::Stall;
use super::{Failure, Pause, RawJson, Rewound, Waker};
use task::{apply_to_task, change_task};

/// Folds one journalled fact.
///
/// A fact about a step that the run does not have is ignored: such a journal was never
/// written, because a run is pinned to its definition's hash. A rewind takes back facts that are
/// applied already, which a fold cannot: whoever folds a whole stream folds [`super::standing`] facts.
pub fn apply(run: &mut RunState, event: &RunEvent) {
    run.version += 1;
    match event {
        RunEvent::RunStarted {
            run: id,
            inputs,
            labels,
            by,
            at,
            deadline,
            trigger,
            config,
            workflow: _,
            definition: _,
        } => {
            run.id = id.clone();
            run.inputs.clone_from(inputs);
            run.config.clone_from(config);
            run.labels.clone_from(labels);
            run.by.clone_from(by);
            run.trigger.clone_from(trigger);
            let vars = run.machine.vars().iter();
            run.vars = vars
                .map(|var| (var.name.clone(), var.default.clone()))
                .collect();
            run.started_at = *at;
            run.deadline = *deadline;
            run.deadlines.insert((*deadline, Clock::Run));
        }
        RunEvent::RunFailing { step, error, .. } => {
            run.phase = Phase::Failing;
            run.error = Some(error.clone());
            run.failed_step.clone_from(step);
            run.pass_mut(PassId::MAIN).status = PassStatus::Failing;
            run.deadlines.remove(&(run.deadline, Clock::Run));
            walk::stop_clock(run);
            run.listening.retain(|ear, _| !ear.contains('/'));
        }
        RunEvent::RunCancelling { by, reason, at } => {
            // It waits for no turn any more: what undoes it and tidies up needs its clocks.
            run.held = false;
            run.go_on(*at);
            run.phase = Phase::Cancelling;
            run.cancelled_by = Some((by.clone(), reason.clone()));
            block::stop(run, PassId::MAIN, CancelReason::RunCancelled);
            run.deadlines.remove(&(run.deadline, Clock::Run));
            walk::stop_clock(run);
            run.listening.retain(|ear, _| !ear.contains('/'));
        }
        RunEvent::RunPaused { by, reason, at } => {
            run.stand_still(*at);
            run.paused = Some(Pause {
                by: by.clone(),
                reason: reason.clone(),
                at: *at,
            });
        }
        RunEvent::RunRewound { to, by, reason, at } => {
            run.rewound = Some(Rewound {
                to: *to,
                by: by.clone(),
                reason: reason.clone(),
                at: *at,
            });
        }
        RunEvent::RunHeld { at } => {
            run.stand_still(*at);
            run.held = true;
        }
        RunEvent::RunResumed { at, .. } => {
            run.paused = None;
            run.go_on(*at);
        }
        RunEvent::RunAdmitted { at } => {
            run.held = false;
            run.go_on(*at);
        }
        RunEvent::SignalReceived { .. }
        | RunEvent::EventAwaited { .. }
        | RunEvent::EventDelivered { .. } => {
            run.apply_listening(event);
            begin_to_listen(run, event);
        }
        RunEvent::RunFinishing {
            outputs, recovered, ..
        } => {
            run.phase = Phase::Finishing;
            run.outputs = Some(outputs.clone());
            run.recovered = *recovered;
            run.deadlines.remove(&(run.deadline, Clock::Run));
            walk::stop_clock(run);
            run.listening.retain(|ear, _| !ear.contains('/'));
            block::stop(run, PassId::MAIN, CancelReason::RunFinished);
        }
        RunEvent::StateEntered { .. } | RunEvent::StateLeft { .. } => {
            walk::apply_to_walk(run, event);
        }
        RunEvent::UndoStarted {
            block,
            steps,
            already,
            error,
            ..
        } => {
            undo::spared(run, already);
            undo::started(run, block.as_deref(), steps, error.as_ref());
        }
        RunEvent::PassOpened { pass, at } => block::open(run, pass, *at),
        RunEvent::PassFailing {
            pass, step, error, ..
        } => block::fail(run, pass, step, error),
        RunEvent::PassStopping { pass, reason, .. } => {
            if let Some(pass) = run.pass_named(pass) {
                block::stop(run, pass, *reason);
            }
        }
        RunEvent::PassEnded {
            pass,
            outcome,
            output,
            error,
            next,
            due,
            exhausted,
            at: _,
        } => {
            let end = PassEnd {
                outcome: *outcome,
                output: output.clone(),
                error: error.clone(),
            };
            block::end(run, pass, end, next.as_ref(), *exhausted, *due);
        }
        RunEvent::StallFound { step, found, .. } => {
            run.stalled = Some(Stall {
                step: step.clone(),
                found: found.clone(),
            });
        }
        RunEvent::StallResolved { .. } => run.stalled = None,
        // For who reads the journal: the step has ended as if somebody had heard.
        RunEvent::SignalLost { .. } => {}
        RunEvent::RunCompleted { outputs, at } => {
            run.outputs = Some(outputs.clone());
            close(run, RunStatus::Completed, run.undo, *at);
        }
        RunEvent::RunFailed { undo, at } => close(run, RunStatus::Failed, *undo, *at),
        RunEvent::RunCancelled { undo, at } => close(run, RunStatus::Cancelled, *undo, *at),
        _ => {
            let index = event.step().and_then(|step| run.slot_named(step));
            if let Some(index) = index {
                apply_to_step(run, index, event);
            }
        }
    }
}

fn apply_to_step(run: &mut RunState, index: Slot, event: &RunEvent) {
    match event {
        RunEvent::StepSkipped { at, .. } => end_step(run, index, StepStatus::Skipped, *at),
        RunEvent::StepCompleted { output, at, .. } => {
            write_vars(run, index, output);
            run.step_mut(index).output = Some(output.clone());
            end_step(run, index, StepStatus::Completed, *at);
        }
        RunEvent::StepFailed { error, at, .. } => fail_step(run, index, error, *at),
        RunEvent::StepCancelled { at, .. } => {
            if run.task(index, false).is_some() {
                change_task(run, index, false, |task| {
                    task.status = TaskStatus::Cancelled;
                });
            }
            end_step(run, index, StepStatus::Cancelled, *at);
        }
        RunEvent::ApprovalRequested {
            prompt,
            show,
            shown_hash,
            excluded,
            at,
            deadline,
            escalates_at,
            ..
        } => {
            let step = run.step_mut(index);
            step.status = StepStatus::Waiting;
            step.started_at = Some(*at);
            step.waker = Some(Waker::Person { until: *deadline });
            step.approval = Some(Box::new(Approval {
                prompt: prompt.clone(),
                show: show.clone(),
                shown_hash: shown_hash.clone(),
                excluded: excluded.clone(),
                requested_at: *at,
                deadline: *deadline,
                escalated: false,
                verdicts: Vec::new(),
            }));
            step.due = *escalates_at;
            if let Some(due) = escalates_at {
                run.deadlines.insert((*due, Clock::Timer { step: index }));
            }
            let clock = Clock::Approval { step: index };
            run.deadlines.insert((*deadline, clock));
        }
        RunEvent::ApprovalDecided {
            approved,
            decision,
            by,
            comment,
            form,
            at,
            ..
        } => {
            let plain = if *approved { "approve" } else { "reject" };
            if let Some(approval) = &mut run.step_mut(index).approval {
                approval.verdicts.push(Verdict {
                    decision: decision.as_deref().unwrap_or(plain).to_owned(),
                    form: form.clone(),
                    by: by.clone(),
                    comment: comment.clone(),
                    at: *at,
                });
            }
        }
        RunEvent::ApprovalEscalated { .. } => {
            let step = run.step_mut(index);
            let due = step.due.take();
            if let Some(approval) = &mut step.approval {
                approval.escalated = true;
            }
            if let Some(due) = due {
                run.deadlines.remove(&(due, Clock::Timer { step: index }));
            }
        }
        RunEvent::IncidentOpened { error, .. } => undo::parked(run, index, error),
        RunEvent::IncidentResolved { action, .. } => undo::resolved(run, index, *action),
        RunEvent::TimerSet { at, due, .. } => {
            let step = run.step_mut(index);
            step.started_at = Some(*at);
            wait_until(run, index, *due);
        }
        RunEvent::FilesWanted { .. }
        | RunEvent::FilesDecided { .. }
        | RunEvent::FilesRetried { .. } => files::apply_to_files(run, index, event),
        RunEvent::ChildEnded {
            outcome,
            output,
            error,
            ..
        } => {
            let end = PassEnd {
                outcome: *outcome,
                output: output.clone(),
                error: error.clone(),
            };
            run.end_child(index, end);
        }
        RunEvent::BlockStarted { .. }
        | RunEvent::BlockFailing { .. }
        | RunEvent::BlockCancelling { .. }
        | RunEvent::BlockRetried { .. } => block::apply_to_block(run, index, event),
        _ => apply_to_task(run, index, event),
    }
}

/// A step that begins to listen waits until its deadline; transitions listen without one.
fn begin_to_listen(run: &mut RunState, event: &RunEvent) {
    let RunEvent::EventAwaited {
        step,
        subscription,
        at,
        deadline: Some(deadline),
    } = event
    else {
        return;
    };
    if let Some(slot) = run.slot_named(step) {
        wait_until(run, slot, *deadline);
        let step = run.step_mut(slot);
        step.started_at = Some(*at);
        step.waker = Some(Waker::Event {
            source: subscription.source.words(),
            until: *deadline,
        });
    }
}

/// What a `set` has written are the values from now on.
fn write_vars(run: &mut RunState, index: Slot, output: &RawJson) {
    if let (StepKind::Set(_), Value::Object(values)) = (&run.spec(index).kind, output.parse()) {
        run.vars.extend(values);
    }
}

/// A holder that was asked to stop leaves a cancelled step, whatever it says.
fn end_with_error(run: &mut RunState, index: Slot, error: &Failure, at: Timestamp) {
    let asked = run.task(index, false).is_some_and(|t| t.cancel_requested);
    if !asked {
        fail_step(run, index, error, at);
        return;
    }
    change_task(run, index, false, |task| {
        task.status = TaskStatus::Cancelled;
    });
    run.step_mut(index).error = Some(error.clone());
    end_step(run, index, StepStatus::Cancelled, at);
}

fn fail_step(run: &mut RunState, index: Slot, error: &Failure, at: Timestamp) {
    run.step_mut(index).error = Some(error.clone());
    end_step(run, index, StepStatus::Failed, at);
}

fn end_step(run: &mut RunState, index: Slot, status: StepStatus, at: Timestamp) {
    let pass = run.step(index).pass;
    let pass = run.pass_mut(pass);
    pass.open = pass.open.saturating_sub(1);
    run.ended_steps += 1;
    let order = run.ended_steps;
    let step = run.step_mut(index);
    step.status = status;
    step.outcome = Some(status);
    step.ended_at = Some(at);
    step.ended_order = order;
    step.waker = None;
    run.stop_listening(index);
    let step = run.step_mut(index);
    let due = step.due.take();
    let block = step.block.as_ref().and_then(|block| block.deadline);
    if let Some(due) = due {
        run.deadlines.remove(&(due, Clock::Timer { step: index }));
    }
    if let Some(deadline) = block {
        let clock = Clock::Total {
            step: index,
            undo: false,
        };
        run.deadlines.remove(&(deadline, clock));
    }
    let step = run.step(index);
    if let Some(deadline) = step.approval.as_ref().map(|approval| approval.deadline) {
        let clock = Clock::Approval { step: index };
        run.deadlines.remove(&(deadline, clock));
    }
}

/// A step waits for a time alone.
fn wait_until(run: &mut RunState, index: Slot, due: Timestamp) {
    let step = run.step_mut(index);
    step.status = StepStatus::Waiting;
    step.waker = Some(Waker::Timer { at: due });
    let earlier = step.due.replace(due);
    let clock = Clock::Timer { step: index };
    if let Some(earlier) = earlier {
        run.deadlines.remove(&(earlier, clock));
    }
    run.deadlines.insert((due, clock));
}

/// The time that it waited for has come, or does not matter any more.
fn stop_waiting(run: &mut RunState, index: Slot) {
    let step = run.step_mut(index);
    if let Some(due) = step.due.take() {
        step.status = StepStatus::Running;
        step.waker = Some(Waker::Steps);
        run.deadlines.remove(&(due, Clock::Timer { step: index }));
    }
}

fn close(run: &mut RunState, status: RunStatus, undo: Undo, at: Timestamp) {
    run.status = status;
    run.phase = Phase::Closed;
    run.undo = undo;
    run.closed_at = Some(at);
    run.waker = None;
    run.undoing.clear();
    run.deadlines.clear();
}
