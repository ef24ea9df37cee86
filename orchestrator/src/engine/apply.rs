//! Folds one fact into a run. Total: replaying a valid journal cannot fail.
//!
//! Every wait gets its waker here, at the moment it starts, and every deadline enters or leaves
//! the run's own timer set here: whoever holds a `RunState` needs no other timers.

use phisync_state::Timestamp;

use super::event::{RunEvent, Then, Undo};
use super::pass::Slot;
use super::run::{Clock, RunState};
use super::status::{Phase, RunStatus, StepStatus, TaskStatus};
use super::step::{Approval, Ended, Holder, TaskState, Verdict};
use super::{Failure, Pause, Resolution, Waker};

/// Folds one journalled fact.
///
/// A fact about a step that the run does not have is ignored: such a journal was never
/// written, because a run is pinned to its definition's hash.
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
            workflow: _,
            definition: _,
        } => {
            run.id = id.clone();
            run.inputs.clone_from(inputs);
            run.labels.clone_from(labels);
            run.by.clone_from(by);
            run.trigger.clone_from(trigger);
            run.started_at = *at;
            run.deadline = *deadline;
            run.deadlines.insert((*deadline, Clock::Run));
        }
        RunEvent::RunFailing { step, error, .. } => {
            run.phase = Phase::Failing;
            run.error = Some(error.clone());
            run.failed_step.clone_from(step);
            run.deadlines.remove(&(run.deadline, Clock::Run));
        }
        RunEvent::RunCancelling { by, reason, .. } => {
            run.phase = Phase::Cancelling;
            run.cancelled_by = Some((by.clone(), reason.clone()));
            run.deadlines.remove(&(run.deadline, Clock::Run));
        }
        RunEvent::RunPaused { by, reason, at } => {
            run.paused = Some(Pause {
                by: by.clone(),
                reason: reason.clone(),
                at: *at,
            });
        }
        RunEvent::RunResumed { at, .. } => {
            if let Some(pause) = &run.paused {
                run.put_clocks_later(at.since(pause.at));
                run.paused = None;
            }
        }
        RunEvent::SignalReceived { .. }
        | RunEvent::EventAwaited { .. }
        | RunEvent::EventDelivered { .. } => run.apply_listening(event),
        RunEvent::UndoStarted { steps, .. } => {
            run.phase = Phase::Compensating;
            run.waker = Some(Waker::Undo);
            let order = steps.iter().rev();
            run.to_undo = order.filter_map(|id| run.slot_named(id)).collect();
        }
        RunEvent::RunCompleted { outputs, at } => {
            run.outputs = Some(outputs.clone());
            close(run, RunStatus::Completed, Undo::None, *at);
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
                verdicts: Vec::new(),
            }));
            let clock = Clock::Approval { step: index };
            run.deadlines.insert((*deadline, clock));
        }
        RunEvent::ApprovalDecided {
            approved,
            by,
            comment,
            at,
            ..
        } => {
            if let Some(approval) = &mut run.step_mut(index).approval {
                approval.verdicts.push(Verdict {
                    approved: *approved,
                    by: by.clone(),
                    comment: comment.clone(),
                    at: *at,
                });
            }
        }
        RunEvent::IncidentOpened { error, .. } => {
            run.incident = Some((index, error.clone()));
            run.to_undo.retain(|other| *other != index);
            let step = run.name(index);
            let waker = Some(Waker::Incident { step });
            run.waker.clone_from(&waker);
            let step = run.step_mut(index);
            step.status = StepStatus::CompensationFailed;
            step.waker = waker;
        }
        RunEvent::IncidentResolved { action, .. } => {
            run.incident = None;
            run.waker = Some(Waker::Undo);
            run.step_mut(index).waker = None;
            match action {
                Resolution::Retry => run.to_undo.push(index),
                Resolution::Skip => run.undo = Undo::Partial,
                Resolution::Abandon => {
                    run.undo = Undo::Abandoned;
                    run.to_undo.clear();
                }
            }
        }
        _ => apply_to_task(run, index, event),
    }
}

fn apply_to_task(run: &mut RunState, index: Slot, event: &RunEvent) {
    match event {
        RunEvent::TaskReady {
            undo,
            input,
            prompt,
            key,
            at,
            queue_deadline,
            total_deadline,
            ..
        } => {
            let earlier = run.task(index, *undo).map_or(0, |task| task.attempt);
            let task = TaskState {
                status: TaskStatus::Ready,
                input: input.clone(),
                prompt: prompt.clone(),
                key: key.clone(),
                first_ready_at: *at,
                queue_deadline: *queue_deadline,
                total_deadline: *total_deadline,
                attempt: earlier,
                failures: 0,
                losses: 0,
                effect_unknown: false,
                holder: None,
                cancel_requested: false,
                last_agent: None,
                last_error: None,
                accepted: None,
                retry_at: None,
                waker: None,
            };
            let step = run.step_mut(index);
            if *undo {
                step.undo = Some(Box::new(task));
                run.to_undo.retain(|other| *other != index);
            } else {
                step.task = Some(Box::new(task));
                step.started_at = Some(*at);
            }
            if let Some(deadline) = total_deadline {
                run.deadlines.insert((*deadline, total(index, *undo)));
            }
            change_task(run, index, *undo, |_| {});
        }
        RunEvent::TaskClaimed {
            undo,
            attempt,
            agent,
            token,
            run_deadline,
            ..
        } => change_task(run, index, *undo, |task| {
            task.status = TaskStatus::Running;
            task.attempt = *attempt;
            task.last_agent = Some(agent.clone());
            task.holder = Some(Holder {
                agent: agent.clone(),
                token: *token,
                run_deadline: *run_deadline,
            });
        }),
        RunEvent::TaskCompleted {
            undo,
            token,
            output,
            yielded,
            at,
            ..
        } => {
            change_task(run, index, *undo, |task| {
                task.status = TaskStatus::Completed;
                task.accepted = Some((*token, output.clone()));
            });
            if *undo {
                run.step_mut(index).status = StepStatus::Compensated;
            } else {
                let step = run.step_mut(index);
                step.output = Some(yielded.as_ref().unwrap_or(output).clone());
                end_step(run, index, StepStatus::Completed, *at);
            }
        }
        RunEvent::TaskFailed {
            undo,
            token,
            error,
            then,
            at,
            ..
        } => {
            change_task(run, index, *undo, |task| {
                if error.code == "agent.lost" {
                    task.losses += 1;
                }
                task.effect_unknown |= token.is_some() && error.leaves_effect_unknown();
                if !matches!(then, Then::Requeue { .. }) {
                    task.failures += 1;
                }
                task.last_error = Some(Ended {
                    token: *token,
                    agent: task.holder.as_ref().map(|holder| holder.agent.clone()),
                    error: error.clone(),
                });
                match then {
                    Then::Requeue { queue_deadline } => {
                        task.status = TaskStatus::Ready;
                        task.queue_deadline = *queue_deadline;
                    }
                    Then::Retry { at } => {
                        task.status = TaskStatus::Backoff;
                        task.retry_at = Some(*at);
                    }
                    Then::Fail => task.status = TaskStatus::Failed,
                }
            });
            if *then == Then::Fail && !*undo {
                end_with_error(run, index, error, *at);
            }
        }
        RunEvent::TaskReleased {
            undo,
            begun,
            queue_deadline,
            ..
        } => change_task(run, index, *undo, |task| {
            task.effect_unknown |= *begun;
            task.status = TaskStatus::Ready;
            task.queue_deadline = *queue_deadline;
        }),
        RunEvent::TaskRetried {
            undo,
            queue_deadline,
            ..
        } => change_task(run, index, *undo, |task| {
            task.status = TaskStatus::Ready;
            task.queue_deadline = *queue_deadline;
        }),
        RunEvent::TaskCancelRequested { undo, .. } => {
            change_task(run, index, *undo, |task| task.cancel_requested = true);
        }
        // `apply` sends only facts about tasks here.
        _ => {}
    }
}

/// Changes a task and everything that follows from its status: holder, deadlines, wakers, the
/// step's own status.
fn change_task(run: &mut RunState, index: Slot, undo: bool, change: impl FnOnce(&mut TaskState)) {
    let step = &mut run.steps[index.get()];
    let slot = if undo { &mut step.undo } else { &mut step.task };
    let Some(task) = slot.as_deref_mut() else {
        return;
    };
    let clock = Clock::Attempt { step: index, undo };
    if let Some(at) = attempt_deadline(task) {
        run.deadlines.remove(&(at, clock));
    }
    change(task);
    if task.status != TaskStatus::Running {
        task.holder = None;
    }
    if task.status != TaskStatus::Backoff {
        task.retry_at = None;
    }
    if let Some(at) = attempt_deadline(task) {
        run.deadlines.insert((at, clock));
    }
    task.waker = match task.status {
        TaskStatus::Ready => Some(Waker::Agent {
            until: task.queue_deadline,
        }),
        TaskStatus::Running => task.holder.as_ref().map(|holder| Waker::Lease {
            agent: holder.agent.clone(),
            until: holder.run_deadline,
        }),
        TaskStatus::Backoff => task.retry_at.map(|at| Waker::Timer { at }),
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => {
            if let Some(at) = task.total_deadline {
                run.deadlines.remove(&(at, total(index, undo)));
            }
            None
        }
    };
    step.waker.clone_from(&task.waker);
    step.status = match (task.status, undo) {
        (TaskStatus::Ready, false) => StepStatus::Ready,
        (TaskStatus::Running, false) => StepStatus::Running,
        (TaskStatus::Backoff, false) => StepStatus::Waiting,
        (TaskStatus::Ready | TaskStatus::Running | TaskStatus::Backoff, true) => {
            StepStatus::Compensating
        }
        (TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled, _) => step.status,
    };
}

fn total(step: Slot, undo: bool) -> Clock {
    Clock::Total { step, undo }
}

fn attempt_deadline(task: &TaskState) -> Option<Timestamp> {
    match task.status {
        TaskStatus::Ready => Some(task.queue_deadline),
        TaskStatus::Running => task.holder.as_ref().map(|holder| holder.run_deadline),
        TaskStatus::Backoff => task.retry_at,
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => None,
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
    let step = run.step(index);
    if let Some(deadline) = step.approval.as_ref().map(|approval| approval.deadline) {
        let clock = Clock::Approval { step: index };
        run.deadlines.remove(&(deadline, clock));
    }
}

fn close(run: &mut RunState, status: RunStatus, undo: Undo, at: Timestamp) {
    run.status = status;
    run.phase = Phase::Closed;
    run.undo = undo;
    run.closed_at = Some(at);
    run.waker = None;
    run.to_undo.clear();
    run.deadlines.clear();
}
