//! Restore: a damaged store lives on, nothing that was told is told again, nothing is deleted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use phisync_state::env::{Disk, Fault, SimDisk, Survive};
use phisync_state::snapshot::{Keeping, RestoreError, Restored, restore};
use phisync_state::{FileStore, OpenError, Seq, Store as _, StreamName, Timestamp};

use crate::support::{DATA, everything, open, put};
use crate::workloads::NoneClosed;

fn snapshot(store: &FileStore) {
    let at = Timestamp::from_micros(1_795_348_800_000_000);
    let taken = store.snapshot(&NoneClosed, &Keeping::default(), at);
    taken.expect("the disk works");
}

pub(crate) fn restored(disk: &SimDisk, chosen: Option<u64>) -> Result<Restored, RestoreError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    restore(&disk, Path::new(DATA), chosen.map(Seq))
}

fn segment(first: u64) -> PathBuf {
    Path::new(DATA).join(format!("journal/{first:020}.jsonl"))
}

/// Records 1 to 9, snapshots of 3 and 6; the journal begins with 4.
fn store() -> SimDisk {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for number in 1..=9 {
        put(&store, "run/a", &format!("{number}")).expect("the disk works");
        if number % 3 == 0 && number < 9 {
            snapshot(&store);
        }
    }
    drop(store);
    disk
}

/// The same with a flipped byte in record 8.
pub(crate) fn damaged() -> SimDisk {
    let disk = store();
    disk.damage(&segment(7), |bytes| {
        let at = bytes.windows(8).position(|w| w == b"{\"seq\":8");
        bytes[at.expect("it is there") + 40] ^= 1;
    });
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
    disk
}

fn texts(store: &FileStore) -> Vec<String> {
    let records = everything(store);
    records.into_iter().map(|record| record.event).collect()
}

#[test]
fn a_damaged_store_lives_on_with_every_whole_batch_before_the_damage() {
    let disk = damaged();
    let before = disk.duplicate();
    let restored = restored(&disk, None).expect("snapshot 6 is good");
    assert_eq!((restored.from, restored.replayed), (Some(Seq(6)), 1));
    assert_eq!((restored.kept, restored.known), (Seq(7), Seq(9)));
    assert_eq!(restored.epoch, 2);
    let (store, opened) = open(&disk).expect("it is restored");
    assert_eq!((opened.epoch, &opened.head), (2, &restored.head));
    let kept: Vec<_> = (1..=7).map(|number| number.to_string()).collect();
    assert_eq!(texts(&store), kept);
    // Nothing that was told is told again: not a sequence, not a version.
    let head = put(&store, "run/a", "\"new\"").expect("the disk works");
    assert!(head.seq > Seq(9), "{head}");
    let name = StreamName::new("run/a");
    assert_eq!(store.version(&name), 10, "9 was told before");
    let last = store.read(&name, 8).expect("it reads");
    assert_eq!(last.iter().map(|r| r.version).collect::<Vec<_>>(), [10]);
    // And it stays so across a snapshot and a restart.
    snapshot(&store);
    drop(store);
    let (store, opened) = open(&disk).expect("it was closed");
    assert_eq!(opened.epoch, 2);
    assert_eq!(store.version(&name), 10);
    assert_eq!(texts(&store).len(), 8);
    let damaged = |disk: &SimDisk, path: &Path| phisync_state::env::read_all(disk, path, 1 << 20);
    let aside = Path::new(DATA)
        .join(&restored.aside)
        .join(segment(7).file_name().expect("a name"));
    assert_eq!(
        damaged(&disk, &aside).expect("it is kept aside"),
        damaged(&before, &segment(7)).expect("it was there"),
    );
}

#[test]
fn a_store_goes_back_to_exactly_the_snapshot_that_was_chosen() {
    let disk = store();
    let restored = restored(&disk, Some(3)).expect("snapshot 3 is good");
    assert_eq!(
        (restored.kept, restored.known, restored.replayed),
        (Seq(3), Seq(9), 0)
    );
    let (store, _) = open(&disk).expect("it is restored");
    assert_eq!(texts(&store), ["1", "2", "3"]);
    assert_eq!(store.version(&StreamName::new("run/a")), 9);
}

#[test]
fn what_cannot_be_restored_is_refused_and_left_alone() {
    let disk = store();
    assert!(matches!(restored(&disk, None), Err(RestoreError::Sound)));
    assert!(matches!(
        restored(&disk, Some(5)),
        Err(RestoreError::NoSnapshot { .. })
    ));
    let (running, _) = open(&disk).expect("nothing was changed");
    assert!(matches!(
        restored(&disk, Some(3)),
        Err(RestoreError::Held(_))
    ));
    drop(running);
    for snapshot in [3, 6] {
        let name = format!("{DATA}/state/snapshots/snapshot-{snapshot:020}.json.zst");
        disk.damage(Path::new(&name), |bytes| bytes[9] ^= 1);
    }
    assert!(matches!(restored(&disk, None), Err(RestoreError::Nothing)));
}

#[test]
fn a_journal_that_was_never_compacted_is_restored_without_a_snapshot() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for number in 1..=5 {
        put(&store, "run/a", &format!("{number}")).expect("the disk works");
    }
    drop(store);
    disk.damage(&segment(1), |bytes| {
        let at = bytes.windows(8).position(|w| w == b"{\"seq\":4");
        bytes[at.expect("it is there")] ^= 1;
    });
    let restored = restored(&disk, None).expect("the beginning is good");
    assert_eq!((restored.from, restored.replayed), (None, 3));
    assert_eq!(
        texts(&open(&disk).expect("it is restored").0),
        ["1", "2", "3"]
    );
}

/// Restores if need be; then everything that the chosen restore keeps is there, with higher numbers.
fn judge(disk: &SimDisk, chosen: Option<u64>) -> Result<(), String> {
    if open(disk).is_err() {
        let again = restored(disk, chosen).map_err(|error| error.to_string())?;
        if again.epoch < 2 {
            return Err(format!("the epoch is {}", again.epoch));
        }
    }
    let (store, opened) = open(disk).map_err(|error| error.to_string())?;
    let kept = texts(&store).len() as u64;
    if kept != chosen.unwrap_or(7) {
        return Err(format!("{kept} are left"));
    }
    let version = store.version(&StreamName::new("run/a"));
    if opened.epoch < 2 || opened.head.seq <= Seq(9) || version < 9 {
        return Err(format!("it went back: {opened:?}, version {version}"));
    }
    Ok(())
}

/// How many operations a restore of this disk does.
fn operations(disk: &SimDisk, chosen: Option<u64>) -> u64 {
    let before = disk.operations();
    drop(restored(disk, chosen));
    disk.operations() - before
}

#[test]
fn a_power_cut_at_any_operation_of_a_restore_and_of_its_repetition_is_made_good_by_doing_it_again()
{
    let (mut once, mut twice) = (0, 0);
    let cut = |disk: &SimDisk, operation: u64| {
        let fault = Fault::PowerOff { written: 30 };
        disk.plan(disk.operations() + operation, fault);
    };
    for chosen in [None, Some(3)] {
        for operation in 1..=operations(&damaged(), chosen) {
            for survive in [
                Survive::Everything,
                Survive::Nothing,
                Survive::Some { seed: operation },
            ] {
                let what = format!("{chosen:?}, operation {operation}, {survive:?}");
                let disk = damaged();
                cut(&disk, operation);
                drop(restored(&disk, chosen));
                let left = disk.reboot(survive);
                judge(&left.duplicate(), chosen)
                    .unwrap_or_else(|broken| panic!("{what}: {broken}"));
                once += 1;
                // Whoever repeats it is cut off too.
                for second in 1..=operations(&left.duplicate(), chosen) {
                    let again = left.duplicate();
                    cut(&again, second);
                    drop(restored(&again, chosen));
                    let seed = operation * 100 + second;
                    let again = again.reboot(Survive::Some { seed });
                    judge(&again, chosen)
                        .unwrap_or_else(|broken| panic!("{what}, then {second}: {broken}"));
                    twice += 1;
                }
            }
        }
    }
    println!("a restore: {once} crashes, {twice} crashes of its repetition");
    assert!(once > 100 && twice > 1000, "{once}, {twice}");
}
