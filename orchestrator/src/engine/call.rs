//! `call`: another workflow's run as a step.
//!
//! The engine says that a child begins, and under which name; the coordinator starts it in the same
//! batch, and tells its end to the parent in the batch of that end. A parent that is cancelled
//! waits for its child to stop, unless the child is to go on alone.

use phisync_workflows::machine::{CallSpec, OnParentCancel, StepKind};
use serde_json::json;

use super::block::{PassEnd, Progress};
use super::blocks::Verdict;
use super::decide::{Draft, Work};
use super::event::{BlockWork, PassOutcome, RunEvent};
use super::input::{ChildEnd, Rejection};
use super::pass::{PassId, Slot};
use super::run::RunState;
use super::scope::RunScope;
use super::{Failure, RawJson, RunId};

impl Draft<'_> {
    /// What a call works on: a child with a name of its own.
    pub(super) fn called(&self, slot: Slot, spec: &CallSpec) -> Result<BlockWork, Failure> {
        let pass = self.run.step(slot).pass;
        let scope = RunScope::new(self.run, self.moment, pass);
        let inputs = scope.object(&self.run.spec(slot).input)?;
        let undone = self.run.pass(pass).owner.filter(|_| spec.unwinds);
        let after = undone.and_then(|undone| self.run.unwound_by(undone, pass));
        Ok(BlockWork::Call {
            undoes: undone.and_then(|undone| self.run.child_of(undone)).cloned(),
            after: after.cloned(),
            run: child_id(self.moment.dice, slot),
            workflow: spec.workflow.clone(),
            version: spec.version.as_ref().map(ToString::to_string),
            inputs,
        })
    }

    /// The verdict of a call.
    pub(super) fn call_verdict(&self, slot: Slot, spec: &CallSpec) -> Option<Verdict> {
        let block = self.block(slot)?;
        let Progress::Call { run, end, .. } = &block.progress else {
            return None;
        };
        if let Some(reason) = block.cancelling {
            let alone = !spec.wait || spec.on_parent_cancel == OnParentCancel::Abandon;
            return (alone || end.is_some()).then_some(Verdict::Cancelled(reason));
        }
        if !spec.wait {
            let output = json!({ "run_id": run.as_str() });
            return Some(Verdict::Succeeded(RawJson::from_value(&output)));
        }
        let end = end.clone()?;
        Some(match end.outcome {
            // Nobody here wanted that: for the step it is a failure.
            PassOutcome::Cancelled => {
                let message = format!("run `{run}` was cancelled");
                Verdict::Failed(Failure::new("call.failed", message))
            }
            PassOutcome::Succeeded | PassOutcome::Failed => PassEnd::into_verdict(end),
        })
    }

    /// The child of a call has ended, or could not begin.
    pub(super) fn child_ended(&mut self, step: &str, end: ChildEnd) -> Result<(), Rejection> {
        let slot = self.run.find(step)?;
        let waits = self.run.child_of(slot) == Some(&end.run);
        if !waits || self.run.step(slot).outcome.is_some() {
            return Err(Rejection::NotInState {
                task: format!("{}.{step}", self.run.id),
                wanted: "waiting for that run",
                found: self.run.step(slot).status.as_str().to_owned(),
            });
        }
        self.emit(RunEvent::ChildEnded {
            step: step.to_owned(),
            run: end.run,
            outcome: end.outcome,
            output: end.output,
            error: end.error,
            at: self.moment.now,
        });
        self.work.push_back(Work::Block(slot));
        Ok(())
    }
}

impl RunState {
    /// The run that a call waits for, or has waited for.
    #[must_use]
    pub fn child_of(&self, slot: Slot) -> Option<&RunId> {
        match &self.step(slot).block.as_ref()?.progress {
            Progress::Call { run, .. } => Some(run),
            Progress::Once { .. }
            | Progress::Try { .. }
            | Progress::Many(_)
            | Progress::Loop { .. } => None,
        }
    }

    /// Whether the step at `slot` calls nobody, but has a call undone.
    pub(super) fn unwinds(&self, slot: Slot) -> bool {
        matches!(&self.spec(slot).kind, StepKind::Call(spec) if spec.unwinds)
    }

    /// The run that undid what the step at `undone` had called, the last time before the pass `now`.
    fn unwound_by(&self, undone: Slot, now: PassId) -> Option<&RunId> {
        let body = self.pass(now).body;
        let passes = self.passes.iter().zip(0..);
        let before = passes
            .filter(|(pass, _)| pass.owner == Some(undone) && pass.body == body)
            .map(|(_, id)| PassId(id))
            .filter(|id| *id != now)
            .last()?;
        self.slots_of(before).find_map(|slot| self.child_of(slot))
    }

    /// Whether the child of a call is to end with its parent.
    #[must_use]
    pub fn cancels_child(&self, slot: Slot) -> bool {
        match &self.spec(slot).kind {
            StepKind::Call(spec) => spec.wait && spec.on_parent_cancel == OnParentCancel::Cancel,
            _ => false,
        }
    }

    pub(super) fn end_child(&mut self, slot: Slot, end: PassEnd) {
        if let Some(block) = &mut self.step_mut(slot).block
            && let Progress::Call { end: own, .. } = &mut block.progress
        {
            *own = Some(end);
        }
    }
}

/// A name that nobody else has: 60 bits from the dice, different for each step of a decision.
fn child_id(dice: u64, slot: Slot) -> RunId {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // SplitMix64 (Steele, Lea, Flood 2014), so that neighbouring slots have nothing in common.
    let mut z = dice.wrapping_add(u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let digits =
        (0..12).map(|place| char::from(DIGITS[usize::from(((z >> (5 * place)) & 31) as u8)]));
    let text: String = std::iter::once('c').chain(digits).collect();
    RunId::parse(&text).expect("letters and digits are a run id")
}
