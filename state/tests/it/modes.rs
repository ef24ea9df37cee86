//! What is left of the promises where batches are not synced one by one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::env::{Disk as _, Fault, Kind, SimDisk, Survive};
use phisync_state::{Durability, FileOptions, FileStore, Store as _};

use crate::counter::{Ledger, judge};
use crate::support::{DATA, everything, open, put, small};

fn relaxed(disk: &SimDisk, durability: Durability) -> Option<FileStore> {
    let options = FileOptions {
        durability,
        ..small()
    };
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    opened.ok().map(|(store, _)| store)
}

fn work(disk: &SimDisk, ledger: &mut Ledger, durability: Durability) {
    let Some(store) = relaxed(disk, durability) else {
        return;
    };
    for number in 1..=9 {
        let padding = "x".repeat(150);
        let event = ("run/a".to_owned(), format!("[{number},\"{padding}\"]"));
        if !ledger.put(&store, &[event]) {
            break;
        }
    }
    drop(store.close());
}

const MODES: [Durability; 3] = [
    Durability::Interval(Duration::ZERO),
    Durability::Interval(Duration::from_secs(3600)),
    Durability::None,
];

#[test]
fn without_syncs_a_kill_loses_nothing_and_a_power_cut_leaves_whole_batches() {
    for durability in MODES {
        let disk = SimDisk::new();
        work(&disk, &mut Ledger::default(), durability);
        let mut lost = 0;
        for operation in 1..=disk.operations() {
            let disk = SimDisk::new();
            disk.plan(operation, Fault::PowerOff { written: 40 });
            let mut ledger = Ledger::default();
            work(&disk, &mut ledger, durability);
            let what = format!("{durability:?}, {operation}");
            judge(&disk.next_process(), &ledger).unwrap_or_else(|e| panic!("kill, {what}: {e}"));
            let told = ledger.owed();
            (ledger.told, ledger.seen) = (None, 0);
            let some = (0..8).map(|seed| Survive::Some { seed });
            for survive in some.chain([Survive::Nothing]) {
                let after = disk.reboot(survive);
                judge(&after, &ledger).unwrap_or_else(|e| panic!("cut, {what}, {survive:?}: {e}"));
                let (store, _) = open(&disk.reboot(survive)).expect("the judge opened it");
                lost += told.saturating_sub(everything(&store).len() as u64);
            }
        }
        assert!(lost > 0, "{durability:?} promises no more than it keeps");
    }
}

#[test]
fn an_interval_is_kept_under_load_and_a_mode_without_syncs_has_none() {
    for (durability, synced) in MODES.into_iter().zip([true, false, false]) {
        let disk = SimDisk::new();
        let options = FileOptions {
            durability,
            // Room for all of it at once: closing a segment syncs in every mode.
            sizes: phisync_state::Sizes::default(),
            ..small()
        };
        let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
        let (store, _) = opened.expect("an empty disk opens");
        put(&store, "run/a", "0").expect("the file is extended");
        let syncs = || {
            let history = disk.history();
            history
                .iter()
                .filter(|done| done.kind == Kind::Sync)
                .count()
        };
        let before = syncs();
        for number in 1..=5 {
            put(&store, "run/a", &number.to_string()).expect("the disk works");
        }
        assert_eq!(syncs() > before, synced, "{durability:?}");
        assert_eq!(store.durability(), durability);
    }
}

#[test]
fn the_note_goes_when_batches_are_synced_again() {
    let disk = SimDisk::new();
    let note = Path::new(DATA).join("journal/unsynced");
    let noted = || phisync_state::env::read_all(&disk, &note, 100);
    drop(relaxed(&disk, Durability::None).expect("an empty disk opens"));
    assert_eq!(noted().expect("it is there"), b"none\n");
    drop(open(&disk).expect("it is whole"));
    assert!(noted().is_err());
    let names = disk.read_dir(&Path::new(DATA).join("journal"));
    assert_eq!(names.expect("it is there"), ["00000000000000000001.jsonl"]);
}
