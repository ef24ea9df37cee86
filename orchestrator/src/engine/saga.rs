//! The undoing of what completed, when a run or a block with a saga of its own ends badly.
//!
//! Last completed first. Completion respects the order of needs, so reverse completion is reverse
//! dependency order. One at a time, unless the saga's order is relaxed: then steps without order
//! between them are undone at once. An undo that fails for good parks the saga as an incident:
//! nothing of it moves until a person decides.

use std::borrow::Cow;
use std::collections::BTreeSet;

use phisync_workflows::machine::{
    Compensate, Effects, OnUndoFailure, Saga, Step, StepKind, UndoOrder,
};

use super::Failure;
use super::blocks::saga_of;
use super::decide::{Draft, Work};
use super::event::RunEvent;
use super::input::{Rejection, Resolution};
use super::pass::{PassId, PassStatus, Slot, UNDO};
use super::run::{RunState, Undoing};
use super::scope::ErrorInScope;
use super::status::{StepStatus, TaskStatus};
use super::step::UndoOf;

/// At most so many steps of one saga are undone at once.
const UNDO_AT_ONCE: usize = 64;

impl Draft<'_> {
    /// Begins to undo; `false` if there is nothing to undo.
    pub(super) fn begin_undo_of(&mut self, whose: UndoOf, error: Option<Failure>) -> bool {
        let mut order = undo_order(self.run, whose);
        let mut already = Vec::new();
        order.retain(|slot| {
            let spared = self.spared.contains(&self.run.name(*slot));
            if spared {
                already.push(self.run.name(*slot));
            }
            !spared
        });
        if order.is_empty() && already.is_empty() {
            return false;
        }
        self.emit(RunEvent::UndoStarted {
            block: match whose {
                UndoOf::Run => None,
                UndoOf::Block(slot) => Some(self.run.name(slot)),
            },
            steps: order.into_iter().map(|slot| self.run.name(slot)).collect(),
            already,
            error,
            at: self.moment.now,
        });
        self.undo_next(whose);
        true
    }

    /// Puts the next undos into the queue. What follows when all are through, `settle` finds.
    fn undo_next(&mut self, whose: UndoOf) {
        while let Some(slot) = self.next_to_undo(whose) {
            if let Compensate::Body(_) = self.run.spec(slot).compensate {
                self.enter(Some(slot), UNDO, None);
                continue;
            }
            match self.undo_ready(slot) {
                Ok(event) => self.emit(event),
                Err(error) => self.park(slot, error),
            }
        }
        let through = self.run.undoing.get(&whose).is_none_or(Undoing::is_through);
        if let (UndoOf::Block(slot), true) = (whose, through) {
            self.work.push_back(Work::Block(slot));
        }
    }

    /// The next step to undo, if it may be undone now.
    fn next_to_undo(&self, whose: UndoOf) -> Option<Slot> {
        let undoing = self.run.undoing.get(&whose)?;
        let next = undoing.left.last().copied()?;
        if undoing.under_way.is_empty() && undoing.parked == 0 {
            return Some(next);
        }
        let relaxed = self
            .saga(whose)
            .is_some_and(|saga| saga.order == UndoOrder::Relaxed);
        if !relaxed || undoing.under_way.len() >= UNDO_AT_ONCE {
            return None;
        }
        let under_way = self.run.undone_now(whose);
        let mut later = under_way.filter(|slot| comes_after(self.run, *slot, next));
        later.next().is_none().then_some(next)
    }

    fn saga(&self, whose: UndoOf) -> Option<&Saga> {
        match whose {
            UndoOf::Run => Some(self.run.machine.saga()),
            UndoOf::Block(slot) => saga_of(self.run.spec(slot)),
        }
    }

    pub(super) fn after_undo(&mut self, slot: Slot) {
        let Some(task) = self.run.task(slot, true) else {
            return;
        };
        let whose = self.run.step(slot).undone_by.unwrap_or(UndoOf::Run);
        if task.status == TaskStatus::Completed {
            self.undo_next(whose);
            return;
        }
        let error = task.last_error.clone();
        let error = error.map_or_else(
            || Failure::new("saga.failed", "no reason given"),
            |ended| ended.error,
        );
        self.park(slot, error);
        self.undo_next(whose);
    }

    /// What follows when a pass through what undoes a step has ended.
    pub(super) fn after_undo_pass(&mut self, slot: Slot, pass: PassId) {
        let whose = self.run.step(slot).undone_by.unwrap_or(UndoOf::Run);
        let pass = self.run.pass(pass);
        if pass.status != PassStatus::Succeeded {
            let error = pass.error.clone().map(|(_, error)| error);
            let unknown = || Failure::new("saga.failed", "its undo was stopped");
            self.park(slot, error.unwrap_or_else(unknown));
        }
        self.undo_next(whose);
    }

    /// An undo that failed for good waits for a person, unless the saga says to go on.
    fn park(&mut self, slot: Slot, error: Failure) {
        let step = self.run.name(slot);
        self.emit(RunEvent::IncidentOpened {
            step: step.clone(),
            error,
            at: self.moment.now,
        });
        let whose = self.run.step(slot).undone_by.unwrap_or(UndoOf::Run);
        let rule = self.saga(whose).map(|saga| saga.on_compensation_failure);
        if rule == Some(OnUndoFailure::Continue) {
            self.emit(RunEvent::IncidentResolved {
                step,
                action: Resolution::Skip,
                reason: "on_compensation_failure: continue".to_owned(),
                by: "saga".to_owned(),
                at: self.moment.now,
            });
        }
    }

    pub(super) fn resolve(
        &mut self,
        id: &str,
        action: Resolution,
        reason: String,
        by: String,
    ) -> Result<(), Rejection> {
        let index = self.run.find(id)?;
        if !self.run.incidents.contains_key(&index) {
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
        let whose = self.run.step(index).undone_by.unwrap_or(UndoOf::Run);
        self.undo_next(whose);
        Ok(())
    }
}

/// The steps to undo, first one first.
fn undo_order(run: &RunState, whose: UndoOf) -> Vec<Slot> {
    let members = match whose {
        UndoOf::Run => run.slots().collect(),
        UndoOf::Block(slot) => run.slots_inside(slot),
    };
    let kept = behind_a_pivot(run, whose, &members);
    let mut order: Vec<_> = members
        .into_iter()
        .filter(|slot| is_undoable(run.spec(*slot)))
        .filter(|slot| !kept.contains(slot))
        .filter(|slot| wants_undo(run, *slot))
        .collect();
    order.sort_by_key(|slot| std::cmp::Reverse(run.step(*slot).ended_order));
    order
}

/// Whether something was said, or follows, about how a step is undone.
fn is_undoable(step: &Step) -> bool {
    match step.compensate {
        Compensate::Task(_) | Compensate::Body(_) => true,
        Compensate::Absent | Compensate::None => false,
    }
}

/// Completed steps, and those that ended by silence and may have changed the world all the same.
fn wants_undo(run: &RunState, slot: Slot) -> bool {
    let step = run.step(slot);
    if step.undone_by.is_some() {
        return false;
    }
    match step.outcome {
        Some(StepStatus::Completed) => true,
        Some(StepStatus::Failed | StepStatus::Cancelled) => {
            let unknown = step.task.as_ref().is_some_and(|task| task.effect_unknown);
            unknown && !run.spec(slot).idempotent
        }
        _ => false,
    }
}

/// What was ordered before a completed irreversible step stays as it is.
fn behind_a_pivot(run: &RunState, whose: UndoOf, members: &[Slot]) -> BTreeSet<Slot> {
    let mut kept = BTreeSet::new();
    let pivots = members.iter().copied();
    let pivots = pivots
        .filter(|slot| run.spec(*slot).effects == Effects::Irreversible)
        .filter(|slot| run.step(*slot).outcome == Some(StepStatus::Completed))
        .filter(|slot| run.machine.undoes(run.step(*slot).spec).is_none());
    for pivot in pivots {
        let mut at = pivot;
        loop {
            keep_needs(run, at, &mut kept);
            let pass = run.pass(run.step(at).pass);
            let Some(owner) = pass.owner.filter(|owner| whose != UndoOf::Block(*owner)) else {
                break;
            };
            if let (StepKind::Loop(_), Some(round)) = (&run.spec(owner).kind, pass.round) {
                let earlier = run.step(owner).block.iter().flat_map(|block| &block.passes);
                for id in earlier.filter(|id| run.pass(**id).round < Some(round)) {
                    kept.extend(run.slots_within(*id));
                }
            }
            at = owner;
        }
    }
    kept
}

fn keep_needs(run: &RunState, slot: Slot, kept: &mut BTreeSet<Slot>) {
    let mut open = vec![slot];
    while let Some(slot) = open.pop() {
        for need in run.needs(slot) {
            if kept.insert(need) {
                kept.extend(run.slots_inside(need));
                open.push(need);
            }
        }
    }
}

/// Whether `later` can only have begun after `earlier` had ended.
fn comes_after(run: &RunState, later: Slot, earlier: Slot) -> bool {
    let chain = |slot: Slot| {
        let outwards =
            std::iter::successors(Some(slot), |slot| run.pass(run.step(*slot).pass).owner);
        let mut chain: Vec<_> = outwards.collect();
        chain.reverse();
        chain
    };
    let (late, early) = (chain(later), chain(earlier));
    let parted = late.iter().zip(&early).position(|(a, b)| a != b);
    let Some(place) = parted else {
        // One of them is a block around the other: its own undo stands for its end.
        return late.len() < early.len();
    };
    let (late, early) = (late[place], early[place]);
    let passes = (run.step(late).pass, run.step(early).pass);
    if passes.0 == passes.1 {
        let mut open = vec![late];
        while let Some(slot) = open.pop() {
            for need in run.needs(slot) {
                if need == early {
                    return true;
                }
                open.push(need);
            }
        }
        return false;
    }
    let owner = run.pass(passes.0).owner.map(|slot| &run.spec(slot).kind);
    match owner {
        Some(StepKind::Foreach(_) | StepKind::Parallel(_)) => false,
        _ => run.step(late).ended_order > run.step(early).ended_order,
    }
}

/// Why a step is undone.
pub(super) struct UndoCause<'a> {
    failure: Cow<'a, Failure>,
    attempt: u32,
    step: Option<String>,
}

impl UndoCause<'_> {
    /// As `error` in what undoes it.
    pub(super) fn in_scope(&self) -> ErrorInScope<'_> {
        ErrorInScope {
            failure: &self.failure,
            attempt: self.attempt,
            step: self.step.as_deref(),
        }
    }
}

impl RunState {
    /// Why the step at `slot` is undone: the failure of its run or block, or that it was cancelled.
    pub(super) fn undo_cause(&self, slot: Slot) -> UndoCause<'_> {
        let whose = self.step(slot).undone_by.unwrap_or(UndoOf::Run);
        let (step, failure) = match whose {
            UndoOf::Run => (self.failed_step.clone(), self.error.as_ref()),
            UndoOf::Block(block) => {
                let undoing = self.undoing.get(&whose);
                let failure = undoing.and_then(|undoing| undoing.error.as_ref());
                (Some(self.name(block)), failure)
            }
        };
        let cancelled = || Cow::Owned(Failure::new("cancelled", "the run was cancelled"));
        let failed = self.failed_step.as_deref();
        let failed = failed.and_then(|name| self.slot_named(name));
        let task = failed.and_then(|slot| self.task(slot, false));
        UndoCause {
            failure: failure.map_or_else(cancelled, Cow::Borrowed),
            attempt: task.map_or(1, |task| task.attempt.max(1)),
            step,
        }
    }

    /// The steps of a pass, and those inside of them.
    fn slots_within(&self, pass: PassId) -> Vec<Slot> {
        let mut found = Vec::new();
        let mut open = vec![pass];
        while let Some(pass) = open.pop() {
            for slot in self.slots_of(pass) {
                found.push(slot);
                let step = self.step(slot);
                open.extend(step.block.iter().flat_map(|block| &block.passes));
                open.extend(step.handler);
            }
        }
        found
    }

    /// The steps inside of a step.
    pub(super) fn slots_inside(&self, slot: Slot) -> Vec<Slot> {
        let step = self.step(slot);
        let passes = step.block.iter().flat_map(|block| &block.passes);
        let passes = passes.chain(&step.handler);
        passes.flat_map(|pass| self.slots_within(*pass)).collect()
    }

    /// The steps of a block whose undos are under way or wait for a person.
    pub fn undone_of_block(&self, block: Slot) -> impl Iterator<Item = Slot> {
        let whose = UndoOf::Block(block);
        let parked = self.incidents.keys().copied();
        let parked = parked.filter(move |slot| self.step(*slot).undone_by == Some(whose));
        self.undone_now(whose).chain(parked)
    }

    /// The steps whose undos are in the queue or in work, of one saga.
    fn undone_now(&self, whose: UndoOf) -> impl Iterator<Item = Slot> {
        let undoing = self.undoing.get(&whose);
        undoing
            .into_iter()
            .flat_map(|undoing| undoing.under_way.iter().copied())
    }
}
