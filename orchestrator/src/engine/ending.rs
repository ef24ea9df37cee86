//! How a run ends: its handlers, its undoing, its `finally`, and the last fact of all.

use phisync_workflows::machine::{BodyIndex, FinishSpec};

use super::decide::Draft;
use super::event::{CancelReason, RunEvent, Undo};
use super::pass::{Pass, PassId, Slot};
use super::scope::RunScope;
use super::status::Phase;
use super::step::UndoOf;
use super::{Failure, RawJson, Trigger};

impl Draft<'_> {
    /// Takes the run one step nearer to its end, if nothing is open that it waits for. `false`:
    /// there is nothing to do now.
    pub(super) fn end_run_if_quiet(&mut self) -> bool {
        let open = self.run.pass(PassId::MAIN).open > 0;
        match self.run.phase {
            Phase::Closed => false,
            Phase::Forward | Phase::Failing | Phase::Cancelling if open => false,
            Phase::Forward if self.run.machine.states().is_some() => false,
            Phase::Forward => self.complete_run(),
            Phase::Failing => self.handle_failure(),
            Phase::Cancelling => self.undo_run(),
            Phase::Handling => self.after_handling(),
            Phase::Compensating => {
                let undoing = self.run.undoing.get(&UndoOf::Run);
                undoing.is_none_or(super::run::Undoing::is_through) && self.clean_up()
            }
            Phase::Finishing => {
                let handler = self.run.machine.on_failure().map(|handler| handler.body);
                let handling = handler.and_then(|body| self.pass_of_run(body));
                let handling = handling.is_some_and(|pass| pass.status.is_open());
                !open && !handling && self.clean_up()
            }
            Phase::Cleaning => {
                let body = self.run.machine.finally();
                let pass = body.and_then(|body| self.pass_of_run(body));
                !pass.is_some_and(|pass| pass.status.is_open()) && self.close()
            }
        }
    }

    /// A pass of the run's own, beside the main one.
    fn pass_of_run(&self, body: BodyIndex) -> Option<&Pass> {
        let rounds = self.run.rounds_below(None, None);
        let pass = self.run.last_pass(body, &rounds)?;
        Some(self.run.pass(pass))
    }

    /// Every step has ended well enough.
    fn complete_run(&mut self) -> bool {
        let machine = self.machine();
        let scope = RunScope::new(self.run, self.moment, PassId::MAIN);
        match scope.object(machine.outputs()) {
            Err(error) => self.fail_pass(PassId::MAIN, None, error),
            Ok(outputs) if machine.finally().is_some() => self.emit(RunEvent::RunFinishing {
                step: None,
                outputs,
                recovered: false,
                at: self.moment.now,
            }),
            Ok(outputs) => self.emit(RunEvent::RunCompleted {
                outputs,
                at: self.moment.now,
            }),
        }
        true
    }

    /// A `finish` step has succeeded: the run ends as completed, whatever is open.
    pub(super) fn finish(&mut self, slot: Slot, spec: &FinishSpec) {
        if !matches!(self.run.phase, Phase::Forward | Phase::Handling) {
            return;
        }
        let machine = self.machine();
        let outputs = if spec.outputs.is_empty() {
            machine.outputs()
        } else {
            &spec.outputs
        };
        let pass = self.run.step(slot).pass;
        match RunScope::new(self.run, self.moment, pass).object(outputs) {
            Ok(outputs) => self.finish_with(Some(slot), outputs),
            Err(error) => self.fail_pass(pass, Some(slot), error),
        }
    }

    fn finish_with(&mut self, slot: Option<Slot>, outputs: RawJson) {
        self.emit(RunEvent::RunFinishing {
            step: slot.map(|slot| self.run.name(slot)),
            outputs,
            recovered: self.run.phase == Phase::Handling,
            at: self.moment.now,
        });
        self.stop_main(CancelReason::RunFinished);
        let handler = self.run.machine.on_failure().map(|handler| handler.body);
        let rounds = self.run.rounds_below(None, None);
        if let Some(pass) = handler.and_then(|body| self.run.last_pass(body, &rounds)) {
            self.stop_pass(pass, CancelReason::RunFinished);
        }
    }

    fn handle_failure(&mut self) -> bool {
        if self.run.machine.on_failure().is_none() {
            return self.undo_run();
        }
        self.enter(None, "on_failure", None);
        true
    }

    fn after_handling(&mut self) -> bool {
        let machine = self.machine();
        let Some(handler) = machine.on_failure() else {
            return self.undo_run();
        };
        let pass = self.pass_of_run(handler.body);
        if pass.is_some_and(|pass| pass.status.is_open()) {
            return false;
        }
        let well = pass.is_some_and(|pass| pass.error.is_none() && pass.stopped.is_none());
        let Some(outputs) = handler.recover.as_ref().filter(|_| well) else {
            return self.undo_run();
        };
        let outputs = if outputs.is_empty() {
            machine.outputs()
        } else {
            outputs
        };
        let rounds = self.run.rounds_below(None, None);
        let id = self.run.last_pass(handler.body, &rounds);
        let scope = RunScope::new(self.run, self.moment, id.unwrap_or(PassId::MAIN));
        match scope.object(outputs) {
            Ok(outputs) => self.finish_with(None, outputs),
            // What was to make it good is itself no good: the run stays failed.
            Err(_) => return self.undo_run(),
        }
        true
    }

    /// Begins to undo what completed, or goes on to the end if there is nothing.
    fn undo_run(&mut self) -> bool {
        let triggers = self.run.machine.saga().triggers;
        let wanted = match &self.run.error {
            _ if matches!(self.run.trigger, Some(Trigger::Unwind { .. })) => true,
            _ if self.run.cancelled_by.is_some() => triggers.cancel,
            Some(error) if self.run.failed_step.is_none() && is_timeout(error) => triggers.timeout,
            Some(_) | None => triggers.failure,
        };
        let auto = self.run.machine.saga().mode == phisync_workflows::machine::SagaMode::Auto;
        if wanted && auto && self.begin_undo_of(UndoOf::Run, None) {
            return true;
        }
        self.clean_up()
    }

    /// Runs `finally`, if there is one that has not run, or closes.
    fn clean_up(&mut self) -> bool {
        let finally = self.run.machine.finally();
        if finally.is_some_and(|body| self.pass_of_run(body).is_none()) {
            self.enter(None, "finally", None);
            return true;
        }
        self.close()
    }

    fn close(&mut self) -> bool {
        let at = self.moment.now;
        let undo = match self.run.undo {
            Undo::None if self.run.undoing.is_empty() => Undo::None,
            Undo::None => Undo::Done,
            undo @ (Undo::Done | Undo::Partial | Undo::Abandoned) => undo,
        };
        let event = match &self.run.outputs {
            Some(outputs) => RunEvent::RunCompleted {
                outputs: outputs.clone(),
                at,
            },
            None if self.run.cancelled_by.is_some() => RunEvent::RunCancelled { undo, at },
            None => RunEvent::RunFailed { undo, at },
        };
        self.emit(event);
        true
    }
}

fn is_timeout(error: &Failure) -> bool {
    error.code.starts_with("timeout.")
}
