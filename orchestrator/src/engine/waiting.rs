//! `wait_for` and `emit`: steps that hear, and steps that speak.

use phisync_workflows::machine::{EmitSpec, OnExpiry, StepKind, WaitForSpec};
use serde_json::{Value as Json, json};

use super::decide::Draft;
use super::event::RunEvent;
use super::listen::{Delivery, Subscription};
use super::pass::Slot;
use super::scope::{Extra, RunScope};
use super::walk::source_of;
use super::{Failure, RawJson};

impl Draft<'_> {
    /// The fact with which a wait for events begins.
    pub(super) fn event_awaited(
        &self,
        slot: Slot,
        spec: &WaitForSpec,
    ) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let source = source_of(&spec.source);
        let (since, after) = if spec.from_start {
            (self.run.started_at, self.run.began_by(&source))
        } else {
            (self.moment.now, self.run.heard_up_to(&source))
        };
        Ok(RunEvent::EventAwaited {
            step: self.run.name(slot),
            subscription: Subscription {
                source,
                matching: scope.entries(&spec.matching)?.into_iter().collect(),
                since,
                after,
                count: spec.count,
            },
            at: self.moment.now,
            deadline: Some(self.after(spec.timeout)),
        })
    }

    /// Whether the condition of a wait holds of what came. One that cannot be evaluated does not.
    pub(super) fn is_meant(&self, step: &str, what: &Delivery) -> bool {
        let Some(slot) = self.run.slot_named(step) else {
            return true;
        };
        let StepKind::WaitFor(spec) = &self.run.spec(slot).kind else {
            return true;
        };
        let Some(condition) = &spec.when else {
            return true;
        };
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let scope = scope.with(Extra {
            event: Some(what),
            ..Extra::default()
        });
        scope.holds(condition).unwrap_or(false)
    }

    /// Nothing that fits came in time.
    pub(super) fn expire_wait(&mut self, slot: Slot, spec: &WaitForSpec) {
        let (step, at) = (self.run.name(slot), self.moment.now);
        let waited = spec.timeout.as_secs();
        self.emit(match spec.on_timeout {
            OnExpiry::Fail => RunEvent::StepFailed {
                step,
                error: Failure::new(
                    "event.timeout",
                    format!("no {} within {waited}s", source_of(&spec.source).words()),
                ),
                at,
            },
            OnExpiry::Continue => RunEvent::StepCompleted {
                step,
                output: RawJson::from_value(&Json::Null),
                at,
            },
        });
        self.follow(slot);
    }

    /// The fact that sends an event, or a signal to another run. Its key tells a repetition.
    pub(super) fn event_emitted(&self, slot: Slot, spec: &EmitSpec) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let data = match &spec.data {
            Some(data) => scope.value(data)?,
            None => Json::Null,
        };
        let name = self.run.name(slot);
        Ok(RunEvent::EventEmitted {
            key: match &spec.key {
                Some(key) => Some(scope.text(key)?),
                None => Some(format!("{}.{name}", self.run.id)),
            },
            to: match &spec.to {
                Some(to) => Some(scope.text(to)?),
                None => None,
            },
            step: name,
            event: spec.event.clone(),
            data: RawJson::from_value(&data),
            at: self.moment.now,
        })
    }

    /// What was sent is the end of the step.
    pub(super) fn end_emit(&mut self, slot: Slot, key: Option<&str>) {
        let id = key.map_or_else(|| self.run.name(slot), str::to_owned);
        self.emit(RunEvent::StepCompleted {
            step: self.run.name(slot),
            output: RawJson::from_value(&json!({ "event_id": id })),
            at: self.moment.now,
        });
        self.follow(slot);
    }
}
