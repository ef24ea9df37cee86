//! The watchdog: what is open and has nobody to wake it.
//!
//! There should be nothing: every wait gets its waker and its clock where it begins. This looks all
//! the same, so that a defect becomes an incident that a person sees, and never silence. After a
//! decision it looks at what its facts touched and no further; after a replay, once, at everything.
//! Whether an agent, an event or another run ever comes is not known here: each of those waits has a
//! clock besides.

use std::collections::BTreeSet;

use super::decide::{Decision, Draft};
use super::event::{CancelReason, RunEvent, Undo};
use super::input::{Moment, Rejection, Resolution};
use super::pass::{PassId, PassStatus, Slot};
use super::run::{Clock, RunState};
use super::status::{Phase, RunStatus, StepStatus, TaskStatus};
use super::step::{StepState, TaskState, UndoOf};
use super::{Failure, Waker};

/// Something open that nobody wakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The step; `None`: the run itself.
    pub step: Option<String>,
    /// What was found, in words.
    pub found: String,
}

impl Stall {
    /// As an error.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let what = self.step.as_ref();
        let what = what.map_or_else(String::new, |step| format!("`{step}`: "));
        Failure::new("engine.stalled", format!("{what}{}", self.found))
    }
}

/// Looks at what `events`, already applied, have touched. A stall becomes a fact, unless one is known.
#[must_use]
pub fn watch(run: &mut RunState, events: &[RunEvent], moment: Moment) -> Decision {
    let mut touched = BTreeSet::new();
    for event in events {
        if let RunEvent::PassOpened { pass, .. } = event
            && let Some(pass) = run.pass_named(pass)
        {
            touched.extend(run.slots_of(pass));
        }
        let Some(slot) = event.step().and_then(|step| run.slot_named(step)) else {
            continue;
        };
        touched.insert(slot);
        let step = run.step(slot);
        touched.extend(run.pass(step.pass).owner);
        if step.outcome.is_some() {
            let dependants = run.machine.dependants(step.spec).iter();
            touched.extend(dependants.filter_map(|spec| run.slot_in(step.pass, *spec)));
        }
    }
    found(run, touched.into_iter(), moment)
}

/// Looks at everything.
#[must_use]
pub fn watch_all(run: &mut RunState, moment: Moment) -> Decision {
    let slots = run.slots();
    found(run, slots, moment)
}

fn found(run: &mut RunState, slots: impl Iterator<Item = Slot>, moment: Moment) -> Decision {
    if run.status != RunStatus::Running || run.stalled.is_some() {
        return Decision::default();
    }
    let mut slots = slots;
    let of_step = slots.find_map(|slot| {
        let found = stall_of(run, slot)?;
        let step = Some(run.name(slot));
        Some(Stall { step, found })
    });
    let stall = of_step.or_else(|| {
        let found = stall_of_run(run)?.to_owned();
        Some(Stall { step: None, found })
    });
    let Some(Stall { step, found }) = stall else {
        return Decision::default();
    };
    let mut draft = Draft::new(run, moment);
    draft.emit(RunEvent::StallFound {
        step,
        found,
        at: moment.now,
    });
    let events = draft.events;
    Decision { events }
}

/// Why nothing wakes the step at `slot`, if so.
fn stall_of(run: &RunState, slot: Slot) -> Option<String> {
    let step = run.step(slot);
    for undo in [false, true] {
        let task = run.task(slot, undo);
        if let Some(found) = task.and_then(|task| stall_of_task(run, slot, undo, task)) {
            return Some(found);
        }
    }
    let waits = step.outcome.is_none()
        || step.status == StepStatus::Compensating
        || run.incidents.contains_key(&slot);
    if !waits {
        return None;
    }
    let Some(waker) = &step.waker else {
        return Some(format!(
            "it is {} and waits for nobody",
            step.status.as_str()
        ));
    };
    let rings = |clock| {
        step.due
            .is_some_and(|due| run.deadlines.contains(&(due, clock)))
    };
    let found = match waker {
        Waker::Needs => {
            let forward = run.pass(step.pass).status == PassStatus::Forward && !run.held;
            let mut needs = run.needs(slot);
            let met = forward && needs.all(|need| run.settled(need).is_some());
            met.then_some("what it needs has ended, and it did not begin")
        }
        Waker::Steps => is_idle(run, slot, step).then_some("none of its steps is open"),
        Waker::Timer { .. } | Waker::Event { .. } | Waker::Files { until: Some(_) }
            if step.task.is_none() && step.undo.is_none() =>
        {
            (!rings(Clock::Timer { step: slot }))
                .then_some("the clock that it waits for is not set")
        }
        Waker::Person { until } if run.is_approval(slot) => {
            let clock = (*until, Clock::Approval { step: slot });
            (!run.deadlines.contains(&clock)).then_some("its approval has no clock")
        }
        Waker::Timer { .. }
        | Waker::Event { .. }
        | Waker::Files { .. }
        | Waker::Person { .. }
        | Waker::Agent { .. }
        | Waker::Lease { .. }
        | Waker::Child { .. }
        | Waker::Undo
        | Waker::Incident { .. } => None,
    };
    found.map(str::to_owned)
}

/// Whether a step that waits for those inside of it has none that is open.
fn is_idle(run: &RunState, slot: Slot, step: &StepState) -> bool {
    let undoing = run.undoing.get(&UndoOf::Block(slot));
    let undone = undoing.is_none_or(super::run::Undoing::is_through);
    let open = step.block.as_ref().is_some_and(|b| !b.open.is_empty());
    let undo = step.undo_pass.map(|pass| run.pass(pass).status.is_open());
    let inside = step.block.is_some() || undo.is_some();
    inside && !open && undone && undo != Some(true) && step.due.is_none()
}

fn stall_of_task(run: &RunState, step: Slot, undo: bool, task: &TaskState) -> Option<String> {
    let due = match task.status {
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => return None,
        TaskStatus::Ready => Some(task.queue_deadline),
        TaskStatus::Running => task.holder.as_ref().map(|holder| holder.run_deadline),
        TaskStatus::Backoff => task.retry_at,
        TaskStatus::Asking => task.open_question().map(|question| question.deadline),
    };
    let kind = if undo { "undo" } else { "task" };
    let status = task.status.as_str();
    let clock = Clock::Attempt { step, undo };
    let rings = due.is_some_and(|due| run.deadlines.contains(&(due, clock)));
    match (&task.waker, rings) {
        (None, _) => Some(format!("its {kind} is {status} and waits for nobody")),
        (Some(_), false) => Some(format!("its {kind} is {status} and has no clock")),
        (Some(_), true) => None,
    }
}

fn stall_of_run(run: &RunState) -> Option<&'static str> {
    if run.waker.is_none() {
        return Some("it is open and waits for nobody");
    }
    let decided = !run.incidents.is_empty() || run.stands_still();
    if decided || run.next_deadline().is_some() {
        return None;
    }
    // What waits without a clock waits for another run or for a disk. Usually there is a clock, so
    // this is not looked at.
    let elsewhere = |step: &StepState| {
        matches!(
            step.waker,
            Some(Waker::Child { .. } | Waker::Files { until: None })
        )
    };
    let waits = run.steps.iter().any(elsewhere);
    (!waits).then_some("no clock is set, and nobody is asked for anything")
}

impl Draft<'_> {
    /// A person decides what becomes of a run that stalled.
    pub(super) fn resolve_stall(
        &mut self,
        action: Resolution,
        reason: String,
        by: String,
    ) -> Result<(), Rejection> {
        let Some(stall) = self.run.stalled.clone() else {
            return Err(Rejection::NotInState {
                task: self.run.id.to_string(),
                wanted: "a run that stalled",
                found: self.run.phase.as_str().to_owned(),
            });
        };
        if action == Resolution::Skip && self.run.phase != Phase::Forward {
            return Err(Rejection::NotInState {
                task: self.run.id.to_string(),
                wanted: "a run that can still fail",
                found: format!("{}: retry or abandon", self.run.phase.as_str()),
            });
        }
        self.emit(RunEvent::StallResolved {
            action,
            reason,
            by,
            at: self.moment.now,
        });
        match action {
            Resolution::Retry => self.look_at_everything(),
            Resolution::Skip => self.fail_by(&stall),
            Resolution::Abandon => self.give_up(&stall),
        }
        Ok(())
    }

    /// What stalled counts as failed, and the run goes on from there by its own rules: handlers, the undoing
    /// of what was done, `finally`.
    fn fail_by(&mut self, stall: &Stall) {
        let step = stall.step.as_deref();
        let slot = step.and_then(|step| self.run.slot_named(step));
        let error = Failure::new("engine.stalled", stall.found.clone());
        self.fail_pass(PassId::MAIN, slot, error);
        let lost = slot.filter(|slot| {
            let step = self.run.step(*slot);
            let held = step.task.as_ref().is_some_and(|task| task.holder.is_some());
            step.outcome.is_none() && step.block.is_none() && !held
        });
        if let Some(slot) = lost {
            self.emit(RunEvent::StepCancelled {
                step: self.run.name(slot),
                reason: CancelReason::RunFailed,
                at: self.moment.now,
            });
            self.follow(slot);
        }
        self.look_at_everything();
    }

    /// Closes the run as it stands.
    fn give_up(&mut self, stall: &Stall) {
        let at = self.moment.now;
        if self.run.error.is_none() && self.run.cancelled_by.is_none() {
            self.emit(RunEvent::RunFailing {
                step: stall.step.clone(),
                error: Failure::new("engine.stalled", stall.found.clone()),
                at,
            });
        }
        for slot in self.run.slots() {
            if self.run.step(slot).outcome.is_none() {
                self.emit(RunEvent::StepCancelled {
                    step: self.run.name(slot),
                    reason: CancelReason::RunFailed,
                    at,
                });
            }
        }
        let undo = Undo::Abandoned;
        self.emit(match self.run.cancelled_by {
            Some(_) => RunEvent::RunCancelled { undo, at },
            None => RunEvent::RunFailed { undo, at },
        });
    }
}
