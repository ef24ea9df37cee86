//! Going back: a run as it stood behind an earlier one of its facts.
//!
//! Nothing leaves a journal. [`RunEvent::RunRewound`] says how many of the run's facts still count,
//! from the first on, and [`standing`] leaves out the others; whoever folds a whole stream folds what
//! it gives. A run that goes back is paused, its tasks are back in the queue, and its clocks stand
//! still from the moment that it went back to. What it did in the world since then stays done:
//! [`effects`] tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use phisync_state::{Timestamp, Version};
use phisync_workflows::Machine;
use phisync_workflows::machine::Effects;

use super::decide::{Decision, Draft};
use super::event::{CancelReason, RunEvent, Undo};
use super::fork::step_of;
use super::input::Moment;
use super::run::RunState;
use super::status::{Phase, TaskStatus};
use super::{RunId, apply};

/// That a run went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// Behind so many of its facts.
    pub to: u64,
    /// Who wanted it.
    pub by: String,
    /// In their words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Who takes a run back, and to when.
#[derive(Clone, Debug)]
pub struct Rewind {
    /// Who.
    pub by: String,
    /// In their words.
    pub reason: String,
    /// Its clocks stood still since.
    pub since: Timestamp,
}

/// The facts of a run that count, in order: without those that a rewind took back.
pub fn standing<F>(facts: Vec<F>, event: impl Fn(&F) -> &RunEvent) -> Vec<F> {
    let mut counts = vec![true; facts.len()];
    let mut end = facts.len();
    while let Some((at, to)) = last_rewind(&facts[..end], &event) {
        counts[to..at].fill(false);
        end = to;
    }
    let counted = facts.into_iter().zip(counts);
    counted
        .filter_map(|(fact, counts)| counts.then_some(fact))
        .collect()
}

fn last_rewind<F>(facts: &[F], event: impl Fn(&F) -> &RunEvent) -> Option<(usize, usize)> {
    let numbered = facts.iter().enumerate().rev();
    let mut rewinds = numbered.filter_map(|(at, fact)| match event(fact) {
        RunEvent::RunRewound { to, .. } => {
            let to = usize::try_from(*to).unwrap_or(usize::MAX);
            Some((at, to.min(at)))
        }
        _ => None,
    });
    rewinds.next()
}

/// The run behind the first `to` of its facts, which are at least one, and what follows from going
/// back. `version` is that of its stream.
#[must_use]
pub fn rewind(
    (machine, id, version): (&Arc<Machine>, &RunId, Version),
    facts: &[RunEvent],
    to: u64,
    order: &Rewind,
    moment: Moment,
) -> (RunState, Decision) {
    let mut run = fold(machine, id, first(facts, to));
    run.version = version;
    let mut draft = Draft::new(&mut run, moment);
    draft.go_back(to, order);
    if draft.run.phase != Phase::Closed {
        // What follows happened then, as far as the run's clocks are concerned.
        draft.moment.now = order.since;
        draft.emit(RunEvent::RunPaused {
            by: order.by.clone(),
            reason: Some(format!("rewound: {}", order.reason)),
            at: order.since,
        });
        draft.put_everything_back();
        draft.settle();
    }
    let events = draft.events;
    (run, Decision { events })
}

/// A run that had not begun at the moment that everything goes back to: it has done nothing, and is
/// closed as cancelled. Its name stays taken.
#[must_use]
pub fn undo_start(
    (machine, id, version): (&Arc<Machine>, &RunId, Version),
    facts: &[RunEvent],
    order: &Rewind,
    moment: Moment,
) -> (RunState, Decision) {
    let mut run = fold(machine, id, first(facts, 1));
    run.version = version;
    let at = moment.now;
    let mut draft = Draft::new(&mut run, moment);
    draft.go_back(1, order);
    draft.emit(RunEvent::RunCancelling {
        by: order.by.clone(),
        reason: Some(format!("rewound to before its start: {}", order.reason)),
        at,
    });
    for slot in draft.run.slots() {
        draft.emit(RunEvent::StepCancelled {
            step: draft.run.name(slot),
            reason: CancelReason::RunCancelled,
            at,
        });
    }
    draft.emit(RunEvent::RunCancelled {
        undo: Undo::None,
        at,
    });
    let events = draft.events;
    (run, Decision { events })
}

/// A run as its facts tell of it, from the first on; those that a rewind took back do not count.
#[must_use]
pub fn fold(machine: &Arc<Machine>, id: &RunId, facts: &[RunEvent]) -> RunState {
    let mut run = RunState::new(Arc::clone(machine), id.clone());
    for fact in standing(facts.iter().collect(), |fact| fact) {
        apply(&mut run, fact);
    }
    run.version = facts.len() as Version;
    run
}

fn first(facts: &[RunEvent], count: u64) -> &[RunEvent] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    &facts[..count.min(facts.len())]
}

impl Draft<'_> {
    fn go_back(&mut self, to: u64, order: &Rewind) {
        self.emit(RunEvent::RunRewound {
            to,
            by: order.by.clone(),
            reason: order.reason.clone(),
            at: self.moment.now,
        });
    }

    /// No lease outlives a rewind. The work may have begun.
    fn put_everything_back(&mut self) {
        let live = self.run.live_tasks();
        let held = live.filter(|(_, task)| task.status == TaskStatus::Running);
        let held = held.filter_map(|(id, task)| Some((id, task.holder.as_ref()?.token)));
        for (id, token) in held.collect::<Vec<_>>() {
            self.put_back(id.step, id.undo, token, true);
        }
    }
}

/// Something that a run did in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The step that did it.
    pub step: String,
    /// What: `task`, `undo`, `files`, `event`.
    pub kind: &'static str,
    /// Whether nothing can undo it.
    pub irreversible: bool,
}

/// What these facts did in the world, which going back behind them does not undo; each step's once,
/// in the order of the names.
#[must_use]
pub fn effects(machine: &Machine, facts: &[RunEvent]) -> Vec<Effect> {
    let mut found = BTreeSet::new();
    for fact in facts {
        let (step, kind) = match fact {
            RunEvent::TaskClaimed { step, undo, .. }
            | RunEvent::TaskCompleted { step, undo, .. } => {
                (step, if *undo { "undo" } else { "task" })
            }
            RunEvent::FilesDecided { step, .. } => (step, "files"),
            RunEvent::EventEmitted { step, .. } => (step, "event"),
            _ => continue,
        };
        found.insert((step.clone(), kind));
    }
    let effects = found.into_iter().map(|(step, kind)| {
        let spec = step_of(machine, &step).map(|step| machine.step(step));
        let final_ = spec.is_some_and(|spec| spec.effects == Effects::Irreversible);
        Effect {
            irreversible: final_ && kind == "task",
            step,
            kind,
        }
    });
    effects.collect()
}
