//! Snapshots and journals that are not as written.

use std::path::Path;

use phisync_state::env::{Disk as _, SimDisk};
use phisync_state::snapshot::{Keeping, SNAPSHOT_DIRECTORY, SnapshotError, list};
use phisync_state::{OpenError, ReadError, Seq, Timestamp};

use super::{append, files, read, snapshot};
use crate::support::{DATA, open};
use crate::workloads::NoneClosed;

/// A store with snapshots of 2, 4 and 6, and a record behind.
fn three_snapshots() -> SimDisk {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for second in 1..=6 {
        append(&store, second, "run/a", &format!("{second}"));
        if second % 2 == 0 {
            snapshot(&store, second);
        }
    }
    append(&store, 7, "run/a", "7");
    drop(store);
    disk
}

#[test]
fn a_snapshot_with_any_byte_flipped_is_passed_over_and_nothing_is_lost() {
    let disk = three_snapshots();
    let name = format!("{DATA}/{SNAPSHOT_DIRECTORY}/snapshot-{:020}.json.zst", 6);
    let path = Path::new(&name);
    let bytes = phisync_state::env::read_all(&disk, path, u64::MAX).expect("it is there");
    for index in 0..bytes.len() {
        let disk = disk.duplicate();
        disk.damage(path, |bytes| bytes[index] ^= 0x10);
        match open(&disk) {
            Ok((store, opened)) => {
                assert_eq!(opened.snapshot, Some(Seq(4)), "byte {index}");
                assert_eq!(opened.damaged_snapshots.len(), 1, "byte {index}");
                assert_eq!(read(&store, "run/a").len(), 7, "byte {index}");
            }
            Err(other) => panic!("byte {index}: {other}"),
        }
    }
    for length in 0..bytes.len() {
        let disk = disk.duplicate();
        disk.damage(path, |bytes| bytes.truncate(length));
        let (store, _) = open(&disk).expect("the one before is good");
        assert_eq!(read(&store, "run/a").len(), 7, "{length} bytes");
    }
}

#[test]
fn a_snapshot_that_is_damaged_in_use_is_found_and_another_is_taken_from_the_one_before() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for second in 1..=6 {
        append(&store, second, "run/a", &format!("{second}"));
        append(&store, second, &format!("run/b{second}"), "1");
        if second % 2 == 0 {
            snapshot(&store, second);
        }
    }
    assert_eq!(store.check_snapshot(), Ok(()));
    let names = files(&disk, SNAPSHOT_DIRECTORY);
    let path = |name: &String| Path::new(DATA).join(SNAPSHOT_DIRECTORY).join(name);
    let newest = path(names.last().expect("there are three"));
    disk.damage(&newest, |bytes| bytes[9] ^= 1);
    assert!(matches!(
        store.check_snapshot(),
        Err(ReadError::Corrupt { .. })
    ));
    append(&store, 7, "run/a", "7");
    let projection = NoneClosed;
    let keeping = Keeping::default();
    let now = Timestamp::from_micros(8_000_000);
    let taken = store.snapshot(&projection, &keeping, now);
    let taken = taken.expect("the one before is good").expect("7 is new");
    assert!(taken.instead_of.is_some(), "{taken:?}");
    assert_eq!((taken.seq, taken.streams), (Seq(13), 7));
    assert_eq!(store.check_snapshot(), Ok(()));
    let all = |store: &_| {
        assert_eq!(read(store, "run/a").len(), 7);
        for second in 1..=6 {
            assert_eq!(read(store, &format!("run/b{second}")).len(), 1);
        }
    };
    all(&store);
    append(&store, 8, "run/b1", "2");
    assert_eq!(read(&store, "run/b1").len(), 2);
    drop(store);
    let (store, opened) = open(&disk).expect("the newest is good");
    assert_eq!(opened.snapshot, Some(Seq(13)));
    assert_eq!(read(&store, "run/a").len(), 7);

    // With no way back at all the store goes on as it can.
    for name in files(&disk, SNAPSHOT_DIRECTORY) {
        disk.damage(&path(&name), |bytes| bytes[20] ^= 1);
    }
    let taken = store.snapshot(&projection, &keeping, now);
    assert!(matches!(taken, Err(SnapshotError::Read(_))), "{taken:?}");
    append(&store, 9, "run/c", "1");
    assert_eq!(read(&store, "run/c").len(), 1);
}

#[test]
fn without_a_snapshot_that_the_journal_reaches_back_to_the_store_is_refused() {
    let disk = three_snapshots();
    let names = files(&disk, SNAPSHOT_DIRECTORY);
    assert_eq!(names.len(), 3);
    let path = |name: &String| Path::new(DATA).join(SNAPSHOT_DIRECTORY).join(name);
    for name in &names[1..] {
        disk.damage(&path(name), |bytes| bytes[9] ^= 1);
    }
    // The journal reaches back to the second newest, 4: with 2 alone there is a gap.
    let before = files(&disk, "journal");
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
    assert_eq!(files(&disk, "journal"), before);
    disk.remove(&path(&names[0])).expect("it exists");
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
    let listed = list(&disk, Path::new(DATA)).expect("the disk reads");
    assert!(listed.iter().all(|info| info.content.is_err()));
}

#[test]
fn a_journal_that_ends_before_a_snapshot_is_no_journal() {
    let disk = three_snapshots();
    let journal = Path::new(DATA).join("journal");
    let names = files(&disk, "journal");
    let last = names.last().expect("there are segments");
    disk.remove(&journal.join(last)).expect("it exists");
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
    // The newest snapshot damaged too: the older one and its segments must not pass for all.
    let name = format!("{DATA}/{SNAPSHOT_DIRECTORY}/snapshot-{:020}.json.zst", 6);
    disk.damage(Path::new(&name), |bytes| bytes[9] ^= 1);
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
    for name in files(&disk, "journal") {
        disk.remove(&journal.join(name)).expect("it exists");
    }
    assert!(matches!(open(&disk).err(), Some(OpenError::Corrupt(_))));
}
