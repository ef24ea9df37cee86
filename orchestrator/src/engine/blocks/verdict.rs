//! How a block ends: a verdict passes three stages before it becomes the step's outcome. A block
//! with a saga of its own is undone, a `try` runs its `finally`, and a block with a `retry` may
//! begin anew. And how it is told to end, by a clock or from outside.

use phisync_workflows::machine::{Saga, SagaMode, Step, StepKind};
use serde_json::Value as Json;

use crate::engine::block::PassEnd;
use crate::engine::decide::{Draft, Work};
use crate::engine::event::{CancelReason, PassOutcome, RunEvent};
use crate::engine::pass::{PassId, PassStatus, Slot};
use crate::engine::step::UndoOf;
use crate::engine::{Failure, RawJson, retry};

/// How a block ends.
pub(in crate::engine) enum Verdict {
    Succeeded(RawJson),
    Failed(Failure),
    Cancelled(CancelReason),
}

impl Draft<'_> {
    /// Takes a verdict through its stages.
    pub(super) fn end_block(&mut self, slot: Slot, verdict: Verdict) {
        if self.undo_first(slot, &verdict) || self.clean_up_first(slot) {
            return;
        }
        if let Verdict::Failed(error) = &verdict
            && self.retry_block(slot, error)
        {
            return;
        }
        let (step, at) = (self.run.name(slot), self.moment.now);
        self.emit(match verdict {
            Verdict::Succeeded(output) => RunEvent::StepCompleted { step, output, at },
            Verdict::Failed(error) => RunEvent::StepFailed { step, error, at },
            Verdict::Cancelled(reason) => RunEvent::StepCancelled { step, reason, at },
        });
        self.follow(slot);
    }

    /// Undoes a block that is a saga of its own. `false`: there is nothing left to undo.
    fn undo_first(&mut self, slot: Slot, verdict: &Verdict) -> bool {
        let whose = UndoOf::Block(slot);
        if let Some(undoing) = self.run.undoing.get(&whose) {
            return !undoing.is_through();
        }
        let Some(saga) = saga_of(self.run.spec(slot)) else {
            return false;
        };
        let (wanted, error) = match verdict {
            Verdict::Succeeded(_) => (false, None),
            Verdict::Failed(error) if error.code.starts_with("timeout.") => {
                (saga.triggers.timeout, Some(error.clone()))
            }
            Verdict::Failed(error) => (saga.triggers.failure, Some(error.clone())),
            Verdict::Cancelled(_) => (saga.triggers.cancel, None),
        };
        wanted && self.begin_undo_of(whose, error)
    }

    /// Enters the `finally` of a `try`. `false`: there is none, or it has ended.
    fn clean_up_first(&mut self, slot: Slot) -> bool {
        let StepKind::Try(spec) = &self.run.spec(slot).kind else {
            return false;
        };
        if spec.finally.is_none() {
            return false;
        }
        match self.block(slot).map(|block| &block.finally) {
            Some(None) => {
                self.enter(Some(slot), "finally", None);
                true
            }
            Some(Some(end)) => end.is_none(),
            None => false,
        }
    }

    /// Lets a block that failed begin anew, as far as its policy allows.
    fn retry_block(&mut self, slot: Slot, error: &Failure) -> bool {
        let machine = self.machine();
        let policy = &machine.step(self.run.step(slot).spec).retry;
        let Some(block) = self.block(slot) else {
            return false;
        };
        let failed = block.failures + 1;
        let wanted = self.caught_to_retry(slot) || self.covers(slot, policy, error, None, failed);
        if failed >= policy.max_attempts || !wanted || error.code == "timeout.total" {
            return false;
        }
        let wait = retry::wait(policy, failed, self.moment.dice, None);
        let due = self.after(wait);
        let last = policy.max_elapsed;
        let last = last.map(|elapsed| block.first_started_at.saturating_add(elapsed));
        let ends = [last, block.deadline].into_iter().flatten();
        if ends.into_iter().any(|end| due > end) {
            return false;
        }
        self.emit(RunEvent::BlockRetried {
            step: self.run.name(slot),
            error: error.clone(),
            at: self.moment.now,
            due,
        });
        self.work.push_back(Work::Block(slot));
        true
    }

    /// Ends a block because of the clock over all its attempts.
    pub(in crate::engine) fn expire_block(&mut self, slot: Slot) {
        let error = Failure::new("timeout.total", "the block took too long");
        self.fail_block(slot, error);
    }

    /// Ends a block as failed as soon as what is open in it has ended.
    pub(super) fn fail_block(&mut self, slot: Slot, error: Failure) {
        self.emit(RunEvent::BlockFailing {
            step: self.run.name(slot),
            error,
            at: self.moment.now,
        });
        self.stop_passes(slot, CancelReason::BodyFailed);
        self.work.push_back(Work::Block(slot));
    }

    /// Tells a block to stop.
    pub(in crate::engine) fn cancel_block(&mut self, slot: Slot, reason: CancelReason) {
        if self
            .block(slot)
            .is_none_or(|block| block.cancelling.is_some())
        {
            return;
        }
        self.emit(RunEvent::BlockCancelling {
            step: self.run.name(slot),
            reason,
            at: self.moment.now,
        });
        self.stop_passes(slot, reason);
        self.work.push_back(Work::Block(slot));
    }

    /// Tells the open passes of a block to stop; its `finally` runs to its end.
    pub(super) fn stop_passes(&mut self, slot: Slot, reason: CancelReason) {
        let Some(block) = self.block(slot) else {
            return;
        };
        let cleaning = block.finally.is_some();
        let open: Vec<_> = block.open.iter().copied().filter(|_| !cleaning).collect();
        for pass in open {
            self.stop_pass(pass, reason);
        }
    }

    /// Tells a pass to stop.
    pub(in crate::engine) fn stop_pass(&mut self, pass: PassId, reason: CancelReason) {
        if self.run.pass(pass).status != PassStatus::Forward {
            return;
        }
        self.emit(RunEvent::PassStopping {
            pass: self.run.pass_name(pass),
            reason,
            at: self.moment.now,
        });
        self.stop_open_steps(pass, reason);
        if self.run.pass(pass).open == 0 {
            self.work.push_back(Work::Pass(pass));
        }
    }
}

impl PassEnd {
    pub(in crate::engine) fn into_verdict(self) -> Verdict {
        let null = || RawJson::from_value(&Json::Null);
        match self.outcome {
            PassOutcome::Succeeded => Verdict::Succeeded(self.output.unwrap_or_else(null)),
            PassOutcome::Failed => {
                let unknown = || Failure::new("task.failed", "it failed");
                Verdict::Failed(self.error.unwrap_or_else(unknown))
            }
            PassOutcome::Cancelled => Verdict::Cancelled(CancelReason::BodyFailed),
        }
    }
}

/// The rules of a block's own saga.
pub(in crate::engine) fn saga_of(step: &Step) -> Option<&Saga> {
    let saga = match &step.kind {
        StepKind::Do(spec) => &spec.saga,
        StepKind::Try(spec) => &spec.saga,
        _ => return None,
    };
    (saga.mode == SagaMode::Auto).then_some(saga)
}
