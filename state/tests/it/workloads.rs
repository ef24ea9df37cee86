//! What a store does all day, for the counter loop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::env::{Disk as _, Kind, Operation, SimDisk};
use phisync_state::snapshot::{Keeping, Projection, Row};
use phisync_state::{DirLock, FileStore, Record, Store as _, Timestamp};

use crate::counter::{Ledger, Workload};
use crate::support::{DATA, open, place, small};

/// All of them, by name.
pub(crate) const ALL: [(&str, Workload); 10] = [
    ("first start", first_start),
    ("lock", lock),
    ("append", append),
    ("group commit", group_commit),
    ("seal", seal),
    ("three lives", three_lives),
    ("prepared segments", prepared_segments),
    ("snapshots", snapshots),
    ("upgrade", upgrade),
    ("upgrade after a kill", upgrade_after_a_kill),
];

fn event(stream: &str, number: u64) -> (String, String) {
    let text = format!(r#"{{"number":{number},"padding":"{}"}}"#, "x".repeat(120));
    (stream.to_owned(), text)
}

/// Opens a store in an empty directory and says one thing.
pub(crate) fn first_start(disk: &SimDisk, ledger: &mut Ledger) {
    if let Ok((store, _)) = open(disk) {
        ledger.put(&store, &[event("run/a", 1)]);
        drop(store.close());
    }
}

/// Takes the lock of a directory, and lets it go, before a store is opened.
pub(crate) fn lock(disk: &SimDisk, ledger: &mut Ledger) {
    if disk.make_dir(Path::new(DATA)).is_ok() {
        drop(DirLock::acquire(disk, Path::new(DATA)));
    }
    first_start(disk, ledger);
}

/// Single events and batches of several streams, over three segments; reads and lost races between.
pub(crate) fn append(disk: &SimDisk, ledger: &mut Ledger) {
    let Ok((store, _)) = open(disk) else { return };
    for number in 1..=8 {
        let one = event("run/a", number);
        let events = match number % 3 {
            0 => vec![one, event("run/b", number), event("agents", number)],
            _ => vec![one],
        };
        ledger.lose_a_race(&store, event("run/a", 1000 + number));
        if !ledger.put(&store, &events) {
            break;
        }
        ledger.look(&store);
    }
    drop(store.close());
}

/// Many appends during one sync, which go out together with the next; somebody reads meanwhile.
pub(crate) fn group_commit(disk: &SimDisk, ledger: &mut Ledger) {
    let Ok((store, _)) = open(disk) else { return };
    // The file is extended, so that the next sync is that of a batch.
    ledger.put(&store, &[("run/a".to_owned(), "0".to_owned())]);
    disk.hold(Kind::Sync);
    ledger.append(&store, &[event("run/a", 1)]);
    if disk.wait_for_held() {
        for number in 2..=4 {
            let events = [event("run/a", number), event("run/b", number)];
            ledger.append(&store, &events);
        }
        ledger.look(&store);
    }
    disk.let_go();
    for end in ledger.ends.clone() {
        if ledger.wait(&store, phisync_state::Seq(end)).is_err() {
            break;
        }
    }
    ledger.look(&store);
    drop(store.close());
}

/// A journal that falls idle after each event is sealed, and goes on behind the seal.
pub(crate) fn seal(disk: &SimDisk, ledger: &mut Ledger) {
    let mut options = small();
    options.seal_after = Duration::ZERO;
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    let Ok((store, _)) = opened else { return };
    for number in 1..=3 {
        if !ledger.put(&store, &[event("run/a", number)]) {
            break;
        }
        wait_for_seal(disk, &store, number);
    }
    drop(store.close());
}

/// The seal comes on its own; without it the number of operations would depend on luck.
fn wait_for_seal(disk: &SimDisk, store: &FileStore, number: u64) {
    let seal = format!("\t{{\"seal\":{{\"seq\":{number},");
    let journal = Path::new(DATA).join("journal");
    let stands = || {
        let names = disk.read_dir(&journal).unwrap_or_default();
        names.iter().any(|name| {
            let path = journal.join(name);
            let bytes = phisync_state::env::read_all(disk, &path, u64::MAX);
            let bytes = bytes.unwrap_or_default();
            bytes.windows(seal.len()).any(|at| at == seal.as_bytes())
        })
    };
    while store.failed().is_none() && !disk.is_off() && !stands() {
        std::thread::yield_now();
    }
}

/// Has the next segment made by a thread of its own, with a batch between its zeros and their sync, and goes
/// on in it. Only one thread is let through at a time, so that all operations come in the same order.
pub(crate) fn prepared_segments(disk: &SimDisk, ledger: &mut Ledger) {
    let mut options = small();
    options.sizes.ahead = 1;
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    let Ok((store, _)) = opened else { return };
    let prepared = Path::new(DATA).join("journal/prepared.tmp");
    let until = |come: &dyn Fn() -> bool| {
        let alive = || store.failed().is_none() && !disk.is_off();
        while alive() && !store.next_segment_is_made() && !come() {
            std::thread::yield_now();
        }
    };
    let filled = || {
        let fills = |done: &Operation| done.kind == Kind::Write && done.path == prepared;
        disk.history().iter().any(fills)
    };
    disk.hold_file(Kind::Create, &prepared);
    let going = ledger.put(&store, &[event("run/a", 1)]);
    if going && disk.wait_for_held() {
        disk.hold_file(Kind::Sync, &prepared);
        disk.let_go_of(Kind::Create, &prepared);
        until(&filled);
        ledger.put(&store, &[event("run/b", 1)]);
    }
    disk.let_go();
    if going {
        until(&|| false);
        // It lies ready, and the first segment would have to grow. The one after it is not wanted yet.
        disk.hold_file(Kind::Create, &prepared);
        ledger.put(&store, &[event("run/a", 2)]);
        ledger.put(&store, &[event("run/a", 3)]);
        disk.let_go();
        until(&|| false);
    }
    ledger.look(&store);
    drop(store.close());
}

/// Opens, appends and closes three times.
pub(crate) fn three_lives(disk: &SimDisk, ledger: &mut Ledger) {
    for life in 1..=3 {
        let Ok((store, _)) = open(disk) else { return };
        if !ledger.put(&store, &[event("run/a", life), event("run/b", life)]) {
            return;
        }
        if store.close().is_err() {
            return;
        }
    }
}

/// Runs out of room in the middle, writes what was taken by way of the reserve, and stays full.
pub(crate) fn full_disk(disk: &SimDisk, ledger: &mut Ledger) {
    let mut options = small();
    options.reserve = 2048;
    // Tried again too late for this life: the number of operations must not depend on time.
    options.refill_after = Duration::from_secs(3600);
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    let Ok((store, _)) = opened else { return };
    disk.set_capacity(Some(disk.used() + 900));
    for number in 1..=20 {
        if !ledger.put(&store, &[event("run/a", number)]) {
            break;
        }
    }
    ledger.look(&store);
    drop(store.close());
    // Whoever recovers may find room again.
    disk.set_capacity(None);
}

/// Takes snapshots between events; from the third on, segments and snapshots go.
pub(crate) fn snapshots(disk: &SimDisk, ledger: &mut Ledger) {
    let Ok((store, _)) = open(disk) else { return };
    let keeping = Keeping {
        snapshots: 2,
        ..Keeping::default()
    };
    for number in 1..=3 {
        if !ledger.put(&store, &[event("run/a", number), event("run/b", number)]) {
            break;
        }
        ledger.look(&store);
        // One that fails leaves the store as it was.
        drop(store.snapshot(&NoneClosed, &keeping, Timestamp::from_micros(0)));
        ledger.look(&store);
    }
    drop(store.close());
}

/// What a server of the first format closed in order is opened by this version, which works on it.
pub(crate) fn upgrade(disk: &SimDisk, ledger: &mut Ledger) {
    take_over(disk, ledger, "format-v1/closed");
}

/// The same with what a killed server left, a torn batch at its end.
pub(crate) fn upgrade_after_a_kill(disk: &SimDisk, ledger: &mut Ledger) {
    take_over(disk, ledger, "format-v1/killed");
}

fn take_over(disk: &SimDisk, ledger: &mut Ledger, fixture: &str) {
    place(disk, fixture);
    ledger.inherit(disk);
    let Ok((store, _)) = open(disk) else { return };
    ledger.look(&store);
    for number in 1..=2 {
        if !ledger.put(
            &store,
            &[event("run/r-1", number), event("run/new", number)],
        ) {
            break;
        }
    }
    drop(store.snapshot(&NoneClosed, &Keeping::default(), Timestamp::from_micros(0)));
    drop(store.close());
}

/// Streams are never closed.
pub(crate) struct NoneClosed;

impl Projection for NoneClosed {
    fn may_be_closed(&self, _: &Record) -> bool {
        false
    }

    fn row(&self, _: &[Record]) -> Option<Row> {
        None
    }

    fn outlived(&self, _: &[Record]) -> usize {
        0
    }
}
