//! Facts about tasks, forward and undo alike.

use phisync_state::Timestamp;

use super::undo;
use super::{end_step, end_with_error};
use crate::engine::Waker;
use crate::engine::event::{RunEvent, Then};
use crate::engine::handoff::Trail;
use crate::engine::pass::Slot;
use crate::engine::proof::Refusals;
use crate::engine::question::{Question, QuestionAnswer};
use crate::engine::run::{Clock, RunState};
use crate::engine::status::{StepStatus, TaskStatus};
use crate::engine::step::{Ended, Holder, TaskState};

pub(super) fn apply_to_task(run: &mut RunState, index: Slot, event: &RunEvent) {
    match event {
        RunEvent::TaskReady {
            undo,
            input,
            prompt,
            attachments,
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
                attachments: attachments.clone(),
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
                questions: Vec::new(),
                refusals: None,
                trail: Trail::default(),
                waker: None,
            };
            let step = run.step_mut(index);
            if *undo {
                step.undo = Some(Box::new(task));
            } else {
                step.task = Some(Box::new(task));
                step.started_at = Some(*at);
            }
            if let Some(deadline) = total_deadline {
                run.deadlines.insert((*deadline, total(index, *undo)));
            }
            change_task(run, index, *undo, |_| {});
            if *undo {
                undo::began(run, index);
            }
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
                undo::ended(run, index);
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
                if token.is_some() {
                    let word = if error.code == "agent.lost" {
                        "lost"
                    } else {
                        "failed"
                    };
                    task.note_end(word, Some(error), *at);
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
            at,
            ..
        } => change_task(run, index, *undo, |task| {
            if *begun {
                task.note_end("released", None, *at);
            }
            task.effect_unknown |= *begun;
            task.status = TaskStatus::Ready;
            task.queue_deadline = *queue_deadline;
        }),
        RunEvent::TaskAsked {
            undo,
            token,
            question,
            form,
            shown_hash,
            at,
            deadline,
            ..
        } => change_task(run, index, *undo, |task| {
            task.note_end("asked", None, *at);
            // It may have done something before it asked.
            task.effect_unknown = true;
            task.questions.push(Question {
                token: *token,
                attempt: task.attempt,
                asked_by: task.last_agent.clone().unwrap_or_default(),
                text: question.clone(),
                form: form.clone(),
                shown_hash: shown_hash.clone(),
                asked_at: *at,
                deadline: *deadline,
                answer: None,
            });
            task.status = TaskStatus::Asking;
        }),
        RunEvent::TaskAnswered {
            undo,
            by,
            text,
            form,
            at,
            queue_deadline,
            ..
        } => change_task(run, index, *undo, |task| {
            if let Some(question) = task.questions.last_mut() {
                question.answer = Some(QuestionAnswer {
                    by: by.clone(),
                    text: text.clone(),
                    form: form.clone(),
                    at: *at,
                });
            }
            task.status = TaskStatus::Ready;
            task.queue_deadline = *queue_deadline;
        }),
        RunEvent::TaskUnproven {
            undo, token, unmet, ..
        } => change_task(run, index, *undo, |task| {
            let before = task.refusals.as_ref().filter(|r| r.token == *token);
            task.refusals = Some(Refusals {
                token: *token,
                count: before.map_or(0, |before| before.count) + 1,
                unmet: unmet.clone(),
            });
        }),
        RunEvent::TaskProgressed {
            undo,
            progress,
            said_at,
            ..
        } => change_task(run, index, *undo, |task| task.reach(progress, *said_at)),
        RunEvent::TaskWrote {
            undo,
            documents,
            files,
            at,
            ..
        } => change_task(run, index, *undo, |task| task.touch(documents, files, *at)),
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
pub(super) fn change_task(
    run: &mut RunState,
    index: Slot,
    undo: bool,
    change: impl FnOnce(&mut TaskState),
) {
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
        TaskStatus::Asking => task.open_question().map(|question| Waker::Person {
            until: question.deadline,
        }),
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
        (TaskStatus::Backoff | TaskStatus::Asking, false) => StepStatus::Waiting,
        (
            TaskStatus::Ready | TaskStatus::Running | TaskStatus::Backoff | TaskStatus::Asking,
            true,
        ) => StepStatus::Compensating,
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
        TaskStatus::Asking => task.open_question().map(|question| question.deadline),
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => None,
    }
}
