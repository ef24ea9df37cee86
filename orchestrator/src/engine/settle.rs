//! The graph's progress: which steps start, are skipped or can never start, once others have
//! ended, and when the run as a whole is through.

use std::collections::VecDeque;

use phisync_state::Timestamp;
use phisync_workflows::StepIndex;
use phisync_workflows::machine::{Join, Step, StepKind};

use super::decide::Draft;
use super::event::{CancelReason, RunEvent};
use super::run::{Phase, StepStatus};
use super::scope::RunScope;
use super::{Failure, RawJson, Undo};

/// What a step's needs allow.
enum Readiness {
    NotYet,
    Now,
    Never,
}

impl Draft<'_> {
    /// Starts what can start, beginning with the steps of `queue`, until nothing moves any more.
    pub(super) fn settle(&mut self, mut queue: VecDeque<StepIndex>) {
        while let Some(index) = queue.pop_front() {
            if self.run.phase != Phase::Forward {
                break;
            }
            if self.run.step(index).status != StepStatus::Pending {
                continue;
            }
            match self.readiness(index) {
                Readiness::NotYet => continue,
                Readiness::Never => self.cut_off(index),
                Readiness::Now => self.start_step(index, &mut queue),
            }
            self.follow(index, &mut queue);
        }
        self.close_if_quiet();
    }

    /// What the end of `index` means for others; called after each of its facts.
    pub(super) fn settle_after(&mut self, index: StepIndex) {
        let mut queue = VecDeque::new();
        self.follow(index, &mut queue);
        self.settle(queue);
    }

    fn follow(&mut self, index: StepIndex, queue: &mut VecDeque<StepIndex>) {
        let Some(outcome) = self.run.step(index).outcome else {
            return;
        };
        let machine = self.machine();
        if outcome == StepStatus::Failed
            && !machine.step(index).on_failure.goes_on()
            && self.run.phase == Phase::Forward
        {
            let failure = self.run.step(index).error.clone();
            let failure = failure.unwrap_or_else(|| Failure::new("task.failed", "no reason given"));
            self.fail_run(Some(index), failure);
            return;
        }
        queue.extend(machine.dependants(index));
    }

    fn readiness(&self, index: StepIndex) -> Readiness {
        let machine = &self.run.machine;
        let step = machine.step(index);
        let (mut succeeded, mut open) = (0u32, 0u32);
        for need in &step.needs {
            match self.run.step(*need).outcome {
                None => open += 1,
                Some(StepStatus::Completed) => succeeded += 1,
                Some(StepStatus::Cancelled) if step.join == Join::All => return Readiness::Never,
                Some(_) => {}
            }
        }
        let wanted = match step.join {
            Join::All if open == 0 => return Readiness::Now,
            Join::All => return Readiness::NotYet,
            Join::Any | Join::First => 1,
            Join::AtLeast(n) => n,
        };
        if succeeded >= wanted {
            Readiness::Now
        } else if succeeded + open < wanted {
            Readiness::Never
        } else {
            Readiness::NotYet
        }
    }

    /// A join that cannot be met any more cancels its step and fails the run.
    fn cut_off(&mut self, index: StepIndex) {
        let machine = self.machine();
        let step = machine.step(index);
        let error = self.missing_need(step);
        self.emit(RunEvent::StepCancelled {
            step: step.id.clone(),
            reason: CancelReason::Upstream,
            at: self.moment.now,
        });
        self.fail_run(Some(index), error);
    }

    /// Why a join cannot be met: the first need that brought an error, or else that ended without
    /// success.
    fn missing_need(&self, step: &Step) -> Failure {
        let needs = step.needs.iter().map(|need| {
            let id = &self.run.machine.step(*need).id;
            (id, self.run.step(*need))
        });
        let missing = needs.filter(|(_, need)| need.outcome != Some(StepStatus::Completed));
        let missing: Vec<_> = missing.collect();
        let failed = missing.iter().find_map(|(id, need)| {
            let error = need.error.as_ref()?;
            Some(Failure {
                message: format!("it needs `{id}`: {}", error.message),
                ..error.clone()
            })
        });
        failed.unwrap_or_else(|| {
            let (id, word) = missing.first().map_or(("nothing", "ended"), |(id, need)| {
                (id.as_str(), need.status.as_str())
            });
            Failure::new("cancelled", format!("it needs `{id}`, which was {word}"))
        })
    }

    fn start_step(&mut self, index: StepIndex, queue: &mut VecDeque<StepIndex>) {
        let machine = self.machine();
        let step = machine.step(index);
        if step.join == Join::First {
            self.stop_needs(step, queue);
        }
        match self.first_fact(index, step) {
            Ok(event) => self.emit(event),
            Err(error) => self.emit(RunEvent::StepFailed {
                step: step.id.clone(),
                error,
                at: self.moment.now,
            }),
        }
    }

    /// The fact with which a step begins, or the reason why it cannot.
    fn first_fact(&self, index: StepIndex, step: &Step) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment);
        if let Some(condition) = &step.condition {
            let holds = condition.eval_bool(&scope);
            if !holds.map_err(|error| Failure::new("expr", error.to_string()))? {
                return Ok(RunEvent::StepSkipped {
                    step: step.id.clone(),
                    at: self.moment.now,
                });
            }
        }
        match &step.kind {
            StepKind::Task(_) => self.task_ready(index, step),
            StepKind::Approval(spec) => self.approval_requested(step, spec),
            StepKind::Fail(spec) => Err(Failure {
                code: spec.code.clone(),
                message: scope.text(&spec.message)?,
                data: match &spec.data {
                    Some(data) => Some(RawJson::from_value(&scope.value(data)?)),
                    None => None,
                },
            }),
            // The compiler refuses these (PHI119).
            kind => Err(Failure::new(
                "policy",
                format!("this version does not run `{}` steps", kind.name()),
            )),
        }
    }

    /// Stops the branches that were slower; others may have waited for them too.
    fn stop_needs(&mut self, step: &Step, queue: &mut VecDeque<StepIndex>) {
        for need in &step.needs {
            if self.run.step(*need).outcome.is_none() {
                self.stop_step(*need, CancelReason::Outrun);
                self.follow(*need, queue);
            }
        }
    }

    /// Ends what can end at once; asks the holders of running tasks to stop.
    pub(super) fn stop_open_steps(&mut self, reason: CancelReason) {
        let machine = self.machine();
        for (_, index) in machine.steps().iter().zip((0u32..).map(StepIndex)) {
            if self.run.step(index).outcome.is_none() {
                self.stop_step(index, reason);
            }
        }
    }

    fn stop_step(&mut self, index: StepIndex, reason: CancelReason) {
        let step = self.id_of(index);
        if self.run.step(index).status == StepStatus::Running {
            self.emit(RunEvent::TaskCancelRequested {
                step,
                undo: false,
                reason,
            });
        } else {
            self.emit(RunEvent::StepCancelled {
                step,
                reason,
                at: self.moment.now,
            });
        }
    }

    /// Turns the run from forward to failing.
    pub(super) fn fail_run(&mut self, step: Option<StepIndex>, error: Failure) {
        self.emit(RunEvent::RunFailing {
            step: step.map(|index| self.id_of(index)),
            error,
            at: self.moment.now,
        });
        self.stop_open_steps(CancelReason::RunFailed);
        self.close_if_quiet();
    }

    /// Closes the run, or begins to undo it, once every step has its outcome.
    pub(super) fn close_if_quiet(&mut self) {
        if self.run.open_steps > 0 {
            return;
        }
        match self.run.phase {
            Phase::Forward => self.complete_run(),
            Phase::Failing | Phase::Cancelling => self.begin_undo(),
            Phase::Compensating | Phase::Closed => {}
        }
    }

    fn complete_run(&mut self) {
        let machine = self.machine();
        let outputs = RunScope::new(self.run, self.moment).object(machine.outputs());
        match outputs {
            Ok(outputs) => self.emit(RunEvent::RunCompleted {
                outputs,
                at: self.moment.now,
            }),
            Err(error) => self.fail_run(None, error),
        }
    }

    /// Closes a run that failed or was cancelled.
    pub(super) fn close_badly(&mut self, undo: Undo) {
        let at: Timestamp = self.moment.now;
        let event = if self.run.cancelled_by.is_some() {
            RunEvent::RunCancelled { undo, at }
        } else {
            RunEvent::RunFailed { undo, at }
        };
        self.emit(event);
    }
}
