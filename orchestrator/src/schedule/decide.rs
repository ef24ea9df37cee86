//! What an input means for one schedule.

use std::time::Duration;

use phisync_state::Timestamp;
use phisync_workflows::machine::{CatchUp, Overlap};

use crate::engine::RunId;

use super::event::{ScheduleEvent, SkipReason};
use super::plan::Plan;
use super::state::{ScheduleState, apply};

/// A start that is late by no more than this counts as in time, whatever `catchup` says.
const GRACE: Duration = Duration::from_secs(30);

/// So many instants are looked at in one decision.
const LOOK_MAX: usize = 10_000;

/// So many runs start in one decision; what is left is due at once again.
const STARTS_MAX: usize = 50;

/// So many instants may wait for a run to close, and be made up for at once.
const QUEUE_MAX: usize = 1000;

/// Skipped instants are counted no further.
const COUNT_MAX: u32 = 1000;

/// Something from outside, for one schedule.
#[derive(Clone, Debug)]
pub enum ScheduleInput {
    /// Time has passed, or a run has closed.
    Tick,
    /// Somebody wants it to start nothing.
    Pause {
        /// Who.
        by: String,
        /// In their words.
        reason: Option<String>,
    },
    /// Somebody wants it to go on.
    Resume {
        /// Who.
        by: String,
    },
    /// Somebody sets it off by hand, whatever is open.
    Trigger {
        /// Who.
        by: String,
    },
    /// Somebody wants the instants of a stretch of time that were not taken to be made up for.
    Backfill {
        /// The first instant that counts.
        from: Timestamp,
        /// The last one.
        until: Timestamp,
        /// Who.
        by: String,
    },
}

/// Why an input had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleRejection {
    /// No version of the workflow has it any more.
    #[error("the schedule was withdrawn: the newest version of the workflow does not have it")]
    Withdrawn,
    /// More than can be made up for at once.
    #[error(
        "there are more than {QUEUE_MAX} instants between these times: backfill a shorter stretch"
    )]
    TooMany,
    /// The end lies in the future.
    #[error("a backfill makes up for the past: `--to` lies in the future")]
    Future,
    /// The inputs of its run do not fit.
    #[error("the inputs of its run do not fit: {message}")]
    BadInputs {
        /// What is wrong.
        message: String,
    },
    /// Nothing is left to make up for.
    #[error(
        "there is nothing to make up for: no instant lies between these times that was not taken"
    )]
    Nothing,
}

/// What the decision may see of the world besides the schedule.
pub struct Surroundings<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// Prepares a run for an instant, or for none, and names it; or says why its inputs do not fit.
    pub prepare: &'a mut dyn FnMut(Option<Timestamp>) -> Result<RunId, String>,
}

/// What an input means: facts, already applied to the state that was decided on; the runs that
/// [`ScheduleEvent::ScheduleFired`] names are to be started, and these to be cancelled, in the same batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The facts.
    pub events: Vec<ScheduleEvent>,
    /// Open runs that a newer instant replaces.
    pub cancels: Vec<RunId>,
}

struct Draft<'a, 'b> {
    plan: &'a Plan,
    state: &'a mut ScheduleState,
    around: &'a mut Surroundings<'b>,
    decision: Decision,
    starts: usize,
}

/// Decides what one input means for one schedule; never reads a clock or a random source.
///
/// The state is changed in place: on `Ok` it holds the facts already, on `Err` it is as it was. The runs
/// in it must be the open ones.
///
/// # Errors
/// See [`ScheduleRejection`].
pub fn decide(
    plan: &Plan,
    state: &mut ScheduleState,
    input: ScheduleInput,
    around: &mut Surroundings<'_>,
) -> Result<Decision, ScheduleRejection> {
    if state.definition.is_none() {
        return Err(ScheduleRejection::Withdrawn);
    }
    let mut draft = Draft {
        plan,
        state,
        around,
        decision: Decision::default(),
        starts: 0,
    };
    match input {
        ScheduleInput::Tick => draft.tick(),
        ScheduleInput::Pause { by, reason } => {
            if draft.state.paused.is_none() {
                let at = draft.around.now;
                draft.emit(ScheduleEvent::SchedulePaused { by, reason, at });
            }
        }
        ScheduleInput::Resume { by } => draft.resume(by),
        ScheduleInput::Trigger { by } => draft.trigger(by)?,
        ScheduleInput::Backfill { from, until, by } => draft.backfill(from, until, by)?,
    }
    Ok(draft.decision)
}

/// When the schedule should be asked again, if no run closes before; at once is the beginning of time.
#[must_use]
pub fn next_due(plan: &Plan, state: &ScheduleState) -> Option<Timestamp> {
    if state.definition.is_none() || state.paused.is_some() || !plan.enabled {
        return None;
    }
    let may_start = plan.overlap == Overlap::Allow || state.runs.is_empty();
    if may_start && !state.queue.is_empty() {
        return Some(Timestamp::from_micros(0));
    }
    plan.next_after(state.cursor).map(|next| plan.due(next))
}

impl Draft<'_, '_> {
    fn emit(&mut self, event: ScheduleEvent) {
        apply(self.state, &event);
        self.decision.events.push(event);
    }

    fn fire(&mut self, instant: Timestamp) {
        match (self.around.prepare)(Some(instant)) {
            Ok(run) => {
                self.starts += 1;
                self.emit(ScheduleEvent::ScheduleFired {
                    instant: Some(instant),
                    run,
                    by: None,
                    at: self.around.now,
                });
            }
            Err(message) => self.skip(instant, SkipReason::BadInputs { message }),
        }
    }

    fn trigger(&mut self, by: String) -> Result<(), ScheduleRejection> {
        let run = (self.around.prepare)(None)
            .map_err(|message| ScheduleRejection::BadInputs { message })?;
        self.emit(ScheduleEvent::ScheduleFired {
            instant: None,
            run,
            by: Some(by),
            at: self.around.now,
        });
        Ok(())
    }

    fn skip(&mut self, instant: Timestamp, reason: SkipReason) {
        self.emit(ScheduleEvent::ScheduleSkipped {
            instant,
            reason,
            at: self.around.now,
        });
    }

    /// Passes over every instant up to `until`, if there are any.
    fn pass(&mut self, until: Timestamp, reason: SkipReason) {
        let after = self.state.cursor;
        let count = self.plan.count(after, until, COUNT_MAX);
        if count > 0 {
            self.emit(ScheduleEvent::SchedulePassed {
                after,
                until,
                count,
                reason,
                at: self.around.now,
            });
        }
    }

    fn tick(&mut self) {
        if self.state.paused.is_some() || !self.plan.enabled {
            return;
        }
        self.serve_queue();
        self.pass_what_is_too_old();
        let pending = self.pending();
        for instant in self.wanted(&pending) {
            if self.starts >= STARTS_MAX {
                return;
            }
            self.take(instant);
        }
    }

    fn serve_queue(&mut self) {
        while let Some(instant) = self.state.queue.front().copied() {
            let may_start = self.plan.overlap == Overlap::Allow || self.state.runs.is_empty();
            if !may_start || self.starts >= STARTS_MAX {
                return;
            }
            self.fire(instant);
        }
    }

    /// One fact for all instants that `catchup` does not reach, however many there are.
    fn pass_what_is_too_old(&mut self) {
        let reach = match self.plan.catchup {
            CatchUp::None => GRACE,
            CatchUp::Last | CatchUp::All => self.plan.window.max(GRACE),
        };
        let reach = reach.saturating_add(self.plan.jitter);
        let reach = i64::try_from(reach.as_micros()).unwrap_or(i64::MAX);
        let floor = self.around.now.as_micros().saturating_sub(reach);
        self.pass(Timestamp::from_micros(floor), SkipReason::Missed);
    }

    /// The instants that are due and not decided, in order.
    fn pending(&self) -> Vec<Timestamp> {
        let mut pending = Vec::new();
        let mut at = self.state.cursor;
        while let Some(next) = self.plan.next_after(at)
            && self.plan.due(next) <= self.around.now
            && pending.len() < LOOK_MAX
        {
            pending.push(next);
            at = next;
        }
        pending
    }

    /// Those of the pending instants that `catchup` wants; what stands before them is passed over.
    fn wanted(&mut self, pending: &[Timestamp]) -> Vec<Timestamp> {
        let late = |instant: &&Timestamp| self.around.now.since(self.plan.due(**instant)) > GRACE;
        let late = pending.iter().take_while(late).count();
        let passed = match self.plan.catchup {
            CatchUp::All => 0,
            CatchUp::None => late,
            // With more to come, none of these is the last.
            CatchUp::Last if pending.len() > late || pending.len() == LOOK_MAX => late,
            CatchUp::Last => late.saturating_sub(1),
        };
        let (missed, wanted) = pending.split_at(passed);
        if let Some(last) = missed.last() {
            self.pass(*last, SkipReason::Missed);
        }
        wanted.to_vec()
    }

    /// Decides one instant that is wanted.
    fn take(&mut self, instant: Timestamp) {
        if self.state.taken.contains(instant) {
            self.skip(instant, SkipReason::AlreadyTaken);
            return;
        }
        let open = self.state.runs.first().cloned();
        let waiting = !self.state.queue.is_empty();
        match (self.plan.overlap, open) {
            (Overlap::Allow, _) => self.fire(instant),
            (_, None) if !waiting => self.fire(instant),
            (Overlap::Skip, Some(run)) => self.skip(instant, SkipReason::Overlap { run }),
            (Overlap::Queue | Overlap::Skip, _) => self.enqueue(instant),
            (Overlap::Replace, _) => self.replace(instant),
        }
    }

    fn enqueue(&mut self, instant: Timestamp) {
        if self.state.queue.len() >= QUEUE_MAX {
            self.skip(instant, SkipReason::QueueFull);
            return;
        }
        let at = self.around.now;
        self.emit(ScheduleEvent::ScheduleQueued { instant, at });
    }

    /// What waits is given up, what runs is cancelled; the newest instant waits for its end.
    fn replace(&mut self, instant: Timestamp) {
        for older in self.state.queue.clone() {
            self.skip(older, SkipReason::Replaced);
        }
        for run in &self.state.runs {
            if !self.decision.cancels.contains(run) {
                self.decision.cancels.push(run.clone());
            }
        }
        self.enqueue(instant);
    }

    fn resume(&mut self, by: String) {
        if self.state.paused.is_none() {
            return;
        }
        self.pass(self.around.now, SkipReason::Paused);
        let at = self.around.now;
        self.emit(ScheduleEvent::ScheduleResumed { by, at });
    }

    fn backfill(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        by: String,
    ) -> Result<(), ScheduleRejection> {
        if until > self.around.now {
            return Err(ScheduleRejection::Future);
        }
        let mut instants = Vec::new();
        let mut at = Timestamp::from_micros(from.as_micros().saturating_sub(1));
        let mut looked = 0;
        while let Some(next) = self.plan.next_after(at)
            && next <= until
        {
            looked += 1;
            if !self.state.taken.contains(next) {
                instants.push(next);
            }
            if instants.len() + self.state.queue.len() > QUEUE_MAX || looked > LOOK_MAX {
                return Err(ScheduleRejection::TooMany);
            }
            at = next;
        }
        if instants.is_empty() {
            return Err(ScheduleRejection::Nothing);
        }
        let at = self.around.now;
        self.emit(ScheduleEvent::BackfillRequested { instants, by, at });
        if self.state.paused.is_none() {
            self.serve_queue();
        }
        Ok(())
    }
}
