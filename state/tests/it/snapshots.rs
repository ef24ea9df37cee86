//! Snapshots, archives and compaction: what a store says with them, and what survives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::env::{Disk as _, Fault, SimDisk, Survive};
use phisync_state::snapshot::{
    ARCHIVE_DIRECTORY, Keeping, Projection, Row, SNAPSHOT_DIRECTORY, Standing, list,
};
use phisync_state::{
    AppendError, Entry, Expected, FileStore, OpenError, Record, Seq, Store, StreamName, Timestamp,
    dump, fsck,
};
use proptest::prelude::*;

use crate::support::{DATA, durable, everything, open, put};

const START: i64 = 1_795_348_800_000_000;

/// Streams end with the event `"closed"`.
struct Toy;

impl Projection for Toy {
    fn may_be_closed(&self, last: &Record) -> bool {
        last.event == r#""closed""#
    }

    fn row(&self, records: &[Record]) -> Option<Row> {
        let (first, last) = (records.first()?, records.last()?);
        self.may_be_closed(last).then(|| Row {
            began: first.at,
            closed: last.at,
            text: format!(r#"{{"records":{}}}"#, records.len()),
        })
    }

    /// Of `last/...` one record is needed, of `brief/...` none.
    fn outlived(&self, records: &[Record]) -> usize {
        let stream = records.first().map_or("", |record| record.stream.as_str());
        match stream.split_once('/') {
            Some(("last", _)) => records.len() - 1,
            Some(("brief", _)) => records.len(),
            _ => 0,
        }
    }
}

/// Archives at once and keeps everything.
fn eager() -> Keeping {
    Keeping {
        snapshots: 3,
        archive_from: 1,
        ..Keeping::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(START + second * 1_000_000)
}

fn append(store: &dyn Store, second: i64, stream: &str, event: &str) -> Seq {
    let batch = vec![Entry {
        stream: StreamName::new(stream),
        expected: Expected::Any,
        events: vec![event.to_owned()],
    }];
    let appended = store.append(at(second), batch).expect("it is valid");
    durable(store, appended.last).expect("the disk works");
    appended.last
}

fn snapshot(store: &FileStore, second: i64) -> Option<phisync_state::snapshot::Taken> {
    let taken = store.snapshot(&Toy, &eager(), at(second));
    taken.expect("the disk works")
}

fn read(store: &dyn Store, stream: &str) -> Vec<Record> {
    let read = store.read(&StreamName::new(stream), 1);
    read.expect("the store reads")
}

fn files(disk: &SimDisk, directory: &str) -> Vec<String> {
    let listed = disk.read_dir(&Path::new(DATA).join(directory));
    listed.unwrap_or_default()
}

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

#[test]
fn retention_drops_whole_archives_and_remembers_the_names() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    let keeping = Keeping {
        closed_age: Duration::from_secs(100),
        ..eager()
    };
    let name = StreamName::new("run/0");
    for round in 0..8 {
        let stream = format!("run/{round}");
        append(&store, round * 50, &stream, r#""begun""#);
        append(&store, round * 50 + 1, &stream, r#""closed""#);
        let taken = store.snapshot(&Toy, &keeping, at(round * 50 + 2));
        taken.expect("the disk works");
    }
    assert_eq!(store.archives().standing(&name), Standing::Gone);
    assert_eq!(store.archives().files().len(), 2, "those of the last 100 s");
    assert!(read(&store, "run/0").is_empty());
    let again = store.append(at(999), crate::support::event("run/0", "1"));
    assert!(
        matches!(again, Err(AppendError::Malformed { .. })),
        "{again:?}"
    );
    drop(store);
    let (store, _) = open(&disk).expect("it was closed");
    assert_eq!(store.archives().standing(&name), Standing::Gone);
    assert_eq!(read(&store, "run/7").len(), 2);
    // Archives stay while one of the three snapshots that are kept tells of them.
    assert_eq!(files(&disk, ARCHIVE_DIRECTORY).len(), 4);
    assert_eq!(files(&disk, SNAPSHOT_DIRECTORY).len(), 3);
}

#[test]
fn closed_streams_are_listed_newest_first_across_archives_and_from_any_place() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    // Each archive gets one stream that began long before and one that is young.
    for round in 0..5_i64 {
        append(
            &store,
            100 + round,
            &format!("run/old-{round}"),
            r#""begun""#,
        );
    }
    for round in 0..5_i64 {
        let young = format!("run/young-{round}");
        append(&store, 200 + round, &young, r#""begun""#);
        append(&store, 300 + round, &young, r#""closed""#);
        append(
            &store,
            300 + round,
            &format!("run/old-{round}"),
            r#""closed""#,
        );
        snapshot(&store, 400);
    }
    let mut all = Vec::new();
    let listed = store.archives().rows(None, &mut |row| {
        all.push((row.row.began, row.stream));
        true
    });
    listed.expect("the archives read");
    let mut sorted = all.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(all, sorted);
    assert_eq!(all.len(), 10);
    for (index, (began, stream)) in all.iter().enumerate() {
        let mut rest = Vec::new();
        let place = Some((*began, stream));
        let listed = store.archives().rows(place, &mut |row| {
            rest.push((row.row.began, row.stream));
            rest.len() < 3
        });
        listed.expect("the archives read");
        let end = (index + 4).min(all.len());
        assert_eq!(rest, all[index + 1..end], "behind {stream}");
    }
    let named = store.archives().named("run/old-", 9).expect("it reads");
    assert_eq!(named.len(), 5);
}

#[test]
fn segments_stay_until_two_good_snapshots_lie_behind_them() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    let segments = || files(&disk, "journal");
    append(&store, 1, "run/a", "1");
    snapshot(&store, 1);
    assert_eq!(segments().len(), 2, "one snapshot is not enough");
    append(&store, 2, "run/a", "2");
    snapshot(&store, 2);
    assert_eq!(segments().len(), 2, "the first segment went");
    append(&store, 3, "run/a", "3");
    // The second newest is what the journal reaches back to, if it is good.
    let second = format!("{DATA}/{SNAPSHOT_DIRECTORY}/snapshot-{:020}.json.zst", 2);
    disk.damage(Path::new(&second), |bytes| bytes[20] ^= 1);
    let refused = store.snapshot(&Toy, &eager(), at(3));
    assert!(refused.is_err(), "its records would be copied: {refused:?}");
    drop(store);
    let (store, opened) = open(&disk).expect("the first snapshot is good");
    assert_eq!(opened.snapshot, Some(Seq(1)));
    snapshot(&store, 3);
    assert_eq!(segments().len(), 3, "snapshot 2 is damaged: 1 needs them");
    assert_eq!(read(&store, "run/a").len(), 3);
}

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

/// Appends, closes and snapshots; gives how many records were acknowledged.
fn workload(disk: &SimDisk) -> u64 {
    let Ok((store, _)) = open(disk) else {
        return 0;
    };
    let mut acknowledged = store.head().seq.0;
    let keeping = Keeping {
        snapshots: 2,
        closed_age: Duration::from_secs(5),
        ..eager()
    };
    for number in acknowledged + 1..=12 {
        let (stream, event) = step(number);
        let Ok(head) = put(&store, &stream, &event) else {
            break;
        };
        acknowledged = head.seq.0;
        if number % 3 == 0 {
            // A snapshot that fails leaves the store as it was.
            let seconds = i64::try_from(number).expect("it is small");
            drop(store.snapshot(&Toy, &keeping, at(seconds)));
        }
    }
    drop(store.close());
    acknowledged
}

/// Every stream gets two records, the second of which closes it, but for those of `run/open`.
fn step(number: u64) -> (String, String) {
    match number % 3 {
        0 => ("run/open".to_owned(), format!("{number}")),
        1 => (format!("run/{}", number / 3), format!("{number}")),
        _ => (format!("run/{}", number / 3), r#""closed""#.to_owned()),
    }
}

/// Everything acknowledged is there, nothing is there twice, nothing went backwards.
fn check_recovered(disk: &SimDisk, acknowledged: u64, what: &str) {
    let (store, _) = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let head = store.head().seq.0;
    assert!(head >= acknowledged, "{what}: {head} of {acknowledged}");
    let mut expected = std::collections::BTreeMap::<String, Vec<(u64, String)>>::new();
    for number in 1..=head {
        let (stream, event) = step(number);
        expected.entry(stream).or_default().push((number, event));
    }
    for (stream, events) in expected {
        let name = StreamName::new(&stream);
        if store.archives().standing(&name) == Standing::Gone {
            assert_ne!(stream, "run/open", "{what}");
            continue;
        }
        let records = store.read(&name, 1);
        let records = records.unwrap_or_else(|error| panic!("{what}, {stream}: {error}"));
        let found: Vec<_> = records.into_iter().map(|r| (r.seq.0, r.event)).collect();
        assert_eq!(found, events, "{what}: {stream}");
        let version = events.len() as u64;
        assert_eq!(store.version(&name), version, "{what}: {stream}");
    }
    put(&store, "run/probe", "1").unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(store);
    let report = fsck(disk, Path::new(DATA), None);
    let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(report.is_sound(), "{what}: {report:?}");
    assert!(report.damaged_archives.is_empty(), "{what}: {report:?}");
}

fn operations() -> u64 {
    let disk = SimDisk::new();
    assert_eq!(workload(&disk), 12);
    disk.operations()
}

#[test]
fn a_power_cut_at_any_operation_of_snapshot_and_compaction_loses_nothing() {
    let total = operations();
    for operation in 1..=total {
        let disk = SimDisk::new();
        disk.plan(operation, Fault::PowerOff { written: 50 });
        let acknowledged = workload(&disk);
        let some = [1, 2, 3].map(|seed| Survive::Some { seed });
        for survive in [Survive::Everything, Survive::Nothing]
            .into_iter()
            .chain(some)
        {
            let what = format!("operation {operation} of {total}, {survive:?}");
            check_recovered(&disk.reboot(survive), acknowledged, &what);
        }
    }
}

#[test]
fn a_power_cut_while_what_a_power_cut_left_is_taken_up_again_loses_nothing() {
    let total = operations();
    for operation in (1..=total).step_by(7) {
        let disk = SimDisk::new();
        disk.plan(operation, Fault::PowerOff { written: 50 });
        let first = workload(&disk);
        let survive = Survive::Some { seed: operation };
        let again = {
            let disk = disk.reboot(survive);
            assert_eq!(workload(&disk), 12);
            disk.operations()
        };
        for second in 1..=again {
            let disk = disk.reboot(survive);
            disk.plan(second, Fault::PowerOff { written: 50 });
            let acknowledged = first.max(workload(&disk));
            for survive in [Survive::Nothing, Survive::Some { seed: second }] {
                let what = format!("{operation}, then {second} of {again}, {survive:?}");
                check_recovered(&disk.reboot(survive), acknowledged, &what);
            }
        }
    }
}

#[test]
fn an_error_at_any_operation_of_a_snapshot_leaves_a_store_that_works() {
    let total = operations();
    for operation in 1..=total {
        let disk = SimDisk::new();
        disk.plan(operation, Fault::Error(std::io::ErrorKind::StorageFull));
        let acknowledged = workload(&disk);
        let what = format!("operation {operation}");
        check_recovered(&disk.reboot(Survive::Nothing), acknowledged, &what);
        let disk = disk.next_process();
        assert_eq!(workload(&disk), 12, "{what}: it goes on");
        check_recovered(&disk, 12, &what);
    }
}

/// What a random history does next.
#[derive(Clone, Debug)]
enum Do {
    Append(u8, bool),
    Snapshot,
    Restart,
}

fn history() -> impl Strategy<Value = Vec<Do>> {
    let step = prop_oneof![
        6 => (0..5_u8, any::<bool>()).prop_map(|(stream, close)| Do::Append(stream, close)),
        2 => Just(Do::Snapshot),
        1 => Just(Do::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn snapshot_and_suffix_say_what_a_full_replay_says(history in history()) {
        let (plain, folded) = (SimDisk::new(), SimDisk::new());
        let (reference, _) = open(&plain).expect("an empty disk opens");
        let (mut store, _) = open(&folded).expect("an empty disk opens");
        for (second, step) in (1..).zip(&history) {
            match step {
                Do::Append(stream, close) => {
                    let event = if *close { "\"closed\"".to_owned() } else { format!("{second}") };
                    let stream = format!("run/{stream}");
                    append(&reference, second, &stream, &event);
                    append(&store, second, &stream, &event);
                }
                Do::Snapshot => drop(snapshot(&store, second)),
                Do::Restart => {
                    drop(store);
                    store = open(&folded).expect("it was closed").0;
                }
            }
        }
        prop_assert_eq!(store.head().seq, reference.head().seq);
        for stream in 0..5 {
            let stream = format!("run/{stream}");
            prop_assert_eq!(read(&store, &stream), read(&reference, &stream));
            let name = StreamName::new(&stream);
            prop_assert_eq!(store.version(&name), reference.version(&name));
        }
        // A scan has everything but what is archived, in order.
        let scanned = everything(&store);
        prop_assert!(scanned.is_sorted_by_key(|record| record.seq));
        let archived = |record: &Record| match store.archives().standing(&record.stream) {
            Standing::Archived(version) => record.version <= version,
            Standing::Unknown | Standing::Gone => false,
        };
        for record in everything(&reference) {
            prop_assert!(scanned.contains(&record) || archived(&record), "{:?}", record);
        }
        drop(store);
        let mut dumped = Vec::new();
        dump(&folded, Path::new(DATA), &mut |record| dumped.push(record)).expect("it reads");
        prop_assert!(scanned.iter().all(|record| dumped.contains(record)));
    }
}

#[test]
fn snapshots_of_the_first_format_are_read_for_ever() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshot-v1");
    let disk = Arc::new(phisync_state::env::OsDisk);
    let listed = list(&*disk, &source).expect("the fixture is there");
    let told: Vec<_> = listed.iter().map(|info| format!("{info:?}")).collect();
    insta::assert_snapshot!("snapshot_v1", told.join("\n"));
    let mut records = String::new();
    let head = dump(&*disk, &source, &mut |record| {
        records.push_str(&record.to_line());
        records.push('\n');
    });
    records.push_str(&head.expect("it reads").to_string());
    insta::assert_snapshot!("snapshot_v1_dump", records);
}
