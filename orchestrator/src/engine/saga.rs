//! The undoing of a run that failed or was cancelled: one step at a time, last completed first.
//!
//! Completion respects the order of needs, so reverse completion is reverse dependency order. An
//! undo that fails for good parks the run as an incident: nothing moves until a person decides.

use phisync_workflows::machine::Effects;

use super::decide::Draft;
use super::event::{RunEvent, Undo};
use super::input::{Rejection, Resolution};
use super::pass::Slot;
use super::run::RunState;
use super::status::{StepStatus, TaskStatus};
use super::task::compensation;
use super::{Failure, Phase};

impl Draft<'_> {
    /// Begins to undo, or closes at once if nothing is to be undone.
    pub(super) fn begin_undo(&mut self) {
        let order = undo_order(self.run);
        if order.is_empty() {
            self.close_badly(Undo::None);
            return;
        }
        self.emit(RunEvent::UndoStarted {
            steps: order
                .into_iter()
                .map(|index| self.run.name(index))
                .collect(),
            at: self.moment.now,
        });
        self.undo_next();
    }

    fn undo_next(&mut self) {
        let Some(index) = self.run.to_undo.last().copied() else {
            let undo = match self.run.undo {
                Undo::None => Undo::Done,
                undo @ (Undo::Done | Undo::Partial | Undo::Abandoned) => undo,
            };
            self.close_badly(undo);
            return;
        };
        match self.undo_ready(index) {
            Ok(event) => self.emit(event),
            Err(error) => self.park(index, error),
        }
    }

    pub(super) fn after_undo(&mut self, index: Slot) {
        let Some(task) = self.run.task(index, true) else {
            return;
        };
        if task.status == TaskStatus::Completed {
            self.undo_next();
            return;
        }
        let error = task.last_error.clone();
        let error = error.map_or_else(
            || Failure::new("saga.failed", "no reason given"),
            |ended| ended.error,
        );
        self.park(index, error);
    }

    fn park(&mut self, index: Slot, error: Failure) {
        self.emit(RunEvent::IncidentOpened {
            step: self.run.name(index),
            error,
            at: self.moment.now,
        });
    }

    pub(super) fn resolve(
        &mut self,
        id: &str,
        action: Resolution,
        reason: String,
        by: String,
    ) -> Result<(), Rejection> {
        let index = self.run.find(id)?;
        let open = self.run.incident.as_ref();
        if self.run.phase != Phase::Compensating || open.is_none_or(|(step, _)| *step != index) {
            return Err(Rejection::NotInState {
                task: format!("{}.{id}", self.run.id),
                wanted: "an open incident",
                found: self.run.step(index).status.as_str().to_owned(),
            });
        }
        self.emit(RunEvent::IncidentResolved {
            step: id.to_owned(),
            action,
            reason,
            by,
            at: self.moment.now,
        });
        self.undo_next();
        Ok(())
    }
}

/// The steps to undo, first one first.
fn undo_order(run: &RunState) -> Vec<Slot> {
    let kept = behind_the_pivot(run);
    let mut order: Vec<_> = run
        .slots()
        .filter(|index| compensation(run.spec(*index)).is_some())
        .filter(|index| !kept[index.get()])
        .filter(|index| wants_undo(run, *index))
        .collect();
    order.sort_by_key(|index| std::cmp::Reverse(run.step(*index).ended_order));
    order
}

/// Completed steps, and those that ended by silence and may have changed the world all the same.
fn wants_undo(run: &RunState, index: Slot) -> bool {
    let step = run.step(index);
    match step.outcome {
        Some(StepStatus::Completed) => true,
        Some(StepStatus::Failed | StepStatus::Cancelled) => {
            let unknown = step.task.as_ref().is_some_and(|task| task.effect_unknown);
            unknown && !run.spec(index).idempotent
        }
        _ => false,
    }
}

/// What was ordered before a completed irreversible step stays as it is.
fn behind_the_pivot(run: &RunState) -> Vec<bool> {
    let mut kept = vec![false; run.steps.len()];
    let mut open: Vec<_> = run
        .slots()
        .filter(|index| run.spec(*index).effects == Effects::Irreversible)
        .filter(|index| run.step(*index).outcome == Some(StepStatus::Completed))
        .collect();
    while let Some(index) = open.pop() {
        for need in run.needs(index) {
            if !std::mem::replace(&mut kept[need.get()], true) {
                open.push(need);
            }
        }
    }
    kept
}
