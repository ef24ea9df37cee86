//! All runs of one store: who gets which task, who is late, what is due.
//!
//! Synchronous and without clocks: every operation takes [`Now`], so the same code runs under the
//! server, under `exec`, and in tests with virtual time. Every operation follows one order: decide,
//! append with the expected versions, then tell. Telling is the caller's part, after
//! [`Coordinator::last_seq`] is durable. What follows from one input at once (a completion makes
//! a step ready, which goes to a waiting poll) is appended as one batch.

mod batch;
mod children;
mod clocks;
mod closed;
mod control;
mod definitions;
mod dispatch;
mod documents;
mod events;
mod files;
mod forks;
#[cfg(test)]
mod formats;
mod keys;
mod lent;
mod limits;
mod line;
mod liveness;
mod locks;
mod notices;
mod people;
mod polls;
mod progress;
mod questions;
mod queue;
mod recovery;
mod refusal;
mod report;
mod rewind;
mod runs;
mod schedules;
mod sharing;
mod slots;
mod starts;
mod tasks;
mod team;
mod transactions;
mod triggers;
mod turns;
mod views;
mod watchdog;
mod why;
mod writer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use phisync_agents::assignment::ReadyQueue;
use phisync_agents::heartbeat::Ledger;
use phisync_agents::lease::Leases;
use phisync_agents::registry::Registry;
use phisync_state::env::Entropy;
use phisync_state::{AppendError, Entry, Seq, Store, Timestamp};

use crate::engine::{self, Input, Moment, RunId, RunState, RunStatus, TaskId};

use batch::Batch;
use closed::{ByStart, ClosedRun, ClosedRuns};
use definitions::Definitions;
use team::Agent;

pub use closed::{
    ListPlace, ListRow, RunProjection, archived_summary, detail_of, fold, started_of,
};
pub(crate) use documents::unmet;
pub use files::FilesErrand;
pub use forks::Cut;
pub use keys::{BusinessKey, Call, body_hash};
pub use lent::Lent;
pub use line::{InLine, ServedWaiter};
pub use locks::LockGrant;
pub use notices::{Alarm, AlarmKind, Alarms, StoreEvent};
pub use people::{Decider, Said};
pub use polls::{Handed, PollId, Polled};
pub use refusal::{Refusal, RefusalClass};
pub use rewind::{Point, RewindOrder, RewindRefusal};
pub use runs::{ListFilter, Order, Target};
pub use starts::Settings;
pub use tasks::{Completed, Outcome};
pub use team::{AgentEvent, Evidence};
pub use turns::TurnWish;
pub use views::View;
pub use why::why_closed;
pub use writer::{TaskClaim, Writer};

/// Both clocks at the time of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The wall clock: what is journalled.
    pub wall: Timestamp,
    /// The monotonic clock: leases and silences.
    pub mono: Duration,
}

/// How often an operation is decided again after another writer was faster.
const LOST_RACES_MAX: u32 = 8;

struct OpenRun {
    state: RunState,
    due: Option<Timestamp>,
}

/// See the module.
pub struct Coordinator {
    store: Arc<dyn Store>,
    /// How often the store was restored after a disaster: the upper part of every token.
    epoch: u64,
    entropy: Box<dyn Entropy>,
    registry: Registry,
    settings: Settings,
    definitions: Definitions,
    open: BTreeMap<RunId, OpenRun>,
    closed: ClosedRuns,
    by_start: ByStart,
    /// Closed runs whose last fact is not durable yet, so that the store cannot be asked for them.
    just_closed: VecDeque<(Seq, RunState)>,
    due: BTreeSet<(Timestamp, RunId)>,
    schedules: schedules::Schedules,
    keys: keys::Keys,
    events: events::Events,
    triggers: triggers::Triggers,
    slots: slots::Slots,
    ready: ReadyQueue<TaskId>,
    leases: Leases<TaskId>,
    ledger: Ledger,
    /// No verdict on an agent turns before; a word of it since may make that later.
    next_doubt: Option<Duration>,
    agents: BTreeMap<String, Agent>,
    sharing: sharing::Sharing,
    alarms: Arc<notices::Alarms>,
    lent: lent::Lent,
    /// Whether nothing is ever due.
    still: bool,
    limits: limits::Limits,
    work: team::WorkRecords,
    polls: polls::Polls,
    progress: progress::Reports,
    batch: Batch,
    last: Seq,
    changed: BTreeSet<RunId>,
    /// Runs that were read from the store and that the watchdog has not looked at.
    unwatched: BTreeSet<RunId>,
    /// Since they were last taken.
    files_wanted: Vec<FilesErrand>,
    stale_views: views::StaleViews,
    transactions: transactions::Transactions,
    documents: documents::Documents,
    locks: locks::Locks,
    turns: turns::Turns,
}

impl Coordinator {
    /// The sequence that must be durable before anything that was seen here is told.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.last
    }

    /// The declared team.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Gives what runs read as `config` from now on; those that have begun keep what they had.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The runs that changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<RunId> {
        std::mem::take(&mut self.changed)
    }

    /// The version of a run's stream, and whether the run is closed.
    #[must_use]
    pub fn progress(&self, id: &RunId) -> Option<(u64, bool)> {
        if let Some(run) = self.open.get(id) {
            return Some((run.state.version, false));
        }
        let closed = self.closed.contains(id);
        closed.then(|| (self.store.version(&id.stream()), true))
    }

    /// Runs `operation` and commits what it decided; again from the start when another writer of
    /// the store was faster, because then everything it saw may be different.
    fn transact<T>(
        &mut self,
        now: Now,
        mut operation: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        for _ in 0..LOST_RACES_MAX {
            let answer = operation(self);
            // A refusal found midway does not undo what was decided before it: both are told.
            self.deliver_events(now);
            self.serve_waiting_polls(now);
            match self.commit(now) {
                Ok(()) => return answer,
                Err(Refusal::LostRace) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::LostRace)
    }

    /// Decides one input for one open run. The facts go into the batch; queue, leases and timers
    /// follow the run's new state at once.
    fn decide(&mut self, id: &RunId, input: Input, now: Now) -> Result<(), Refusal> {
        self.refresh(id, now)?;
        let moment = self.moment(now);
        let Some(run) = self.open.get_mut(id) else {
            return self.decide_on_closed(id, input, moment);
        };
        let before = run.state.version;
        let decision = engine::decide(&mut run.state, input, moment)?;
        self.record(id, before, &decision.events, now);
        Ok(())
    }

    /// A closed run answers repeated reports with its first answer and refuses the rest.
    fn decide_on_closed(&self, id: &RunId, input: Input, moment: Moment) -> Result<(), Refusal> {
        let mut run = self.load(id)?;
        let decision = engine::decide(&mut run, input, moment)?;
        if decision.events.is_empty() {
            Ok(())
        } else {
            Err(engine::Rejection::RunClosed { run: id.clone() }.into())
        }
    }

    fn moment(&mut self, now: Now) -> Moment {
        Moment {
            now: now.wall,
            dice: self.entropy.next_u64(),
        }
    }

    fn record(&mut self, id: &RunId, before: u64, events: &[engine::RunEvent], now: Now) {
        if events.is_empty() {
            return;
        }
        let noted = self.with_lost_signals(id, events, now);
        let events = noted.as_deref().unwrap_or(events);
        self.batch.add(id.stream(), before, events);
        self.batch.touched.insert(id.clone());
        let facts = events.iter().filter_map(team::TaskFact::of);
        self.batch.work.extend(facts.map(|fact| (id.clone(), fact)));
        self.follow_tasks(id, events, now);
        self.follow_pause(id, events, now);
        self.follow_events(id, events, now);
        self.follow_deadline(id);
        self.follow_files(id, events);
        self.follow_children(id, events, now);
        self.watch(id, events, now);
        let closed = |run: &&OpenRun| run.state.status != RunStatus::Running;
        if let Some(run) = self.open.get(id).filter(closed) {
            // Only a run that was given up has some left.
            let live: Vec<_> = run.state.live_tasks().map(|(task, _)| task).collect();
            for task in live {
                self.ready.remove(&task);
                self.end_lease(&task);
            }
            self.free_slot(id, now);
        }
    }

    /// Keeps the one timer entry of a run in step with its next deadline.
    fn follow_deadline(&mut self, id: &RunId) {
        let Some(run) = self.open.get_mut(id) else {
            return;
        };
        let next = run.state.next_deadline();
        if next == run.due {
            return;
        }
        if let Some(old) = run.due.take() {
            self.due.remove(&(old, id.clone()));
        }
        if let Some(next) = next {
            self.due.insert((next, id.clone()));
        }
        run.due = next;
    }

    /// Appends what belongs to no run; false if another writer was faster.
    fn append_apart(&mut self, batch: Vec<Entry>, now: Now) -> Result<bool, Refusal> {
        match self.store.append(now.wall, batch) {
            Ok(appended) => {
                self.last = self.last.max(appended.last);
                Ok(true)
            }
            Err(AppendError::Conflict { .. }) => Ok(false),
            Err(AppendError::Full { reason }) => Err(Refusal::Full(reason)),
            Err(AppendError::Malformed { reason, .. }) => Err(Refusal::Unstorable(reason)),
            Err(AppendError::Closed(unknown)) => Err(Refusal::Unknown(unknown)),
        }
    }

    fn commit(&mut self, now: Now) -> Result<(), Refusal> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        let entries = std::mem::take(&mut batch.entries);
        batch.written = batch::written(&entries);
        match self.store.append(now.wall, entries) {
            Ok(appended) => {
                self.last = self.last.max(appended.last);
                self.polls.keep_handed();
                for (run, fact) in batch.work {
                    self.work.fold(&run, fact);
                }
                self.forget_durably_closed();
                for id in batch.touched {
                    self.file_if_closed(&id);
                    self.stale_views.run_changed(&id, now);
                    self.changed.insert(id);
                }
                Ok(())
            }
            Err(AppendError::Conflict { stream, .. }) => {
                tracing::debug!(%stream, "another writer was faster; deciding again");
                self.forget_undone(&batch, now)?;
                Err(Refusal::LostRace)
            }
            Err(AppendError::Malformed { reason, .. }) => {
                // Our own events are single JSON lines: this is a defect, but nothing was written.
                self.forget_undone(&batch, now)?;
                Err(Refusal::Unstorable(reason))
            }
            Err(AppendError::Full { reason }) => {
                self.forget_undone(&batch, now)?;
                Err(Refusal::Full(reason))
            }
            Err(AppendError::Closed(unknown)) => Err(Refusal::Unknown(unknown)),
        }
    }

    /// After an append that did not happen: what was decided is forgotten, and everything that it
    /// was about is read again.
    fn forget_undone(&mut self, batch: &Batch, now: Now) -> Result<(), Refusal> {
        self.polls.take_back_handed();
        self.restore_leases(&batch.leases);
        // A verdict among it counts as given, and would be looked at again at the next one only.
        self.next_doubt = Some(now.mono);
        for workflow in &batch.workflows {
            self.reload_definitions(workflow)?;
        }
        for id in &batch.touched {
            self.reread(id, now)?;
        }
        for name in &batch.events {
            self.reload_events(name)?;
        }
        for workflow in &batch.triggers {
            self.reload_triggers(workflow)?;
        }
        for key in &batch.keys {
            self.reload_key(key, now)?;
        }
        for key in &batch.slots {
            self.reload_slots(key, now)?;
        }
        for schedule in &batch.schedules {
            self.reload_schedule(schedule)?;
        }
        self.learn_news(&batch.written, now)
    }

    fn forget_durably_closed(&mut self) {
        if self.just_closed.is_empty() {
            return;
        }
        let durable = self.store.head().seq;
        while self
            .just_closed
            .front()
            .is_some_and(|(last, _)| *last <= durable)
        {
            self.just_closed.pop_front();
        }
    }

    fn file_if_closed(&mut self, id: &RunId) {
        let closed = |run: &OpenRun| run.state.status != RunStatus::Running;
        if !self.open.get(id).is_some_and(closed) {
            return;
        }
        if let Some(run) = self.open.remove(id) {
            if let Some(due) = run.due {
                self.due.remove(&(due, id.clone()));
            }
            self.stale_views.run_closed(&run.state);
            self.closed.insert(id.clone(), ClosedRun::of(&run.state));
            self.schedules.run_closed(id);
            if self.last > self.store.head().seq {
                self.just_closed.push_back((self.last, run.state));
            }
        }
    }
}
