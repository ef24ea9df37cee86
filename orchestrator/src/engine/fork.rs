//! Going on from what another run did: outputs come from its journal, effects are not repeated.
//!
//! [`fork`] takes a run's facts up to one of them; [`retry`] takes what its succeeded steps did and does
//! the rest again. Both give a new run: the old one stays as it is. Tasks that were held at the cut are
//! given back first, and clocks go on where they stood. What happened after the cut happens again, so past
//! a step that cannot be undone somebody must say that this is meant.
//!
//! [`unwind`] takes everything, and goes backwards: that is how a run is undone after it has closed.

use std::collections::BTreeSet;
use std::sync::Arc;

use phisync_state::Timestamp;
use phisync_workflows::machine::{BodyIndex, Effects, Owner};
use phisync_workflows::{Machine, StepIndex};

use super::decide::{Decision, Draft, Work};
use super::event::RunEvent;
use super::input::{Moment, Resolution, Start};
use super::run::RunState;
use super::status::{Phase, StepStatus, TaskStatus};
use super::task::rules;

/// A fact, and when it was appended.
pub type Fact = (Timestamp, RunEvent);

/// Why a run cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkRefusal {
    /// The run has no such fact.
    #[error("the run has {last} events: fork at one of 1 to {last}")]
    NoSuchEvent {
        /// How many it has.
        last: u64,
    },
    /// The run was ending there.
    #[error("the run was {phase} there: fork at an earlier event")]
    Ending {
        /// What it was doing.
        phase: &'static str,
    },
    /// Something would be done again that cannot be undone.
    #[error("{} cannot be undone and would be done again", .steps.join(", "))]
    Irreversible {
        /// The steps.
        steps: Vec<String>,
    },
    /// The run has not ended.
    #[error("the run is still open: cancel it first, or fork it")]
    StillOpen,
    /// The run has no such step.
    #[error("the workflow has no step `{0}` of its own body to start again from")]
    NoSuchStep(String),
    /// Everything has succeeded.
    #[error("every step has succeeded: say which one to start again from")]
    NothingToRetry,
    /// Its states are not steps.
    #[error("the workflow has `states`: fork the run at an event instead")]
    HasStates,
}

/// A new run that begins with the first `at` facts of another.
///
/// # Errors
/// See [`ForkRefusal`]; nothing has happened then.
pub fn fork(
    machine: &Arc<Machine>,
    source: &[Fact],
    at: u64,
    start: Start,
    confirmed: bool,
    moment: Moment,
) -> Result<(RunState, Decision), ForkRefusal> {
    let last = source.len() as u64;
    let cut = usize::try_from(at).unwrap_or(usize::MAX);
    if at == 0 || at > last {
        return Err(ForkRefusal::NoSuchEvent { last });
    }
    let (kept, after) = source.split_at(cut);
    let mut again = claimed_irreversibly(machine, after);
    let kept = own_facts(kept);
    let old = replay(machine, &kept, &start);
    if old.phase != Phase::Forward {
        let phase = old.phase.as_str();
        return Err(ForkRefusal::Ending { phase });
    }
    let held = old.live_tasks();
    let held = held.filter(|(_, task)| task.status == TaskStatus::Running);
    let held = held.map(|(task, _)| task.step);
    again.extend(
        held.filter(|slot| old.spec(*slot).effects == Effects::Irreversible)
            .map(|slot| old.spec(slot).id.clone()),
    );
    refuse_irreversible(again, confirmed)?;
    Ok(go_on(machine, kept.iter().skip(1), start, moment))
}

/// A new run that keeps what the succeeded steps of a closed one did, and does again what did not succeed,
/// or `from` and everything that needs it.
///
/// # Errors
/// See [`ForkRefusal`]; nothing has happened then.
pub fn retry(
    machine: &Arc<Machine>,
    source: &[Fact],
    from: Option<&str>,
    start: Start,
    confirmed: bool,
    moment: Moment,
) -> Result<(RunState, Decision, Vec<String>), ForkRefusal> {
    let source = own_facts(source);
    let old = replay(machine, &source, &start);
    if old.phase != Phase::Closed {
        return Err(ForkRefusal::StillOpen);
    }
    if machine.states().is_some() {
        return Err(ForkRefusal::HasStates);
    }
    let main = &machine.body(BodyIndex::MAIN).steps;
    let named = match from {
        None => None,
        Some(id) => {
            let step = machine.step_named(id).filter(|step| main.contains(step));
            Some(step.ok_or_else(|| ForkRefusal::NoSuchStep(id.to_owned()))?)
        }
    };
    let mut again: BTreeSet<StepIndex> = named.into_iter().collect();
    for slot in old.slots_of(super::PassId::MAIN) {
        let step = old.step(slot);
        let stands = matches!(step.status, StepStatus::Completed | StepStatus::Skipped);
        if !stands {
            again.insert(step.spec);
        }
    }
    let mut open: Vec<_> = again.iter().copied().collect();
    while let Some(step) = open.pop() {
        for dependant in machine.dependants(step) {
            if again.insert(*dependant) {
                open.push(*dependant);
            }
        }
    }
    if again.is_empty() {
        return Err(ForkRefusal::NothingToRetry);
    }
    let is_again = |event: &RunEvent| outermost(machine, event).is_none_or(|s| again.contains(&s));
    let redone = source.iter().filter(|(_, event)| is_again(event));
    let redone: Vec<_> = redone.cloned().collect();
    refuse_irreversible(claimed_irreversibly(machine, &redone), confirmed)?;
    let kept = source
        .iter()
        .skip(1)
        .filter(|(_, event)| matches!(event, RunEvent::SignalReceived { .. }) || !is_again(event));
    let names = again.iter().map(|step| machine.step(*step).id.clone());
    let names = names.collect();
    let (run, decision) = go_on(machine, kept, start, moment);
    Ok((run, decision, names))
}

/// The facts that count, without the rewinds among them: those speak of the old run's places.
fn own_facts(source: &[Fact]) -> Vec<Fact> {
    let mut facts = super::standing(source.to_vec(), |(_, event)| event);
    facts.retain(|(_, event)| !matches!(event, RunEvent::RunRewound { .. }));
    facts
}

/// A new run that did what the closed run of `source` did, and undoes it from there on; but for the steps
/// that were undone `already`, by a run that tried this before and left the others.
#[must_use]
pub fn unwind(
    machine: &Arc<Machine>,
    source: &[Fact],
    already: BTreeSet<String>,
    start: Start,
    moment: Moment,
) -> (RunState, Decision) {
    let by = start.by.clone();
    let mut run = RunState::new(Arc::clone(machine), start.run.clone());
    let mut draft = Draft::new(&mut run, moment);
    draft.spared = already;
    draft.emit_start(machine, start, moment.now);
    let is_end = |event: &RunEvent| {
        matches!(
            event,
            RunEvent::RunCompleted { .. } | RunEvent::RunFinishing { .. }
        )
    };
    for (_, event) in own_facts(source).into_iter().skip(1) {
        if !is_end(&event) {
            draft.emit(event);
        }
    }
    draft.emit(RunEvent::RunCancelling {
        by,
        reason: Some("the run that called it is undone".to_owned()),
        at: moment.now,
    });
    draft.settle();
    let events = draft.events;
    (run, Decision { events })
}

fn replay(machine: &Arc<Machine>, events: &[Fact], start: &Start) -> RunState {
    let mut run = RunState::new(Arc::clone(machine), start.run.clone());
    for (_, event) in events {
        super::apply(&mut run, event);
    }
    run
}

/// The new run: its own start, what is kept of the old one, and what follows from that now.
fn go_on<'a>(
    machine: &Arc<Machine>,
    kept: impl Iterator<Item = &'a Fact>,
    start: Start,
    moment: Moment,
) -> (RunState, Decision) {
    let mut run = RunState::new(Arc::clone(machine), start.run.clone());
    let mut draft = Draft::new(&mut run, moment);
    let kept: Vec<_> = kept.collect();
    let last = kept.last().map_or(moment.now, |(at, _)| *at);
    // All clocks are put later by the time since then, the run's own too: it has its whole time again.
    draft.emit_start(machine, start, last);
    let mut tail = None;
    for (_, event) in kept {
        tail = event.step().map(str::to_owned);
        draft.emit(event.clone());
    }
    draft.give_back(last);
    draft.pass_over(last);
    if let Some(slot) = tail.and_then(|step| draft.run.slot_named(&step)) {
        draft.follow(slot);
    }
    draft.look_at_everything();
    draft.settle();
    let events = draft.events;
    (run, Decision { events })
}

impl Draft<'_> {
    /// Puts the tasks back that somebody held: the new run knows no agent.
    fn give_back(&mut self, at: Timestamp) {
        let held = self.run.live_tasks();
        let held = held.filter_map(|(id, task)| Some((id, task.holder.clone()?)));
        let held: Vec<_> = held.collect();
        for (id, holder) in held {
            let rules = rules(self.run.spec(id.step), id.undo);
            let queue = rules.map(|rules| rules.timeouts.queue).unwrap_or_default();
            self.emit(RunEvent::TaskReleased {
                step: self.run.name(id.step),
                undo: id.undo,
                token: holder.token,
                begun: true,
                at,
                queue_deadline: at.saturating_add(queue),
            });
        }
    }

    /// The time between the cut and now is no run's time.
    fn pass_over(&mut self, since: Timestamp) {
        let by = "fork".to_owned();
        if !self.run.stands_still() {
            let at = since;
            let reason = None;
            self.emit(RunEvent::RunPaused {
                by: by.clone(),
                reason,
                at,
            });
        }
        let at = self.moment.now;
        if self.run.stalled.is_some() {
            self.emit(RunEvent::StallResolved {
                action: Resolution::Retry,
                reason: "another run goes on from it".to_owned(),
                by: by.clone(),
                at,
            });
        }
        if self.run.held {
            self.emit(RunEvent::RunAdmitted { at });
        }
        if self.run.paused.is_some() {
            self.emit(RunEvent::RunResumed { by, at });
        }
    }

    /// A cut may lie between a fact and what follows from it.
    pub(super) fn look_at_everything(&mut self) {
        for slot in self.run.slots() {
            let step = self.run.step(slot);
            if step.block.is_some() && step.outcome.is_none() {
                self.work.push_back(Work::Block(slot));
            } else if step.status == StepStatus::Pending {
                self.work.push_back(Work::Check(slot));
            }
        }
        self.work.push_back(Work::Walk);
    }
}

/// The steps among these facts that agents took and that cannot be undone.
fn claimed_irreversibly(machine: &Machine, events: &[Fact]) -> BTreeSet<String> {
    let claimed = events.iter().filter_map(|(_, event)| match event {
        RunEvent::TaskClaimed {
            step, undo: false, ..
        } => step_of(machine, step),
        _ => None,
    });
    claimed
        .filter(|step| machine.step(*step).effects == Effects::Irreversible)
        .map(|step| machine.step(step).id.clone())
        .collect()
}

fn refuse_irreversible(steps: BTreeSet<String>, confirmed: bool) -> Result<(), ForkRefusal> {
    if steps.is_empty() || confirmed {
        return Ok(());
    }
    let steps = steps.into_iter().collect();
    Err(ForkRefusal::Irreversible { steps })
}

/// The step that a name in a journal belongs to: its id ends at the first round, time or part.
pub(super) fn step_of(machine: &Machine, name: &str) -> Option<StepIndex> {
    let id = name.split(['.', '~', '/']).next()?;
    machine.step_named(id)
}

/// The step of the main body in which a fact happened; `None` if it happened to the run.
fn outermost(machine: &Machine, event: &RunEvent) -> Option<StepIndex> {
    let name = match event {
        RunEvent::PassOpened { pass, .. }
        | RunEvent::PassFailing { pass, .. }
        | RunEvent::PassStopping { pass, .. }
        | RunEvent::PassEnded { pass, .. } => Some(pass.as_str()),
        _ => event.step(),
    }?;
    let mut step = step_of(machine, name)?;
    loop {
        match machine.body(machine.step(step).body).owner {
            Owner::Run => return Some(step),
            Owner::Block(outer) | Owner::Handler(outer) | Owner::Undo(outer) => step = outer,
            Owner::OnFailure | Owner::Finally | Owner::State(_) => return None,
        }
    }
}
