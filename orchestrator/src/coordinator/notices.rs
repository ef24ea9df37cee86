//! What happened to the store itself: facts of the stream `store`, which belong to no run.
//!
//! Rewinds, and alarms: what was found damaged or out of order, and what was done about it by itself. Nobody has to
//! have read a log at the right moment. The same alarm again within a day is not recorded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use phisync_state::{Entry, Expected, Record, Seq, StreamName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::protocol::AlarmSummary;

use super::{Coordinator, Now, Refusal, recovery};

/// The stream's name.
pub(super) const STREAM: &str = "store";

/// So many of its facts are kept.
pub(super) const KEPT: usize = 1000;

/// An alarm about the same thing is not recorded again within this.
const QUIET: Duration = Duration::from_hours(24);

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A start cut the end of the journal: a batch that a crash had torn, and nobody was told about.
    TailCut,
    /// A snapshot is not as it was written; another was taken in its place.
    SnapshotDamaged,
    /// A readable view was damaged or edited, and was written anew.
    ViewRebuilt,
    /// A client was told a head that this journal never had.
    WitnessAhead,
    /// The wall clock of the machine was set, or the machine slept.
    ClockJumped,
}

impl AlarmKind {
    /// The word that people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TailCut => "tail cut",
            Self::SnapshotDamaged => "snapshot damaged",
            Self::ViewRebuilt => "view rebuilt",
            Self::WitnessAhead => "witness ahead",
            Self::ClockJumped => "clock jumped",
        }
    }
}

/// Something that was found out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it is.
    pub kind: AlarmKind,
    /// The file, or whoever said so.
    pub about: String,
    /// In words.
    pub says: String,
}

/// A fact of the stream `store`. Format version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreEvent {
    /// Everything went back to an earlier moment; each run says so itself.
    StoreRewound {
        /// The last record that still counts of runs and documents.
        to: Seq,
        /// When that was appended.
        since: Timestamp,
        /// Who.
        by: String,
        /// In their words.
        reason: String,
        /// How many runs went back.
        runs: u64,
        /// And documents.
        documents: u64,
        /// When.
        at: Timestamp,
    },
    /// Something was found out of order.
    AlarmRaised {
        /// What it is.
        kind: AlarmKind,
        /// The file, or whoever said so.
        about: String,
        /// In words.
        says: String,
        /// When.
        at: Timestamp,
    },
}

/// The last alarms, oldest first: written by the coordinator, counted by whoever asks how the server is,
/// also while the coordinator is busy.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<VecDeque<Noted>>);

#[derive(Debug)]
struct Noted {
    alarm: Alarm,
    at: Timestamp,
    /// Whether the journal has it. It could not be told on a full disk, or where nothing is written.
    recorded: bool,
}

impl Alarms {
    fn noted(&self) -> MutexGuard<'_, VecDeque<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, alarm: Alarm, at: Timestamp, recorded: bool) {
        let mut noted = self.noted();
        noted.retain(|other| other.recorded || other.alarm != alarm);
        if noted.len() == KEPT {
            noted.pop_front();
        }
        noted.push_back(Noted {
            alarm,
            at,
            recorded,
        });
    }

    fn is_known(&self, alarm: &Alarm, now: Timestamp) -> bool {
        let known =
            |noted: &Noted| noted.recorded && noted.alarm == *alarm && now.since(noted.at) < QUIET;
        self.noted().iter().rev().any(known)
    }

    /// How many alarms are open, and the kind and the time of the newest of them. One is open for a day:
    /// what is still out of order then is raised again.
    #[must_use]
    pub fn open(&self, now: Timestamp) -> (u64, Option<(AlarmKind, Timestamp)>) {
        let noted = self.noted();
        let is_open = |noted: &&Noted| now.since(noted.at) < QUIET;
        let newest = noted.iter().rev().find(is_open);
        let newest = newest.map(|noted| (noted.alarm.kind, noted.at));
        (noted.iter().filter(is_open).count() as u64, newest)
    }
}

impl Coordinator {
    pub(super) fn replay_of_store(
        &mut self,
        record: &Record,
    ) -> Result<(), phisync_state::ReadError> {
        if let StoreEvent::AlarmRaised {
            kind,
            about,
            says,
            at,
        } = recovery::decode(record)?
        {
            self.alarms.note(Alarm { kind, about, says }, at, true);
        }
        Ok(())
    }

    /// Records an alarm, unless it is known.
    ///
    /// # Errors
    /// The store's.
    pub fn raise(&mut self, alarm: Alarm, now: Now) -> Result<(), Refusal> {
        if self.alarms.is_known(&alarm, now.wall) {
            return Ok(());
        }
        let event = StoreEvent::AlarmRaised {
            kind: alarm.kind,
            about: alarm.about.clone(),
            says: alarm.says.clone(),
            at: now.wall,
        };
        let entry = Entry {
            stream: StreamName::new(STREAM),
            expected: Expected::Any,
            events: serde_json::to_string(&event).into_iter().collect(),
        };
        let appended = self.append_apart(vec![entry], now);
        self.alarms.note(alarm, now.wall, appended.is_ok());
        appended.map(drop)
    }

    /// The last alarms, newest first.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmSummary> {
        let noted = self.alarms.noted();
        let alarms = noted.iter().rev();
        let alarms = alarms.map(|Noted { alarm, at, .. }| AlarmSummary {
            kind: alarm.kind.as_str().to_owned(),
            about: alarm.about.clone(),
            says: alarm.says.clone(),
            at: at.to_string(),
        });
        alarms.collect()
    }

    /// The alarms, for others to count.
    #[must_use]
    pub fn open_alarms(&self) -> Arc<Alarms> {
        Arc::clone(&self.alarms)
    }

    /// Adds a fact to the batch under way.
    pub(super) fn note_of_store(&mut self, event: &StoreEvent) {
        let stream = StreamName::new(STREAM);
        let before = self.store.version(&stream);
        self.batch.add(stream, before, std::slice::from_ref(event));
    }
}
