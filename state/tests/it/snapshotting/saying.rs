//! What a store says that started from a snapshot, and whose streams are archived or forgotten.

use std::path::Path;

use phisync_state::env::SimDisk;
use phisync_state::snapshot::{Projection, Row};
use phisync_state::{
    AppendError, Entry, Expected, FileStore, Record, Seq, Store as _, StreamName, fsck,
};

use super::{append, at, eager, read, snapshot};
use crate::support::{DATA, durable, everything, open};

#[test]
fn a_store_that_starts_from_a_snapshot_says_what_the_journal_said() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for (second, stream, event) in [
        (1, "run/a", r#""begun""#),
        (2, "run/b", r#""begun""#),
        (3, "run/a", r#""closed""#),
        (4, "run/b", r#"{"text":"\t\"x\""}"#),
    ] {
        append(&store, second, stream, event);
    }
    let (a, b) = (read(&store, "run/a"), read(&store, "run/b"));
    let taken = snapshot(&store, 5).expect("there is something to take");
    assert_eq!((taken.seq, taken.streams, taken.archived), (Seq(4), 1, 1));
    assert_eq!(snapshot(&store, 5), None, "nothing was appended since");
    append(&store, 6, "run/b", r#""more""#);

    let check = |store: &FileStore, what: &str| {
        assert_eq!(read(store, "run/a"), a, "{what}: an archived stream");
        assert_eq!(read(store, "run/b")[..2], b, "{what}: an open stream");
        assert_eq!(read(store, "run/b")[2].seq, Seq(5), "{what}: its suffix");
        let from_two = store.read(&StreamName::new("run/b"), 2).expect("it reads");
        assert_eq!(from_two[..], read(store, "run/b")[1..], "{what}: from 2");
        let seqs: Vec<_> = everything(store)
            .iter()
            .map(|record| record.seq.0)
            .collect();
        assert_eq!(
            seqs,
            [2, 4, 5],
            "{what}: a scan leaves archived streams out"
        );
        assert_eq!(store.version(&StreamName::new("run/a")), 2, "{what}");
        assert_eq!(store.version(&StreamName::new("run/b")), 3, "{what}");
        assert_eq!(store.head().seq, Seq(5), "{what}");
    };
    check(&store, "running");
    let head = store.head();
    drop(store);
    let (store, opened) = open(&disk).expect("it was closed");
    assert_eq!(opened.snapshot, Some(Seq(4)));
    assert_eq!(opened.head, head);
    check(&store, "started again");

    let report = fsck(&disk, Path::new(DATA), Some(&head)).expect("the disk reads");
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.archives, report.damaged_archives.len()), (1, 0));
}

#[test]
fn the_name_of_an_archived_stream_is_not_given_out_again() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    append(&store, 1, "run/a", r#""begun""#);
    append(&store, 2, "run/a", r#""closed""#);
    snapshot(&store, 3);
    let again = |store: &FileStore, expected| {
        store.append(
            at(4),
            vec![Entry {
                stream: StreamName::new("run/a"),
                expected: Expected::Version(expected),
                events: vec![r#""again""#.to_owned()],
            }],
        )
    };
    for _ in 0..2 {
        let (expected, actual) = (0, 2);
        let stream = StreamName::new("run/a");
        let conflict = AppendError::Conflict {
            stream,
            expected,
            actual,
        };
        assert_eq!(again(&store, 0), Err(conflict));
    }
    // Whoever knows where it ended may go on, and it is one stream before and after a restart.
    let appended = again(&store, 2).expect("the version is right");
    durable(&store, appended.last).expect("the disk works");
    let versions = |store: &FileStore| -> Vec<u64> {
        read(store, "run/a").iter().map(|r| r.version).collect()
    };
    assert_eq!(versions(&store), [1, 2, 3]);
    drop(store);
    let (store, _) = open(&disk).expect("it was closed");
    assert_eq!(versions(&store), [1, 2, 3]);
    // The next snapshot has it whole, as it is open again.
    snapshot(&store, 5);
    assert_eq!(versions(&store), [1, 2, 3]);
    drop(store);
    let (store, _) = open(&disk).expect("it was closed");
    assert_eq!(versions(&store), [1, 2, 3]);
    assert_eq!(everything(&store).len(), 3);
}

#[test]
fn what_has_outlived_its_use_goes_and_versions_stay_or_begin_anew() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for second in 1..=3 {
        append(&store, second, "last/a", &format!("{second}"));
        append(&store, second, "brief/a", &format!("{second}"));
    }
    snapshot(&store, 4);
    let check = |store: &FileStore, what: &str| {
        let kept: Vec<_> = read(store, "last/a").iter().map(|r| r.version).collect();
        assert_eq!(kept, [3], "{what}");
        assert_eq!(store.version(&StreamName::new("last/a")), 3, "{what}");
        assert_eq!(read(store, "brief/a"), [], "{what}");
        assert_eq!(store.version(&StreamName::new("brief/a")), 0, "{what}");
    };
    check(&store, "running");
    drop(store);
    let (store, _) = open(&disk).expect("it was closed");
    check(&store, "started again");
    append(&store, 5, "last/a", "4");
    append(&store, 5, "brief/a", "4");
    let versions = |store: &FileStore, stream: &str| -> Vec<u64> {
        read(store, stream).iter().map(|r| r.version).collect()
    };
    for life in 1..=2 {
        drop(snapshot(&store, 5 + life));
        assert_eq!(versions(&store, "last/a"), [4]);
        append(&store, 5 + life, "brief/a", "5");
        assert_eq!(versions(&store, "brief/a"), [1], "it began anew");
    }
    drop(store);
    let (store, _) = open(&disk).expect("it was closed");
    assert_eq!(
        (versions(&store, "last/a"), versions(&store, "brief/a")),
        (vec![4], vec![1])
    );
}

/// Appends to a stream in the moment in which it is to be forgotten.
struct Racing<'s>(&'s FileStore);

impl Projection for Racing<'_> {
    fn may_be_closed(&self, _: &Record) -> bool {
        false
    }

    fn row(&self, _: &[Record]) -> Option<Row> {
        None
    }

    fn outlived(&self, records: &[Record]) -> usize {
        append(self.0, 9, "brief/a", "\"late\"");
        records.len()
    }
}

#[test]
fn a_stream_that_goes_on_while_it_is_forgotten_goes_on_where_it_was() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    append(&store, 1, "brief/a", "1");
    append(&store, 2, "brief/a", "2");
    let taken = store.snapshot(&Racing(&store), &eager(), at(3));
    taken.expect("the disk works");
    let check = |store: &FileStore| {
        let records = read(store, "brief/a");
        assert_eq!(records.iter().map(|r| r.version).collect::<Vec<_>>(), [3]);
        assert_eq!(store.version(&StreamName::new("brief/a")), 3);
    };
    check(&store);
    drop(store);
    let report = fsck(&disk, Path::new(DATA), None).expect("the disk reads");
    assert!(report.is_sound(), "{report:?}");
    check(&open(&disk).expect("it was closed").0);
}
