//! Tasks: from the queue to an agent and back, forward and undo alike. What agents do with them is
//! here; how an attempt ends, and what follows, is `attempt`.

mod attempt;

use std::time::Duration;

use phisync_state::Timestamp;
use phisync_workflows::machine::{
    Assign, Compensate, Compensation, Effects, Retry, Step, StepKind, TaskSpec, Timeouts,
};
use phisync_workflows::schema::Schema;

use super::decide::Draft;
use super::event::{CancelReason, RunEvent};
use super::input::Rejection;
use super::pass::{PassStatus, Slot};
use super::proof::{FoundFile, Unsaid};
use super::scope::{Extra, RunScope};
use super::status::{Phase, TaskStatus};
use super::{Failure, RawJson};

/// The rules of one task, from the step or from its `compensate`.
pub(crate) struct Rules<'a> {
    pub spec: &'a TaskSpec,
    pub output: &'a Schema,
    pub assign: &'a Assign,
    pub timeouts: &'a Timeouts,
    pub retry: &'a Retry,
}

/// The rules of a step's task or undo; `None` if the step has no such task.
pub(crate) fn rules(step: &Step, undo: bool) -> Option<Rules<'_>> {
    if undo {
        let compensation = compensation(step)?;
        return Some(Rules {
            spec: &compensation.task,
            output: &compensation.output,
            assign: &compensation.assign,
            timeouts: &compensation.timeouts,
            retry: &compensation.retry,
        });
    }
    match &step.kind {
        StepKind::Task(spec) => Some(Rules {
            spec,
            output: &step.output,
            assign: &step.assign,
            timeouts: &step.timeouts,
            retry: &step.retry,
        }),
        _ => None,
    }
}

pub(super) fn compensation(step: &Step) -> Option<&Compensation> {
    match &step.compensate {
        Compensate::Task(compensation) => Some(compensation),
        Compensate::Absent | Compensate::None | Compensate::Body(_) => None,
    }
}

impl Draft<'_> {
    /// The fact that puts a step's task into the queue.
    pub(super) fn task_ready(&self, slot: Slot, step: &Step) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let rules = self.rules_of(slot, false, step)?;
        Ok(RunEvent::TaskReady {
            step: self.run.name(slot),
            undo: false,
            input: scope.object(&step.input)?,
            prompt: match &rules.spec.prompt {
                Some(prompt) => Some(scope.text(prompt)?),
                None => None,
            },
            attachments: scope.list(&rules.spec.attachments)?,
            key: match &step.key {
                Some(key) => Some(scope.text(key)?),
                None => None,
            },
            at: self.moment.now,
            queue_deadline: self.after(rules.timeouts.queue),
            total_deadline: rules.timeouts.total.map(|total| self.after(total)),
        })
    }

    /// The fact that puts a step's undo into the queue.
    pub(super) fn undo_ready(&self, index: Slot) -> Result<RunEvent, Failure> {
        let machine = self.machine();
        let step = machine.step(self.run.step(index).spec);
        let rules = self.rules_of(index, true, step)?;
        let cause = self.run.undo_cause(index);
        let pass = self.run.step(index).pass;
        let scope = RunScope::new(self.run, self.moment, pass).with(Extra {
            itself: Some(self.run.step(index)),
            error: Some(cause.in_scope()),
            ..Extra::default()
        });
        let input = compensation(step).map_or(&[][..], |undo| &undo.input);
        Ok(RunEvent::TaskReady {
            step: self.run.name(index),
            undo: true,
            input: scope.object(input)?,
            prompt: match &rules.spec.prompt {
                Some(prompt) => Some(scope.text(prompt)?),
                None => None,
            },
            attachments: scope.list(&rules.spec.attachments)?,
            key: None,
            at: self.moment.now,
            queue_deadline: self.after(rules.timeouts.queue),
            total_deadline: rules.timeouts.total.map(|total| self.after(total)),
        })
    }

    fn rules_of<'s>(&self, index: Slot, undo: bool, step: &'s Step) -> Result<Rules<'s>, Failure> {
        rules(step, undo).ok_or_else(|| {
            let task = self.run.print_task(index, undo);
            Failure::new("policy", format!("`{task}` is not a task"))
        })
    }

    pub(super) fn after(&self, wait: Duration) -> Timestamp {
        self.moment.now.saturating_add(wait)
    }

    pub(super) fn claim(
        &mut self,
        step: &str,
        undo: bool,
        agent: String,
        epoch: u64,
    ) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        let machine = self.machine();
        let task = self.run.existing(index, undo)?;
        if task.status != TaskStatus::Ready {
            return Err(self.run.not_in_state(index, undo, "ready"));
        }
        if self.run.stands_still() {
            return Err(Rejection::Paused {
                run: self.run.id.clone(),
            });
        }
        let attempt = task.attempt + 1;
        let Some(rules) = rules(machine.step(self.run.step(index).spec), undo) else {
            return Err(self.run.not_in_state(index, undo, "a task"));
        };
        let run_deadline = self.after(rules.timeouts.run);
        self.emit(RunEvent::TaskClaimed {
            step: step.to_owned(),
            undo,
            attempt,
            agent,
            // The version that this very fact gets: larger than at every earlier claim.
            token: (epoch << 40) | (self.run.version + 1),
            at: self.moment.now,
            run_deadline,
        });
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        output: RawJson,
        proof: &[FoundFile],
    ) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        let machine = self.machine();
        let spec = machine.step(self.run.step(index).spec);
        if let Some((_, earlier)) = self.run.accepted_under(index, undo, token)? {
            return if *earlier == output {
                Ok(())
            } else {
                Err(self.run.already(index, undo, token, "completed"))
            };
        }
        if self.run.reported_under(index, undo, token)?.is_some() {
            return Err(self.run.already(index, undo, token, "failed"));
        }
        self.run.check_token(index, undo, token)?;
        let schema = rules(spec, undo).map(|rules| rules.output);
        if let Some(schema) = schema.filter(|schema| !schema.is_any()) {
            let violations = schema.violations("output", &output.parse());
            if !violations.is_empty() {
                return Err(Rejection::BadOutput {
                    task: self.run.print_task(index, undo),
                    violations,
                });
            }
        }
        let accept = rules(spec, undo).and_then(|rules| rules.spec.accept.as_ref());
        if let Some(accept) = accept {
            match self.unmet(index, accept, &output, proof) {
                Ok(unmet) if unmet.is_empty() => {}
                Ok(unmet) => {
                    self.refuse_unproven(index, undo, token, unmet);
                    return Ok(());
                }
                Err(Unsaid::Look(files)) => {
                    let task = self.run.print_task(index, undo);
                    return Err(Rejection::ProofWanted { task, files });
                }
                Err(Unsaid::Failed(error)) => {
                    self.end_attempt(index, undo, Some(token), error, Some(false), None);
                    return Ok(());
                }
            }
        }
        let yielded = match (&spec.yields, undo) {
            (Some(template), false) => {
                let extra = Extra {
                    result: Some(&output),
                    ..Extra::default()
                };
                let pass = self.run.step(index).pass;
                let scope = RunScope::new(self.run, self.moment, pass).with(extra);
                match scope.value(template) {
                    Ok(value) => Some(RawJson::from_value(&value)),
                    Err(error) => {
                        self.end_attempt(index, undo, Some(token), error, Some(false), None);
                        return Ok(());
                    }
                }
            }
            (None, _) | (_, true) => None,
        };
        self.emit(RunEvent::TaskCompleted {
            step: step.to_owned(),
            undo,
            token,
            output,
            yielded,
            at: self.moment.now,
        });
        self.after_task(index, undo);
        Ok(())
    }

    pub(super) fn fail(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        error: Failure,
        retryable: Option<bool>,
        retry_after_ms: Option<u64>,
    ) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        if let Some(ended) = self.run.reported_under(index, undo, token)? {
            return if ended.error == error {
                Ok(())
            } else {
                Err(self.run.already(index, undo, token, "failed"))
            };
        }
        if self.run.accepted_under(index, undo, token)?.is_some() {
            return Err(self.run.already(index, undo, token, "completed"));
        }
        self.run.check_token(index, undo, token)?;
        let retry_after = retry_after_ms.map(Duration::from_millis);
        self.end_attempt(index, undo, Some(token), error, retryable, retry_after);
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        begun: bool,
    ) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        self.run.check_token(index, undo, token)?;
        let spec = self.run.spec(index);
        let once_only = spec.effects == Effects::Irreversible && !spec.idempotent;
        if begun && once_only && !undo {
            // Nobody may do it a second time unasked: it ends as a lost attempt does.
            let error = Failure::new("agent.lost", "given back in the middle of the work");
            self.end_attempt(index, undo, Some(token), error, None, None);
            return Ok(());
        }
        self.put_back(index, undo, token, begun);
        Ok(())
    }

    /// Puts a task that somebody holds back into the queue; one that was asked to stop has stopped.
    pub(super) fn put_back(&mut self, index: Slot, undo: bool, token: u64, begun: bool) {
        let queue_deadline = self.queue_deadline(index, undo);
        let step = self.run.name(index);
        self.emit(RunEvent::TaskReleased {
            step: step.clone(),
            undo,
            token,
            begun,
            at: self.moment.now,
            queue_deadline,
        });
        let asked = self.run.task(index, undo).map(|task| task.cancel_requested);
        if asked == Some(true) {
            let pass = self.run.pass(self.run.step(index).pass);
            let reason = match (pass.status, self.run.phase) {
                (PassStatus::Stopping, _) => pass.stopped.unwrap_or(CancelReason::BodyFailed),
                (PassStatus::Forward, _) => CancelReason::Outrun,
                (_, Phase::Forward) => CancelReason::BodyFailed,
                _ => CancelReason::RunFailed,
            };
            self.emit(RunEvent::StepCancelled {
                step,
                reason,
                at: self.moment.now,
            });
            self.after_task(index, undo);
        }
    }

    pub(super) fn lose_lease(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        why: String,
    ) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        self.run.check_token(index, undo, token)?;
        let error = Failure::new("agent.lost", why);
        self.end_attempt(index, undo, Some(token), error, None, None);
        Ok(())
    }
}
