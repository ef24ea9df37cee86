//! The graph's progress: which steps start, are skipped or can never start, once others have
//! ended, and when the run as a whole is through.

use phisync_state::Timestamp;
use phisync_workflows::machine::{Join, Step, StepKind};

use super::decide::Draft;
use super::event::{CancelReason, RunEvent};
use super::pass::{PassId, PassStatus, Slot};
use super::scope::RunScope;
use super::status::{Phase, StepStatus};
use super::{Failure, RawJson, Undo};

/// What a step's needs allow.
enum Readiness {
    NotYet,
    Now,
    Never,
}

impl Draft<'_> {
    /// Does what is on the work list, and what follows from that, until nothing moves any more.
    pub(super) fn settle(&mut self) {
        while let Some(slot) = self.work.pop_front() {
            let step = self.run.step(slot);
            let moves = self.run.pass(step.pass).status == PassStatus::Forward;
            if moves && step.status == StepStatus::Pending {
                match self.readiness(slot) {
                    Readiness::NotYet => continue,
                    Readiness::Never => self.cut_off(slot),
                    Readiness::Now => self.start_step(slot),
                }
                self.follow(slot);
            }
        }
        self.close_if_quiet();
    }

    /// Puts what the end of `slot` means for others on the work list; called after each of its
    /// facts.
    pub(super) fn follow(&mut self, slot: Slot) {
        let step = self.run.step(slot);
        let Some(outcome) = step.outcome else {
            return;
        };
        let pass = step.pass;
        let moves = self.run.pass(pass).status == PassStatus::Forward;
        if outcome == StepStatus::Failed && moves && !self.run.spec(slot).on_failure.goes_on() {
            let failure = step.error.clone();
            let failure = failure.unwrap_or_else(|| Failure::new("task.failed", "no reason given"));
            self.fail_run(Some(slot), failure);
            return;
        }
        let machine = self.machine();
        let dependants = machine.dependants(step.spec).iter();
        let run = &*self.run;
        let slots = dependants.filter_map(|step| run.slot_in(pass, *step));
        self.work.extend(slots);
    }

    fn readiness(&self, slot: Slot) -> Readiness {
        let step = self.run.spec(slot);
        let (mut succeeded, mut open) = (0u32, 0u32);
        for need in self.run.needs(slot) {
            match self.run.step(need).outcome {
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
    fn cut_off(&mut self, slot: Slot) {
        let error = self.missing_need(slot);
        self.emit(RunEvent::StepCancelled {
            step: self.run.name(slot),
            reason: CancelReason::Upstream,
            at: self.moment.now,
        });
        self.fail_run(Some(slot), error);
    }

    /// Why a join cannot be met: the first need that brought an error, or else that ended without
    /// success.
    fn missing_need(&self, slot: Slot) -> Failure {
        let needs = self.run.needs(slot);
        let needs = needs.map(|need| (&self.run.spec(need).id, self.run.step(need)));
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

    fn start_step(&mut self, slot: Slot) {
        let machine = self.machine();
        let step = machine.step(self.run.step(slot).spec);
        if step.join == Join::First {
            self.stop_needs(slot);
        }
        match self.first_fact(slot, step) {
            Ok(event) => self.emit(event),
            Err(error) => self.emit(RunEvent::StepFailed {
                step: self.run.name(slot),
                error,
                at: self.moment.now,
            }),
        }
    }

    /// The fact with which a step begins, or the reason why it cannot.
    fn first_fact(&self, slot: Slot, step: &Step) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment);
        if let Some(condition) = &step.condition {
            let holds = condition.eval_bool(&scope);
            if !holds.map_err(|error| Failure::new("expr", error.to_string()))? {
                return Ok(RunEvent::StepSkipped {
                    step: self.run.name(slot),
                    at: self.moment.now,
                });
            }
        }
        match &step.kind {
            StepKind::Task(_) => self.task_ready(slot, step),
            StepKind::Approval(spec) => self.approval_requested(slot, spec),
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
    fn stop_needs(&mut self, slot: Slot) {
        let needs: Vec<_> = self.run.needs(slot).collect();
        for need in needs {
            if self.run.step(need).outcome.is_none() {
                self.stop_step(need, CancelReason::Outrun);
                self.follow(need);
            }
        }
    }

    /// Ends what can end at once; asks the holders of running tasks to stop.
    pub(super) fn stop_open_steps(&mut self, pass: PassId, reason: CancelReason) {
        for slot in self.run.slots_of(pass) {
            if self.run.step(slot).outcome.is_none() {
                self.stop_step(slot, reason);
            }
        }
    }

    fn stop_step(&mut self, slot: Slot, reason: CancelReason) {
        let step = self.run.name(slot);
        if self.run.step(slot).status == StepStatus::Running {
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
    pub(super) fn fail_run(&mut self, step: Option<Slot>, error: Failure) {
        self.emit(RunEvent::RunFailing {
            step: step.map(|slot| self.run.name(slot)),
            error,
            at: self.moment.now,
        });
        self.stop_open_steps(PassId::MAIN, CancelReason::RunFailed);
    }

    /// Closes the run, or begins to undo it, once every step has its outcome.
    pub(super) fn close_if_quiet(&mut self) {
        if self.run.pass(PassId::MAIN).open > 0 {
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
