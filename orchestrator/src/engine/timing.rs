//! Steps that the orchestrator does by itself: timers and variables.

use phisync_state::Timestamp;
use phisync_workflows::machine::{SetSpec, StepKind, WaitSpec};
use serde_json::json;

use super::decide::{Draft, Work};
use super::event::RunEvent;
use super::pass::Slot;
use super::scope::RunScope;
use super::{Failure, RawJson};

impl Draft<'_> {
    /// The fact with which a timer begins; one that is over already ends at once.
    pub(super) fn timer_set(&self, slot: Slot, spec: &WaitSpec) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let at = self.moment.now;
        let text = scope.text(spec.template())?;
        let due = spec.end(&text, at.as_micros()).ok_or_else(|| {
            let message = match spec {
                WaitSpec::For(_) => format!("`{text}` is not a duration, as `15m` is"),
                WaitSpec::Until(_) => format!("`{text}` is not a timestamp of RFC 3339"),
            };
            Failure::new("expr", message)
        })?;
        let due = Timestamp::from_micros(due);
        let step = self.run.name(slot);
        Ok(if due <= at {
            let output = RawJson::from_value(&json!({ "at": at.to_string() }));
            RunEvent::StepCompleted { step, output, at }
        } else {
            RunEvent::TimerSet { step, at, due }
        })
    }

    /// The time has come that a step waits for.
    pub(super) fn timer_rings(&mut self, slot: Slot) {
        if self.block(slot).is_some() {
            self.work.push_back(Work::Block(slot));
            return;
        }
        let machine = self.machine();
        match &machine.step(self.run.step(slot).spec).kind {
            StepKind::WaitFor(spec) => return self.expire_wait(slot, spec),
            StepKind::Approval(_) => return self.escalate_approval(slot),
            StepKind::Files(spec) => return self.files_ring(slot, spec),
            _ => {}
        }
        let at = self.moment.now;
        self.emit(RunEvent::StepCompleted {
            step: self.run.name(slot),
            output: RawJson::from_value(&json!({ "at": at.to_string() })),
            at,
        });
        self.follow(slot);
    }

    /// The values that a `set` writes, as one object.
    pub(super) fn new_values(&self, slot: Slot, spec: &SetSpec) -> Result<RawJson, Failure> {
        let pass = self.run.step(slot).pass;
        RunScope::new(self.run, self.moment, pass).object(&spec.values)
    }
}
