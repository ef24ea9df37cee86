//! Segments that are prepared while the one before them fills up.

use std::path::Path;
use std::sync::Arc;

use phisync_state::env::{Access, Disk as _, Fault, Kind, Lasting, SimDisk, Survive};
use phisync_state::{FileOptions, FileStore, Head, Sizes, Store as _};

use crate::snapshotting::{Toy, at, eager};
use crate::support::{DATA, everything, open, put, small};

/// Long enough to be prepared.
const SEGMENT: u64 = 1 << 20;

fn start(disk: &SimDisk) -> FileStore {
    let options = FileOptions {
        sizes: Sizes {
            segment: SEGMENT,
            preallocate: 256 << 10,
            ahead: SEGMENT / 2,
        },
        ..small()
    };
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    opened.expect("the disk works").0
}

fn size(disk: &SimDisk, name: &str) -> Option<u64> {
    let path = Path::new(DATA).join("journal").join(name);
    let file = disk.open(&path, Access::Read).ok()?;
    Some(file.size().expect("the disk works"))
}

fn put_large(store: &FileStore) -> Result<Head, phisync_state::Unknown> {
    put(store, "run/a", &format!("\"{}\"", "x".repeat(100_000)))
}

/// Six records, which fill half of the first segment; the next one lies ready.
fn half_full(disk: &SimDisk) -> FileStore {
    let store = start(disk);
    for _ in 0..6 {
        put_large(&store).expect("the disk works");
    }
    while !store.next_segment_is_made() {
        std::thread::yield_now();
    }
    store
}

#[test]
fn the_next_segment_is_filled_with_zeros_before_it_is_needed() {
    let disk = SimDisk::new();
    let store = half_full(&disk);
    // The first one was not prepared: it is left as soon as it would have to grow again.
    let begun = (0..4).find_map(|_| {
        let before = disk.history().len();
        put_large(&store).expect("the disk works");
        let names = disk.read_dir(&Path::new(DATA).join("journal"));
        let mut names = names.expect("it is there").into_iter();
        let last = names.rfind(|name| name.ends_with(".jsonl"));
        let changed = last.is_some_and(|last| size(&disk, &last) > Some(SEGMENT));
        changed.then(|| disk.history().split_off(before))
    });
    let begun = begun.expect("four records are more than a step");
    let named = begun.iter().position(|done| done.kind == Kind::Rename);
    let behind = &begun[named.expect("the file gets its name")..];
    let writes = behind.iter().filter(|done| done.kind == Kind::Write);
    assert_eq!(
        writes.count(),
        1,
        "the batch, and no room for it: {begun:?}"
    );
    let records = everything(&store).len();
    store.close().expect("the disk works");
    assert_eq!(size(&disk, "prepared.tmp"), None, "nothing stays");
    drop(store);
    assert_eq!(everything(&start(&disk)).len(), records);
}

#[test]
fn a_cut_at_any_operation_of_a_change_to_a_prepared_segment_loses_nothing() {
    for operation in 1..=20 {
        for survive in [
            Survive::Everything,
            Survive::Nothing,
            Survive::Some { seed: operation },
        ] {
            let disk = SimDisk::new();
            let store = half_full(&disk);
            disk.plan(
                disk.operations() + operation,
                Fault::PowerOff { written: 50 },
            );
            let mut told = 6;
            while told < 11 && put_large(&store).is_ok() {
                told += 1;
            }
            drop(store.close());
            drop(store);
            let disk = disk.reboot(survive);
            let store = start(&disk);
            let found = everything(&store).len();
            let what = format!("operation {operation}, {survive:?}");
            assert!(
                (told..=told + 1).contains(&found),
                "{what}: {found} of {told}"
            );
            assert_eq!(size(&disk, "prepared.tmp"), None, "{what}: it is swept");
            put_large(&store).expect("it goes on");
        }
    }
}

#[test]
fn a_disk_without_room_for_the_next_segment_is_full_no_earlier_for_it() {
    let disk = SimDisk::new();
    let store = start(&disk);
    for _ in 0..4 {
        put_large(&store).expect("there is room");
    }
    // Room for this segment's rest, and not for the whole of the next.
    disk.set_capacity(Some(disk.used() + (SEGMENT * 3 / 4)));
    for _ in 4..9 {
        put_large(&store).expect("what is ahead gives way");
    }
}

/// Bug: a snapshot wants a new segment, for which there was no descriptor among too many connections; the
/// store took that for the end of its disk and stopped.
#[test]
fn a_segment_whose_file_is_not_to_be_had_is_begun_later_and_nothing_stops_for_it() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    put(&store, "run/a", "0").expect("the disk works");
    let fault = Fault::Error(std::io::ErrorKind::Other);
    disk.fail(Kind::Create, 1, Lasting::Forever, fault);
    let refused = store.snapshot(&Toy, &eager(), at(1));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(store.failed(), None);
    // Segments have a kibibyte: this is far more than fits into one.
    let mut told = 1;
    while told < 7 {
        put(&store, "run/a", &format!("\"{}\"", "x".repeat(200))).expect("the open one serves on");
        told += 1;
    }
    disk.heal();
    for _ in 0..12 {
        put(&store, "run/a", &format!("\"{}\"", "x".repeat(200))).expect("the disk works");
        told += 1;
    }
    let segments = disk.read_dir(&Path::new(DATA).join("journal"));
    assert!(
        segments.expect("it is there").len() > 2,
        "later is not never"
    );
    drop(store);
    let (store, _) = open(&disk.reboot(Survive::Nothing)).expect("it is sound");
    assert_eq!(everything(&store).len(), told);
}
