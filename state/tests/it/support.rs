//! What several tests share: opening stores, appending, reading everything back.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use phisync_state::env::SimDisk;
use phisync_state::{
    Entry, Expected, FileOptions, FileStore, Head, OpenError, Opened, Record, Seq, Sizes, Store,
    StreamName, Timestamp, Unknown,
};

pub(crate) const DATA: &str = "/data";

/// Small files, so that simulated disks stay fast and rotation happens.
pub(crate) fn small() -> FileOptions {
    FileOptions {
        sizes: Sizes {
            segment: 1024,
            preallocate: 512,
            ahead: 0,
        },
        seal_after: Duration::from_secs(3600),
        reserve: 0,
        ..FileOptions::default()
    }
}

pub(crate) fn open(disk: &SimDisk) -> Result<(FileStore, Opened), OpenError> {
    FileStore::open(Arc::new(disk.clone()), Path::new(DATA), small())
}

pub(crate) fn first_segment() -> PathBuf {
    Path::new(DATA).join("journal/00000000000000000001.jsonl")
}

pub(crate) fn event(stream: &str, event: &str) -> Vec<Entry> {
    vec![Entry {
        stream: StreamName::new(stream),
        expected: Expected::Any,
        events: vec![event.to_owned()],
    }]
}

/// Appends one event and waits until it is durable or known not to become so.
pub(crate) fn put(store: &dyn Store, stream: &str, text: &str) -> Result<Head, Unknown> {
    let at = Timestamp::from_micros(1_795_348_800_000_000);
    match store.append(at, event(stream, text)) {
        Ok(appended) => durable(store, appended.last),
        Err(phisync_state::AppendError::Closed(unknown)) => Err(unknown),
        Err(other) => panic!("the append is valid: {other}"),
    }
}

pub(crate) fn durable(store: &dyn Store, seq: Seq) -> Result<Head, Unknown> {
    let (sender, outcome) = mpsc::channel();
    let then = move |durable| sender.send(durable).expect("the test waits");
    store.when_durable(seq, Box::new(then));
    outcome.recv().expect("every callback is called")
}

pub(crate) fn everything(store: &dyn Store) -> Vec<Record> {
    let mut records = Vec::new();
    let mut visit = |record| {
        records.push(record);
        true
    };
    store
        .scan("", Seq(0), &mut visit)
        .expect("the journal reads");
    records
}

/// Puts a directory that an older version wrote into the place of the data directory.
pub(crate) fn place(disk: &SimDisk, fixture: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut todo = vec![(root.join(fixture), Path::new(DATA).to_owned())];
    while let Some((from, to)) = todo.pop() {
        if from.is_dir() {
            for child in std::fs::read_dir(&from).expect("the fixture reads") {
                let name = child.expect("the fixture reads").file_name();
                todo.push((from.join(&name), to.join(&name)));
            }
        } else {
            let bytes = std::fs::read(&from).expect("the fixture reads");
            disk.put(&to, &bytes).expect("nothing else has its name");
        }
    }
}
