//! Snapshots, archives and compaction: what a store says with them, and what survives.

mod crashes;
mod damage;
mod keeping;
mod laws;
mod saying;

use std::path::Path;

use phisync_state::env::{Disk as _, SimDisk};
use phisync_state::snapshot::{Keeping, Projection, Row, Taken};
use phisync_state::{Entry, Expected, FileStore, Record, Seq, Store, StreamName, Timestamp};

use crate::support::{DATA, durable};

const START: i64 = 1_795_348_800_000_000;

/// Streams end with the event `"closed"`.
pub(super) struct Toy;

impl Projection for Toy {
    fn may_be_closed(&self, last: &Record) -> bool {
        last.event == r#""closed""#
    }

    fn row(&self, records: &[Record]) -> Option<Row> {
        let (first, last) = (records.first()?, records.last()?);
        self.may_be_closed(last).then(|| Row {
            began: first.at,
            closed: last.at,
            text: format!(r#"{{"records":{}}}"#, records.len()),
        })
    }

    /// Of `last/...` one record is needed, of `brief/...` none.
    fn outlived(&self, records: &[Record]) -> usize {
        let stream = records.first().map_or("", |record| record.stream.as_str());
        match stream.split_once('/') {
            Some(("last", _)) => records.len() - 1,
            Some(("brief", _)) => records.len(),
            _ => 0,
        }
    }
}

/// Archives at once and keeps everything.
pub(super) fn eager() -> Keeping {
    Keeping {
        snapshots: 3,
        archive_from: 1,
        ..Keeping::default()
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(START + second * 1_000_000)
}

pub(super) fn append(store: &dyn Store, second: i64, stream: &str, event: &str) -> Seq {
    let batch = vec![Entry {
        stream: StreamName::new(stream),
        expected: Expected::Any,
        events: vec![event.to_owned()],
    }];
    let appended = store.append(at(second), batch).expect("it is valid");
    durable(store, appended.last).expect("the disk works");
    appended.last
}

pub(super) fn snapshot(store: &FileStore, second: i64) -> Option<Taken> {
    let taken = store.snapshot(&Toy, &eager(), at(second));
    taken.expect("the disk works")
}

pub(super) fn read(store: &dyn Store, stream: &str) -> Vec<Record> {
    let read = store.read(&StreamName::new(stream), 1);
    read.expect("the store reads")
}

pub(super) fn files(disk: &SimDisk, directory: &str) -> Vec<String> {
    let listed = disk.read_dir(&Path::new(DATA).join(directory));
    listed.unwrap_or_default()
}
