//! What one operation appends: all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use phisync_agents::lease::Lease;
use phisync_state::{Entry, Expected, StreamName, Version};
use serde::Serialize;

use crate::engine::{RunId, TaskId};

use super::schedules::ScheduleKey;
use super::team::TaskFact;

/// Facts that wait for the operation's end.
#[derive(Default)]
pub(super) struct Batch {
    /// One entry per stream, in the order in which the streams were first touched.
    pub entries: Vec<Entry>,
    /// The runs among them.
    pub touched: BTreeSet<RunId>,
    /// The workflows among them.
    pub workflows: BTreeSet<String>,
    /// The schedules among them.
    pub schedules: BTreeSet<ScheduleKey>,
    /// The events among them, by name.
    pub events: BTreeSet<String>,
    /// The workflows whose triggers are among them.
    pub triggers: BTreeSet<String>,
    /// The keys of starts among them.
    pub keys: BTreeSet<String>,
    /// The concurrency keys among them.
    pub slots: BTreeSet<String>,
    /// What the facts say about the work on tasks.
    pub work: Vec<(RunId, TaskFact)>,
    /// The leases as they were before it, in the order in which they were first changed.
    pub leases: Vec<LeaseBefore>,
    /// Once it is appended: the streams of agents and limits that it writes, with their versions before.
    pub written: BTreeMap<StreamName, Version>,
}

/// The streams of agents and limits among `entries` that get facts: what is believed of them has gone ahead of the store.
pub(super) fn written(entries: &[Entry]) -> BTreeMap<StreamName, Version> {
    let ahead = entries.iter().filter(|entry| {
        let stream = entry.stream.as_str();
        !entry.events.is_empty() && (stream.starts_with("agent/") || stream.starts_with("limit/"))
    });
    let ahead = ahead.filter_map(|entry| match entry.expected {
        Expected::Version(before) => Some((entry.stream.clone(), before)),
        Expected::Any => None,
    });
    ahead.collect()
}

/// A lease before an operation changed it.
pub(super) struct LeaseBefore {
    /// What is held.
    pub task: TaskId,
    /// `None`: nobody held it.
    pub lease: Option<Lease>,
}

/// A fact as text. One that is left out would be applied and never journalled, so there is no way on
/// without it.
pub(super) fn print<E: Serialize>(event: &E) -> String {
    serde_json::to_string(event).expect("facts are plain data with text as keys")
}

impl Batch {
    /// Adds facts to a stream that had version `before` when the first of this batch was decided.
    pub(super) fn add<E: Serialize>(&mut self, stream: StreamName, before: Version, events: &[E]) {
        let events = events.iter();
        let texts = events.map(print);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.stream == stream) {
            entry.events.extend(texts);
            return;
        }
        self.entries.push(Entry {
            stream,
            expected: Expected::Version(before),
            events: texts.collect(),
        });
    }

    /// Relies on a stream that this batch does not write: if it has moved, nothing happens.
    pub(super) fn guard(&mut self, stream: StreamName, version: Version) {
        self.add::<()>(stream, version, &[]);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.events.is_empty())
    }
}
