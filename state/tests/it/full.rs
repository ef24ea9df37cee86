//! A disk without room: nothing is lost, nothing is half done, and it goes on by itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::env::{Disk as _, Fault, Kind, Lasting, Profile, SimDisk, Survive};
use phisync_state::{AppendError, FileOptions, FileStore, OpenError, Seq, Store as _, Timestamp};

use crate::counter::{Ledger, cuts, kills};
use crate::support::{DATA, durable, event, everything, open, put, small};
use crate::workloads::full_disk;

fn options(reserve: usize) -> FileOptions {
    FileOptions {
        reserve,
        refill_after: Duration::from_millis(1),
        ..small()
    }
}

fn start(disk: &SimDisk, options: FileOptions) -> Result<FileStore, OpenError> {
    FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options).map(|(store, _)| store)
}

/// Appends until the disk is found full, and gives what was taken: all of it was told.
fn fill(store: &FileStore) -> u64 {
    for number in 1..1000 {
        let text = format!("{{\"n\":{number},\"padding\":\"{}\"}}", "x".repeat(200));
        match store.append(Timestamp::from_micros(0), event("run/a", &text)) {
            Ok(appended) => drop(durable(store, appended.last).expect("the reserve has room")),
            Err(AppendError::Full { reason }) => {
                assert!(reason.contains("journal/"), "{reason}");
                return number - 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk never gets full");
}

/// Waits until the store takes appends again.
fn wait_for_room(store: &FileStore) {
    while store.refuses().is_some() {
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_turns_the_store_read_only_and_room_turns_it_back() {
    let disk = SimDisk::new();
    let store = start(&disk, options(4096)).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("there is room");
    disk.set_capacity(Some(disk.used() + 600));
    let taken = fill(&store);
    assert!(taken > 0, "what was preallocated is used");
    assert!(store.refuses().is_some());
    assert_eq!(everything(&store).len() as u64, taken + 1, "reads go on");
    assert_eq!(store.failed(), None);
    disk.set_capacity(None);
    wait_for_room(&store);
    put(&store, "run/a", "1").expect("there is room");
    let head = store.head();
    drop(store);
    let (store, opened) = open(&disk.reboot(Survive::Nothing)).expect("nothing is lost");
    assert_eq!(opened.head, head);
    assert_eq!(everything(&store).len() as u64, taken + 2);
}

#[test]
fn without_a_reserve_nobody_is_told_and_what_was_taken_is_written_later() {
    let disk = SimDisk::new();
    let store = start(&disk, options(0)).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("there is room");
    disk.set_capacity(Some(disk.used()));
    let large = format!("\"{}\"", "x".repeat(900));
    let appended = store.append(Timestamp::from_micros(0), event("run/a", &large));
    let seq = appended.expect("nobody knows yet").last;
    let unknown = durable(&store, seq).expect_err("it cannot be written");
    assert!(unknown.reason.contains("journal/"), "{unknown}");
    assert_eq!(durable(&store, seq), Err(unknown), "asked later");
    assert!(matches!(
        store.append(Timestamp::from_micros(0), event("run/a", "2")),
        Err(AppendError::Full { .. })
    ));
    assert_eq!(everything(&store).len(), 1);
    disk.set_capacity(None);
    wait_for_room(&store);
    durable(&store, seq).expect("it was kept");
    put(&store, "run/a", "2").expect("there is room");
    drop(store);
    let (store, _) = open(&disk.reboot(Survive::Nothing)).expect("it is whole");
    assert_eq!(store.head().seq, Seq(3));
}

#[test]
fn a_disk_that_turns_read_only_is_waited_out_too() {
    let disk = SimDisk::new();
    let store = start(&disk, options(4096)).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("it may be written");
    for kind in [Kind::Create, Kind::Write, Kind::Rename, Kind::Remove] {
        let error = Fault::Error(io::ErrorKind::ReadOnlyFilesystem);
        disk.fail(kind, 1, Lasting::Forever, error);
    }
    put(&store, "run/a", "1").expect_err("nobody knows");
    assert_eq!(everything(&store).len(), 1, "reads go on");
    assert_eq!(store.failed(), None);
    disk.heal();
    wait_for_room(&store);
    put(&store, "run/a", "2").expect("it may be written");
    assert_eq!(everything(&store).len(), 3);
}

#[test]
fn the_reserve_is_enough_to_recover_on_a_full_disk() {
    let disk = SimDisk::new();
    let store = start(&disk, options(4096)).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("there is room");
    // Killed, and no room for a copy of the segment.
    let disk = disk.next_process();
    drop(store);
    disk.set_capacity(Some(disk.used()));
    let store = start(&disk, options(4096)).expect("the reserve is given away");
    assert_eq!(everything(&store).len(), 1);
    let names = disk.read_dir(Path::new(DATA)).expect("it is there");
    assert!(
        names.iter().any(|name| name == "reserve"),
        "it came back: {names:?}"
    );
    disk.set_capacity(None);
    put(&store, "run/a", "1").expect("there is room");
}

#[test]
fn a_sync_that_says_full_is_final() {
    let disk = SimDisk::new();
    let store = start(&disk, options(4096)).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("there is room");
    let full = Fault::Error(io::ErrorKind::StorageFull);
    disk.fail(Kind::Sync, 1, Lasting::Times(1), full);
    put(&store, "run/a", "1").expect_err("nobody knows what the disk has");
    assert!(store.failed().is_some());
}

#[test]
fn a_full_disk_survives_a_cut_and_a_kill_anywhere() {
    for counted in [
        cuts(full_disk, Profile::Strict, None),
        kills(full_disk, Profile::Strict, None),
    ] {
        let counted = counted.unwrap_or_else(|broken| panic!("{broken}"));
        assert!(counted.again > 100, "{counted:?}");
    }
}

#[test]
fn an_abandoned_store_writes_nothing_more() {
    let disk = SimDisk::new();
    let store = start(&disk, small()).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("the disk works");
    let before = disk.operations();
    store.abandon("somebody else has the directory");
    let refused = put(&store, "run/a", "1").expect_err("it is over");
    assert_eq!(&*refused.reason, "somebody else has the directory");
    assert!(store.close().is_err());
    drop(store);
    assert_eq!(disk.operations(), before);
    let mut ledger = Ledger::default();
    ledger.look(&open(&disk.next_process()).expect("it is whole").0);
    assert_eq!(ledger.seen, 1);
}
