//! Opening a store to read: everything that is durable, and not one operation that changes the disk.

use std::path::Path;
use std::sync::Arc;

use phisync_state::env::{Disk as _, Kind, SimDisk, Survive};
use phisync_state::{AppendError, FileStore, OpenError, Seq, Store as _, Timestamp};

use crate::support::{DATA, event, everything, first_segment, open, put};

fn open_to_read(disk: &SimDisk) -> Result<FileStore, OpenError> {
    let opened = FileStore::open_to_read(Arc::new(disk.clone()), Path::new(DATA));
    opened.map(|(store, _)| store)
}

/// Twenty records in several segments; the power goes in the middle of the last batch.
fn torn() -> SimDisk {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for number in 0..20 {
        let text = format!(r#"{{"number":{number},"padding":"{}"}}"#, "x".repeat(100));
        put(&store, "run/a", &text).expect("the disk works");
    }
    drop(store);
    let disk = disk.next_process();
    let names = disk.read_dir(&Path::new(DATA).join("journal"));
    let names = names.expect("the journal");
    let last = names.iter().rfind(|name| name.ends_with(".jsonl"));
    let last = Path::new(DATA)
        .join("journal")
        .join(last.expect("a segment"));
    assert_ne!(last, first_segment(), "there are several segments");
    disk.damage(&last, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let end = end.expect("it has lines") + 1;
        bytes.truncate(end);
        bytes.extend_from_slice(b"{\"seq\":21,\"str");
    });
    disk
}

#[test]
fn what_is_durable_is_read_and_nothing_is_changed() {
    let disk = torn();
    let before = disk.history().len();
    let store = open_to_read(&disk).expect("it can be read");
    let read = everything(&store);
    assert_eq!((read.len(), store.head().seq), (20, Seq(20)));
    let refused = store.append(Timestamp::from_micros(0), event("run/a", "1"));
    assert!(
        matches!(refused, Err(AppendError::Full { .. })),
        "{refused:?}"
    );
    assert!(store.refuses().is_some());
    store.close().expect("there is nothing to close");
    drop(store);
    let changes = disk.history().split_off(before);
    let locks = changes.iter().all(|operation| operation.kind == Kind::Lock);
    assert!(locks, "{changes:?}");

    let (store, _) = open(&disk).expect("it opens as ever");
    assert_eq!(everything(&store), read);
}

#[test]
fn a_store_is_not_read_beside_its_writer_nor_written_beside_its_reader() {
    let disk = torn();
    let reader = open_to_read(&disk).expect("it can be read");
    assert!(matches!(open(&disk), Err(OpenError::Held { .. })));
    drop(reader);
    let (_writer, _) = open(&disk).expect("it opens");
    let refused = open_to_read(&disk).err();
    assert!(
        matches!(refused, Some(OpenError::Held { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_directory_without_a_journal_cannot_be_read() {
    let disk = SimDisk::new();
    disk.make_dir(Path::new(DATA)).expect("it is created");
    let refused = open_to_read(&disk).err();
    assert!(
        matches!(refused, Some(OpenError::NotUsable { .. })),
        "{refused:?}"
    );
}

#[test]
fn damage_is_told_apart_from_a_torn_end() {
    let disk = torn().reboot(Survive::Everything);
    disk.damage(&first_segment(), |bytes| bytes[300] ^= 1);
    let refused = open_to_read(&disk).err();
    assert!(
        matches!(refused, Some(OpenError::Corrupt(_))),
        "{refused:?}"
    );
}
