//! What is in the journal, by `phisync store dump`: the judge of what really happened.

use std::collections::BTreeMap;

use phisync_state::Timestamp;
use serde_json::Value;

use super::project::Project;

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place in the store.
    pub seq: u64,
    /// The run, in a run's stream.
    pub run: Option<String>,
    /// When, for the events that say so.
    pub at: Option<Timestamp>,
    /// The event's name.
    pub name: String,
    /// What it holds.
    pub event: Value,
}

impl Record {
    /// The task of an event of a step, as tasks are called: `RUN.STEP` or `RUN.STEP.undo`.
    #[must_use]
    pub fn task(&self) -> Option<String> {
        let (run, step) = (self.run.as_ref()?, self.event["step"].as_str()?);
        let undo = if self.event["undo"] == true {
            ".undo"
        } else {
            ""
        };
        Some(format!("{run}.{step}{undo}"))
    }

    /// A text of the event.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.event[field].as_str().unwrap_or_default()
    }
}

/// All records of a store, in order.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The records.
    pub records: Vec<Record>,
}

impl Journal {
    /// Reads the journal of `project`, whether a server runs on it or not.
    ///
    /// # Panics
    /// When it cannot be read, or holds what is no event.
    #[must_use]
    pub fn read(project: &Project) -> Self {
        let dumped = project.run(&["store", "dump"]).expect_code(0);
        let records: Vec<Record> = dumped.lines().map(record).collect();
        assert!(
            records.is_sorted_by(|one, next| one.seq < next.seq),
            "sequences go upward"
        );
        Self { records }
    }

    /// The events of that name, in order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records
            .iter()
            .filter(move |record| record.name == name)
    }

    /// The events of that name of one task, in order.
    #[must_use]
    pub fn of_task<'a>(&'a self, name: &'a str, task: &str) -> Vec<&'a Record> {
        let of_task = |record: &&Record| record.task().as_deref() == Some(task);
        self.named(name).filter(of_task).collect()
    }

    /// How many events of that name each task has; those without any are not there.
    #[must_use]
    pub fn count_by_task(&self, name: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for task in self.named(name).filter_map(Record::task) {
            *counts.entry(task).or_default() += 1;
        }
        counts
    }
}

fn record(line: &str) -> Record {
    let line: Value = serde_json::from_str(line).expect("a line of the dump is JSON");
    let text = |field: &str| line[field].as_str().expect("a text").to_owned();
    let event = line["event"].as_object().expect("an event is an object");
    let (name, event) = event.iter().next().expect("an event has a name");
    Record {
        seq: line["seq"].as_u64().expect("a sequence"),
        run: text("stream").strip_prefix("run/").map(str::to_owned),
        at: event["at"].as_i64().map(Timestamp::from_micros),
        name: name.clone(),
        event: event.clone(),
    }
}
