//! How many runs with the same concurrency key are open at once.
//!
//! Each key has a stream of its own, `slots/WORKFLOW/HASH`: which runs hold a slot and which wait for
//! one. A start, and the admission of the next when one closes, write it in their batch, so that the
//! bound holds however many orchestrators share the store. A run that waits exists, but none of its
//! steps does anything, and its clocks stand still.

use std::collections::{BTreeMap, VecDeque};

use phisync_state::{Record, StreamName, Timestamp, Version};
use phisync_workflows::machine::OnRunConflict;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::{Input, RunId};

use super::sharing::Sharing;
use super::starts::{NewRun, StartScope};
use super::{Coordinator, Now, Refusal, recovery};

/// So many runs may wait for one key.
const WAITING_MAX: usize = 10_000;

/// A fact of the stream `slots/WORKFLOW/HASH`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::enum_variant_names,
    reason = "the names stand alone in the journal"
)]
pub(super) enum SlotEvent {
    /// A run holds a slot.
    SlotTaken {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
    /// A run waits for a slot.
    SlotAwaited {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
    /// A run has closed: it neither holds a slot nor waits for one.
    SlotFreed {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
}

#[derive(Clone, Default)]
struct Queue {
    version: Version,
    holders: Vec<RunId>,
    waiting: VecDeque<RunId>,
}

impl Queue {
    fn is_free(&self) -> bool {
        self.holders.is_empty() && self.waiting.is_empty()
    }

    fn apply(&mut self, event: &SlotEvent) {
        self.version += 1;
        match event {
            SlotEvent::SlotTaken { run, .. } => {
                self.waiting.retain(|other| other != run);
                self.holders.push(run.clone());
            }
            SlotEvent::SlotAwaited { run, .. } => self.waiting.push_back(run.clone()),
            SlotEvent::SlotFreed { run, .. } => {
                self.waiting.retain(|other| other != run);
                self.holders.retain(|other| other != run);
            }
        }
    }
}

/// How many of these, the first records of a key's stream, nobody needs: those up to the last moment
/// before `since` at which nobody had the key.
pub(super) fn outlived(records: &[Record], since: Timestamp) -> usize {
    let mut queue = Queue::default();
    let mut free = 0;
    for (record, count) in records.iter().zip(1..) {
        let Ok(event) = recovery::decode(record) else {
            return 0;
        };
        queue.apply(&event);
        if queue.is_free() && record.at < since {
            free = count;
        }
    }
    free
}

/// All concurrency keys, by the names of their streams.
#[derive(Default)]
pub(super) struct Slots {
    queues: BTreeMap<String, Queue>,
    of_run: BTreeMap<RunId, String>,
}

impl Slots {
    pub(super) fn replay(&mut self, stream: &str, version: Version, event: &SlotEvent) {
        let run = match event {
            SlotEvent::SlotTaken { run, .. }
            | SlotEvent::SlotAwaited { run, .. }
            | SlotEvent::SlotFreed { run, .. } => run.clone(),
        };
        if matches!(event, SlotEvent::SlotFreed { .. }) {
            self.of_run.remove(&run);
        } else {
            self.of_run.insert(run, stream.to_owned());
        }
        let queue = self.queues.entry(stream.to_owned()).or_default();
        queue.apply(event);
        queue.version = version;
    }
}

/// What the bound means for a run that is about to begin.
pub(super) enum Admission {
    /// It has no key.
    Free,
    /// It holds a slot of the key with this stream.
    Now(String),
    /// It waits.
    Later {
        /// The stream of its key.
        stream: String,
        /// Runs that are asked to end for it.
        cancels: Vec<RunId>,
    },
}

impl Coordinator {
    /// What the concurrency key of a run that is about to begin means for it.
    ///
    /// # Errors
    /// The bound is reached, and the workflow wants that refused; a key that cannot be evaluated.
    pub(super) fn admission(&self, new: &NewRun, now: Now) -> Result<Admission, Refusal> {
        let Some(spec) = new.machine.concurrency() else {
            return Ok(Admission::Free);
        };
        let scope = StartScope {
            machine: &new.machine,
            run: None,
            inputs: Some(&new.inputs),
            config: &new.config,
            labels: &new.labels,
            trigger: new.trigger.as_ref(),
            event: None,
            now: now.wall,
        };
        let workflow = new.machine.name();
        let key = spec.key.eval(&scope).map_err(|error| Refusal::BadKey {
            workflow: workflow.to_owned(),
            reason: error.to_string(),
        })?;
        let key = key.to_string();
        let hash: String = Sha256::digest(&key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let stream = format!("slots/{workflow}/{hash}");
        let none = Queue::default();
        let queue = self.slots.queues.get(&stream).unwrap_or(&none);
        let free = queue.holders.len() < spec.max as usize && queue.waiting.is_empty();
        if free {
            return Ok(Admission::Now(stream));
        }
        let full = |reason| Refusal::NoSlot {
            workflow: workflow.to_owned(),
            key: key.clone(),
            reason,
            runs: queue
                .holders
                .iter()
                .take(4)
                .map(ToString::to_string)
                .collect(),
        };
        match spec.on_conflict {
            OnRunConflict::Reject => Err(full("as many runs as it allows are open")),
            OnRunConflict::Queue if queue.waiting.len() >= WAITING_MAX => {
                Err(full("too many runs wait for it already"))
            }
            OnRunConflict::Queue => Ok(Admission::Later {
                stream,
                cancels: Vec::new(),
            }),
            OnRunConflict::Replace => {
                // What waits has not begun: the newest takes its place. Of the holders, the oldest.
                let oldest = queue.holders.first();
                let cancels = oldest.into_iter().chain(&queue.waiting).cloned().collect();
                Ok(Admission::Later { stream, cancels })
            }
        }
    }

    /// The facts that give a key back to whom it belonged after these records of its stream.
    pub(super) fn slots_as_after(
        &self,
        stream: &str,
        records: &[Record],
        now: Now,
    ) -> Result<Vec<SlotEvent>, Refusal> {
        let mut then = Queue::default();
        for record in records {
            then.apply(&recovery::decode(record)?);
        }
        let at = now.wall;
        let none = Queue::default();
        let queue = self.slots.queues.get(stream).unwrap_or(&none);
        let today = queue.holders.iter().chain(&queue.waiting).cloned();
        let freed = today.map(|run| SlotEvent::SlotFreed { run, at });
        let taken = then.holders.into_iter();
        let taken = taken.map(|run| SlotEvent::SlotTaken { run, at });
        let awaited = then.waiting.into_iter();
        let awaited = awaited.map(|run| SlotEvent::SlotAwaited { run, at });
        Ok(freed.chain(taken).chain(awaited).collect())
    }

    /// Notes facts about a key in the batch under way.
    pub(super) fn note_slots(&mut self, stream: &str, events: &[SlotEvent]) {
        for event in events {
            self.note_slot(stream, event);
        }
    }

    fn note_slot(&mut self, stream: &str, event: &SlotEvent) {
        let name = StreamName::new(stream);
        let queue = self.slots.queues.get(stream);
        let before = match queue {
            Some(queue) => queue.version,
            None => self.pending_version(&name),
        };
        self.batch.add(name, before, std::slice::from_ref(event));
        self.batch.slots.insert(stream.to_owned());
        self.slots.replay(stream, before + 1, event);
    }

    /// Forgets the keys that nobody has: their streams know their versions. Where others write too, what is believed
    /// of a key is worth nothing without the version that it was believed at.
    pub(super) fn forget_free_slots(&mut self) {
        if self.sharing == Sharing::Alone {
            self.slots.queues.retain(|_, queue| !queue.is_free());
        }
    }

    /// The version of a stream about which nothing is believed, with what the batch under way adds to it.
    fn pending_version(&self, stream: &StreamName) -> Version {
        let entries = self.batch.entries.iter();
        let pending = entries.filter(|entry| entry.stream == *stream);
        let pending: usize = pending.map(|entry| entry.events.len()).sum();
        let known = match self.sharing {
            Sharing::Alone => self.store.version(stream),
            // If there is more, the race is lost, and it is read.
            Sharing::Shared | Sharing::Reading => 0,
        };
        known + pending as Version
    }

    /// Enters a run that is there, but has not begun, under its key.
    pub(super) fn join_key(&mut self, run: &RunId, admission: &Admission, now: Now) {
        let (run, at) = (run.clone(), now.wall);
        match admission {
            Admission::Free => {}
            Admission::Now(stream) => self.note_slot(stream, &SlotEvent::SlotTaken { run, at }),
            Admission::Later { stream, .. } => {
                self.note_slot(stream, &SlotEvent::SlotAwaited { run, at });
            }
        }
    }

    /// Asks the runs to end whose place a run takes that has just entered.
    pub(super) fn make_room(&mut self, run: &RunId, admission: Admission, now: Now) {
        let Admission::Later { cancels, .. } = admission else {
            return;
        };
        for old in cancels {
            let by = format!("run {run}");
            let reason = Some("replaced by a newer run with the same key".to_owned());
            if let Err(refusal) = self.decide(&old, Input::Cancel { by, reason }, now) {
                tracing::debug!(run = %old, %refusal, "a run that is replaced has ended by itself");
            }
        }
    }

    /// A run has closed in the batch under way: its slot goes to the next that waits.
    pub(super) fn free_slot(&mut self, run: &RunId, now: Now) {
        let Some(stream) = self.slots.of_run.get(run).cloned() else {
            return;
        };
        let at = now.wall;
        let freed = SlotEvent::SlotFreed {
            run: run.clone(),
            at,
        };
        self.note_slot(&stream, &freed);
        while let Some(next) = self.next_admitted(&stream) {
            let taken = SlotEvent::SlotTaken {
                run: next.clone(),
                at,
            };
            self.note_slot(&stream, &taken);
            if let Err(refusal) = self.decide(&next, Input::Admit, now) {
                tracing::error!(run = %next, %refusal, "a run that waited cannot begin");
            }
        }
    }

    /// Of the runs with the same key as one that waits: those that hold a slot, and how many wait
    /// longer.
    pub(super) fn before_in_line(&self, run: &RunId) -> (Vec<RunId>, usize) {
        let stream = self.slots.of_run.get(run);
        let Some(queue) = stream.and_then(|stream| self.slots.queues.get(stream)) else {
            return (Vec::new(), 0);
        };
        let longer = queue.waiting.iter().take_while(|other| *other != run);
        (queue.holders.clone(), longer.count())
    }

    /// The first that waits, if there is a slot for it.
    fn next_admitted(&self, stream: &str) -> Option<RunId> {
        let queue = self.slots.queues.get(stream)?;
        let next = queue.waiting.front()?;
        let machine = &self.open.get(next)?.state.machine;
        let max = machine
            .concurrency()
            .map_or(usize::MAX, |spec| spec.max as usize);
        (queue.holders.len() < max).then(|| next.clone())
    }

    /// Forgets what was believed about a key and reads it again, with the runs that it names.
    pub(super) fn reload_slots(&mut self, stream: &str, now: Now) -> Result<(), Refusal> {
        if let Some(old) = self.slots.queues.remove(stream) {
            for run in old.holders.iter().chain(&old.waiting) {
                self.slots.of_run.remove(run);
            }
        }
        for record in self.store.read(&StreamName::new(stream), 1)? {
            self.slots
                .replay(stream, record.version, &recovery::decode(&record)?);
        }
        let queue = self.slots.queues.get(stream).cloned().unwrap_or_default();
        for run in queue.holders.iter().chain(&queue.waiting) {
            if !self.is_taken(run) {
                self.reread(run, now)?;
            }
        }
        Ok(())
    }
}
