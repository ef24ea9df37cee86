//! One schedule as a fold of its facts.

use std::collections::{BTreeMap, VecDeque};

use phisync_state::{Timestamp, Version};

use serde::{Deserialize, Serialize};

use crate::engine::RunId;

use super::event::{ScheduleEvent, SkipReason};

/// So many facts are kept to be shown.
const PAST_MAX: usize = 20;

/// After so many facts one says everything again.
const SUMMED_EVERY: u32 = 500;

/// So many stretches of instants that were taken are told apart.
const STRETCHES_MAX: usize = 1000;

/// The instants that were taken: for each, a run was started or will be. Neighbours that were taken one
/// after the other are kept as one stretch, so that a schedule that works as it should needs no space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// First to last of each stretch.
    stretches: BTreeMap<Timestamp, Timestamp>,
}

impl Taken {
    /// Whether `instant` was taken, or lies between two that were with none between them.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        let before = self.stretches.range(..=instant).next_back();
        before.is_some_and(|(_, last)| instant <= *last)
    }

    /// Takes `instant`. `previous` is the instant just before it, if that was decided last.
    fn insert(&mut self, instant: Timestamp, previous: Timestamp) {
        if self.contains(instant) {
            return;
        }
        if previous < instant
            && let Some((_, last)) = self.stretches.range_mut(..=previous).next_back()
            && *last == previous
        {
            *last = instant;
            return;
        }
        self.stretches.insert(instant, instant);
    }

    /// How many stretches there are.
    #[must_use]
    pub fn stretches(&self) -> usize {
        self.stretches.len()
    }
}

/// Something that a schedule did, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The instant; `None` if it was set off by hand.
    pub instant: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
    /// The run that it started.
    pub run: Option<RunId>,
    /// Why it started none, and for how many instants up to this one.
    pub skipped: Option<(SkipReason, u32)>,
}

/// Why a schedule is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePause {
    /// Who wanted it.
    pub by: String,
    /// In their words.
    pub reason: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// One schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleState {
    /// Facts applied: the version of its stream.
    pub version: Version,
    /// The version of the workflow that has it; `None`: withdrawn.
    pub definition: Option<String>,
    /// Where `every` counts from.
    pub anchor: Timestamp,
    /// Instants up to here are decided, for ever.
    pub cursor: Timestamp,
    /// The instants that runs stand for.
    pub taken: Taken,
    /// Instants that wait for a run to close, the next one first.
    pub queue: VecDeque<Timestamp>,
    /// Why it is paused, if it is.
    pub paused: Option<SchedulePause>,
    /// Runs that it started, oldest first; the shell drops those that are closed.
    pub runs: Vec<RunId>,
    /// The last things that it did, oldest first.
    pub past: VecDeque<Past>,
    /// Facts since the last one that says everything again.
    pub since_summed: u32,
}

impl ScheduleState {
    /// A run of it has closed.
    pub fn forget_run(&mut self, run: &RunId) {
        self.runs.retain(|other| other != run);
    }

    /// Whether it has so many facts that one is due that says everything again.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.since_summed >= SUMMED_EVERY
    }

    /// The fact that says everything again: those before it are needed no more.
    #[must_use]
    pub fn sum_up(&self, at: Timestamp) -> ScheduleEvent {
        let stretches = self.taken.stretches.iter();
        let skip = stretches.len().saturating_sub(STRETCHES_MAX);
        let mut stretches: Vec<_> = stretches.map(|(first, last)| (*first, *last)).collect();
        // What lies between the oldest counts as taken too: nothing ever starts twice.
        if let Some(first) = stretches.first().copied().filter(|_| skip > 0) {
            stretches.drain(..skip);
            if let Some(oldest) = stretches.first_mut() {
                oldest.0 = first.0;
            }
        }
        ScheduleEvent::ScheduleSummed {
            definition: self.definition.clone(),
            anchor: self.anchor,
            cursor: self.cursor,
            taken: stretches,
            queue: self.queue.iter().copied().collect(),
            paused: self.paused.clone(),
            runs: self.runs.clone(),
            past: self.past.iter().cloned().collect(),
            at,
        }
    }

    fn remember(&mut self, past: Past) {
        self.past.push_back(past);
        while self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
    }

    /// Whether `instant` waited: if so it was decided before, perhaps out of its turn, as those that a person
    /// makes up for are, and the clock may have gone back since.
    fn leave_queue(&mut self, instant: Timestamp) -> bool {
        let waiting = self.queue.len();
        self.queue.retain(|other| *other != instant);
        self.queue.len() < waiting
    }

    /// An instant that is decided in its turn moves the schedule on.
    fn pass(&mut self, instant: Timestamp) {
        self.cursor = self.cursor.max(instant);
    }
}

/// Folds one journalled fact. Total: replaying a valid journal cannot fail.
pub fn apply(state: &mut ScheduleState, event: &ScheduleEvent) {
    state.version += 1;
    state.since_summed += 1;
    match event {
        ScheduleEvent::ScheduleSummed {
            definition,
            anchor,
            cursor,
            taken,
            queue,
            paused,
            runs,
            past,
            at: _,
        } => {
            state.definition.clone_from(definition);
            state.anchor = *anchor;
            state.cursor = *cursor;
            state.taken.stretches = taken.iter().copied().collect();
            state.queue = queue.iter().copied().collect();
            state.paused.clone_from(paused);
            state.runs.clone_from(runs);
            state.past = past.iter().cloned().collect();
            state.since_summed = 0;
        }
        ScheduleEvent::ScheduleSet {
            definition,
            anchor,
            after,
            at: _,
        } => {
            state.definition = Some(definition.clone());
            state.anchor = *anchor;
            state.pass(*after);
        }
        ScheduleEvent::ScheduleWithdrawn { .. } => {
            state.definition = None;
            state.queue.clear();
        }
        ScheduleEvent::SchedulePaused { by, reason, at } => {
            state.paused = Some(SchedulePause {
                by: by.clone(),
                reason: reason.clone(),
                at: *at,
            });
        }
        ScheduleEvent::ScheduleResumed { .. } => state.paused = None,
        ScheduleEvent::ScheduleFired {
            instant,
            run,
            by: _,
            at,
        } => {
            if let Some(instant) = instant
                && !state.leave_queue(*instant)
            {
                state.taken.insert(*instant, state.cursor);
                state.pass(*instant);
            }
            state.runs.push(run.clone());
            state.remember(Past {
                instant: *instant,
                at: *at,
                run: Some(run.clone()),
                skipped: None,
            });
        }
        ScheduleEvent::ScheduleQueued { instant, .. } => {
            state.taken.insert(*instant, state.cursor);
            state.pass(*instant);
            state.queue.push_back(*instant);
        }
        ScheduleEvent::ScheduleSkipped {
            instant,
            reason,
            at,
        } => {
            // What was taken out of its turn may still wait for its start.
            if *reason == SkipReason::AlreadyTaken || !state.leave_queue(*instant) {
                state.pass(*instant);
            }
            state.remember(Past {
                instant: Some(*instant),
                at: *at,
                run: None,
                skipped: Some((reason.clone(), 1)),
            });
        }
        ScheduleEvent::SchedulePassed {
            after: _,
            until,
            count,
            reason,
            at,
        } => {
            state.pass(*until);
            state.remember(Past {
                instant: Some(*until),
                at: *at,
                run: None,
                skipped: Some((reason.clone(), *count)),
            });
        }
        ScheduleEvent::BackfillRequested { instants, .. } => {
            for instant in instants {
                state.taken.insert(*instant, *instant);
                state.queue.push_back(*instant);
            }
        }
    }
}
