//! Every backend keeps the contract.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use phisync_state::backend::conformance;
use phisync_state::env::{OsDisk, SimDisk};
use phisync_state::{AppendError, FileOptions, FileStore, MemoryStore, Store, Timestamp};

use crate::support::{durable, event, open, put};

#[test]
fn memory_keeps_the_contract() {
    conformance::all(MemoryStore::new);
}

#[test]
fn files_on_a_simulated_disk_keep_the_contract() {
    conformance::all(|| open(&SimDisk::new()).expect("an empty disk opens").0);
    let disk = SimDisk::new();
    conformance::reopens(|| open(&disk).expect("the store opens").0);
}

#[test]
fn files_on_the_real_disk_keep_the_contract() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stores = Cell::new(0);
    let open = |data: &str| {
        let path = directory.path().join(data);
        let opened = FileStore::open(Arc::new(OsDisk), &path, FileOptions::default());
        opened.expect("the store opens").0
    };
    conformance::all(|| {
        stores.set(stores.get() + 1);
        open(&format!("data-{}", stores.get()))
    });
    conformance::reopens(|| open("again"));
}

#[test]
fn a_held_memory_store_lets_answers_wait() {
    let store = MemoryStore::new();
    let called = Arc::new(AtomicUsize::new(0));
    store.hold();
    let at = phisync_state::Timestamp::default();
    let appended = store
        .append(at, event("run/a", "1"))
        .expect("it is healthy");
    let counter = Arc::clone(&called);
    let then = move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    store.when_durable(appended.last, Box::new(then));
    let stream = phisync_state::StreamName::new("run/a");
    assert_eq!(called.load(Ordering::SeqCst), 0);
    assert_eq!(store.version(&stream), 1);
    assert_eq!(store.read(&stream, 1), Ok(Vec::new()));
    store.release();
    assert_eq!(called.load(Ordering::SeqCst), 1);
    assert_eq!(store.read(&stream, 1).map(|records| records.len()), Ok(1));
}

#[test]
fn a_failed_memory_store_tells_everybody() {
    let store = MemoryStore::new();
    put(&store, "run/a", "1").expect("it is healthy");
    store.fail("the disk is gone");
    let unknown = put(&store, "run/a", "2").expect_err("it has failed");
    assert_eq!(unknown.to_string(), "the store stopped: the disk is gone");
    assert!(durable(&store, phisync_state::Seq(1)).is_ok());
    assert!(store.close().is_err());
}

#[test]
fn an_append_is_measured_with_what_stands_around_its_events() {
    // Bug: many small events made a batch beyond all bounds, and a panic under the order's lock.
    let store = MemoryStore::new();
    let mut entries = event("run/a", "1");
    entries[0].events = vec!["1".to_owned(); 600_000];
    let refused = store.append(Timestamp::default(), entries);
    assert!(
        matches!(refused, Err(AppendError::Malformed { .. })),
        "{refused:?}"
    );
    put(&store, "run/a", "1").expect("nothing was appended");
    assert_eq!(store.head().seq.0, 1);
}
