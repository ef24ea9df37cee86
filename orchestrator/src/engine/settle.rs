//! The progress of a body: which steps start, are skipped or can never start, once others have
//! ended.

use phisync_workflows::machine::{FailSpec, Join, OnFailure, Step, StepKind};

use super::decide::{Draft, Work};
use super::event::{CancelReason, RunEvent};
use super::pass::{PassId, PassStatus, Slot};
use super::scope::RunScope;
use super::status::StepStatus;
use super::{Failure, RawJson};

/// What a step's needs allow.
enum Readiness {
    NotYet,
    Now,
    Never,
}

impl Draft<'_> {
    /// Does what is on the work list, and what follows from that, until nothing moves any more.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(work) = self.work.pop_front() {
                match work {
                    Work::Check(slot) => self.check(slot),
                    Work::Pass(pass) => self.end_pass(pass),
                    Work::Block(slot) => self.go_on(slot),
                    Work::Walk => self.walk(),
                }
            }
            if !self.end_run_if_quiet() {
                return;
            }
        }
    }

    /// Starts a step whose needs are met, or cuts it off if they cannot be.
    fn check(&mut self, slot: Slot) {
        let step = self.run.step(slot);
        let moves = self.run.pass(step.pass).status == PassStatus::Forward;
        if !moves || step.status != StepStatus::Pending {
            return;
        }
        match self.readiness(slot) {
            Readiness::NotYet => {}
            Readiness::Never => self.cut_off(slot),
            Readiness::Now => self.start_step(slot),
        }
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
        let on_failure = self.run.spec(slot).on_failure;
        if outcome == StepStatus::Failed && moves {
            match on_failure {
                OnFailure::Fail => {
                    let failure = step.error.clone();
                    let unknown = || Failure::new("task.failed", "no reason given");
                    self.fail_pass(pass, Some(slot), failure.unwrap_or_else(unknown));
                    return;
                }
                OnFailure::Handle { .. } => {
                    self.enter(Some(slot), "handler", None);
                    return;
                }
                OnFailure::Continue => {}
            }
        }
        self.check_dependants(slot);
        if self.run.pass(pass).open == 0 {
            self.work.push_back(Work::Pass(pass));
        }
    }

    /// Puts the steps that need `slot` on the work list.
    pub(super) fn check_dependants(&mut self, slot: Slot) {
        let run = &*self.run;
        let (pass, spec) = (run.step(slot).pass, run.step(slot).spec);
        let dependants = run.machine.dependants(spec).iter();
        let slots = dependants.filter_map(|step| run.slot_in(pass, *step));
        self.work.extend(slots.map(Work::Check));
    }

    fn readiness(&self, slot: Slot) -> Readiness {
        let step = self.run.spec(slot);
        let (mut succeeded, mut open) = (0u32, 0u32);
        for need in self.run.needs(slot) {
            match self.run.settled(need) {
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

    /// A join that cannot be met any more cancels its step and fails the body.
    fn cut_off(&mut self, slot: Slot) {
        let error = self.missing_need(slot);
        self.emit(RunEvent::StepCancelled {
            step: self.run.name(slot),
            reason: CancelReason::Upstream,
            at: self.moment.now,
        });
        let pass = self.run.step(slot).pass;
        self.fail_pass(pass, Some(slot), error);
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
        let event = self.first_fact(slot, step);
        self.begin_with(slot, event);
        match &step.kind {
            StepKind::Finish(spec) if self.run.step(slot).status == StepStatus::Completed => {
                self.finish(slot, spec);
            }
            StepKind::Emit(_) => {
                if let Some(RunEvent::EventEmitted { key, .. }) = self.events.last() {
                    let key = key.clone();
                    self.end_emit(slot, key.as_deref());
                }
            }
            // A signal may have come before the wait began. A refusal cannot come: the wait is
            // there.
            StepKind::WaitFor(_) => drop(self.hear_signals()),
            _ => {}
        }
    }

    /// The fact with which a step begins, or the reason why it cannot.
    fn first_fact(&self, slot: Slot, step: &Step) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let name = || self.run.name(slot);
        let at = self.moment.now;
        if let Some(condition) = &step.condition
            && !scope.holds(condition)?
        {
            return Ok(RunEvent::StepSkipped { step: name(), at });
        }
        match &step.kind {
            StepKind::Task(_) => self.task_ready(slot, step),
            StepKind::Approval(spec) => self.approval_requested(slot, spec),
            StepKind::Fail(spec) => Err(self.failure_of(spec, self.run.step(slot).pass)?),
            StepKind::Foreach(_)
            | StepKind::Loop(_)
            | StepKind::Switch(_)
            | StepKind::Parallel(_)
            | StepKind::Try(_)
            | StepKind::Do(_)
            | StepKind::Call(_) => self.block_started(slot, step),
            StepKind::Wait(spec) => self.timer_set(slot, spec),
            StepKind::Set(spec) => Ok(RunEvent::StepCompleted {
                step: name(),
                output: self.new_values(slot, spec)?,
                at,
            }),
            StepKind::WaitFor(spec) => self.event_awaited(slot, spec),
            StepKind::Emit(spec) => self.event_emitted(slot, spec),
            StepKind::Files(spec) => self.files_wanted(slot, spec),
            StepKind::Finish(_) => Ok(RunEvent::StepCompleted {
                step: name(),
                output: RawJson::from_value(&serde_json::Value::Null),
                at,
            }),
        }
    }

    /// The error that a `fail` step or a final state stands for.
    pub(super) fn failure_of(&self, spec: &FailSpec, pass: PassId) -> Result<Failure, Failure> {
        let scope = RunScope::new(self.run, self.moment, pass);
        Ok(Failure {
            code: spec.code.clone(),
            message: scope.text(&spec.message)?,
            data: match &spec.data {
                Some(data) => Some(RawJson::from_value(&scope.value(data)?)),
                None => None,
            },
        })
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
            match (self.run.step(slot).outcome, self.run.open_handler(slot)) {
                (None, _) => self.stop_step(slot, reason),
                (Some(_), Some(handler)) => self.stop_pass(handler, reason),
                (Some(_), None) => {}
            }
        }
    }

    fn stop_step(&mut self, slot: Slot, reason: CancelReason) {
        let step = self.run.step(slot);
        if step.block.is_some() {
            self.cancel_block(slot, reason);
        } else if self.run.files_are_decided(slot) {
            // It happens; it ends as soon as every disk is done.
        } else if step.status == StepStatus::Running {
            self.emit(RunEvent::TaskCancelRequested {
                step: self.run.name(slot),
                undo: false,
                reason,
            });
        } else {
            self.emit(RunEvent::StepCancelled {
                step: self.run.name(slot),
                reason,
                at: self.moment.now,
            });
        }
    }

    /// Turns a pass from forward to failing, and what is open in it to its end.
    pub(super) fn fail_pass(&mut self, pass: PassId, step: Option<Slot>, error: Failure) {
        let step = step.map(|slot| self.run.name(slot));
        let reason = if pass == PassId::MAIN {
            self.emit(RunEvent::RunFailing {
                step,
                error,
                at: self.moment.now,
            });
            CancelReason::RunFailed
        } else {
            self.emit(RunEvent::PassFailing {
                pass: self.run.pass_name(pass),
                step: step.unwrap_or_default(),
                error,
                at: self.moment.now,
            });
            CancelReason::BodyFailed
        };
        if pass == PassId::MAIN {
            self.stop_main(reason);
        } else {
            self.stop_open_steps(pass, reason);
        }
        if self.run.pass(pass).open == 0 {
            self.work.push_back(Work::Pass(pass));
        }
    }

    /// Stops whatever the run does in its main body or its states.
    pub(super) fn stop_main(&mut self, reason: CancelReason) {
        self.stop_open_steps(PassId::MAIN, reason);
        self.stop_walk(reason);
    }
}
