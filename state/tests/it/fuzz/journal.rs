//! The journal's reader: whatever lies in a segment, nothing that was not written comes out, nothing
//! is repaired that is no torn tail, and looking and opening agree.

use std::path::Path;

use phisync_state::env::{Disk as _, SimDisk, read_all};
use phisync_state::{JournalEnd, OpenError, Record, dump, fsck};

use super::drive;
use crate::support::{DATA, everything, first_segment, open, put};

/// The events of the corpus: records may only ever be a beginning of one of these.
fn stories() -> Vec<Vec<String>> {
    let padded =
        |number: usize| format!("{{\"n\":{number},\"text\":\"{}\"}}", "y".repeat(number * 7));
    vec![
        vec!["1".to_owned()],
        (1..=3).map(padded).collect(),
        (4..=9).map(padded).collect(),
    ]
}

/// A segment that holds a story, closed or as a killed process left it.
fn segment(story: &[String], closed: bool) -> Vec<u8> {
    let disk = SimDisk::new();
    let mut options = crate::support::small();
    options.sizes.segment = 1 << 20;
    let shared = std::sync::Arc::new(disk.clone());
    let opened = phisync_state::FileStore::open(shared, Path::new(DATA), options);
    let (store, _) = opened.expect("an empty disk opens");
    for event in story {
        put(&store, "run/a", event).expect("the disk works");
    }
    let killed = disk.duplicate();
    drop(store);
    let left = if closed { &disk } else { &killed };
    read_all(left, &first_segment(), u64::MAX).expect("it is there")
}

fn corpus() -> Vec<Vec<u8>> {
    let of_both = |story: &Vec<String>| [true, false].map(|closed| segment(story, closed));
    let stories = stories();
    let mut corpus: Vec<Vec<u8>> = stories.iter().flat_map(of_both).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-v1");
    for fixture in ["closed", "killed"] {
        let path = root
            .join(fixture)
            .join("journal/00000000000000000001.jsonl");
        corpus.push(std::fs::read(path).expect("the fixture reads"));
    }
    corpus
}

/// What the corpus says, as `(seq, event)`: nothing else may ever be read.
fn known() -> Vec<Vec<(u64, String)>> {
    corpus()
        .iter()
        .map(|bytes| {
            let mut known = Vec::new();
            dumped(&disk_with(bytes), &mut known).expect("the corpus is sound");
            known
        })
        .collect()
}

fn disk_with(bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    let journal = Path::new(DATA).join("journal");
    disk.make_dir(Path::new(DATA)).expect("the disk is empty");
    disk.make_dir(&journal).expect("the disk is empty");
    let file = disk.create_new(&first_segment()).expect("it is not there");
    file.write_at(0, bytes).expect("the disk works");
    disk
}

fn dumped(disk: &SimDisk, out: &mut Vec<(u64, String)>) -> Result<(), phisync_state::FsckError> {
    let visit = &mut |record: Record| out.push((record.seq.0, record.event));
    dump(disk, Path::new(DATA), visit).map(drop)
}

thread_local! {
    static KNOWN: Vec<Vec<(u64, String)>> = known();
}

fn is_a_beginning_of_something_written(read: &[(u64, String)]) -> bool {
    KNOWN.with(|known| known.iter().any(|story| story.starts_with(read)))
}

/// The target.
fn journal(bytes: &[u8]) {
    let disk = disk_with(bytes);
    let before = disk.operations();
    let report = fsck(&disk, Path::new(DATA), None);
    let mut read = Vec::new();
    let dump = dumped(&disk, &mut read);
    assert_eq!(disk.operations(), before, "looking changed something");
    assert!(
        is_a_beginning_of_something_written(&read),
        "never written: {read:?}"
    );
    let opened = open(&disk);
    match (report, opened) {
        (Ok(report), Ok((store, opened))) => {
            assert!(dump.is_ok() && report.is_sound());
            assert_eq!(report.head, opened.head);
            let torn = matches!(report.end, JournalEnd::Torn { .. });
            assert_eq!(torn, opened.torn.is_some());
            assert_eq!(everything(&store).len(), read.len());
        }
        (Ok(report), Err(OpenError::Corrupt(corruption))) => {
            assert_eq!(report.end, JournalEnd::Corrupt(corruption.clone()));
            assert_eq!(report.head.seq, corruption.last_good);
            assert!(dump.is_err());
            let left = read_all(&disk, &first_segment(), u64::MAX).expect("it is there");
            assert_eq!(left, bytes, "a refused file was changed");
        }
        (Err(_), Err(OpenError::Newer { .. } | OpenError::NotUsable { .. })) => {}
        (report, opened) => panic!("{report:?} and {:?}", opened.err()),
    }
}

#[test]
fn the_reader_of_the_journal_takes_anything_and_believes_only_what_was_written() {
    let words: super::Words = &[
        b"\t{\"commit\":{\"first\":1,\"count\":1,\"hash\":\"",
        b"\t{\"seal\":{\"seq\":",
        b"{\"seq\":2,\"stream\":\"run/a\",\"version\":2,\"at\":0,\"event\":2}\n",
        b"{\"phisync_journal\":1,\"epoch\":1,\"first\":1,\"previous\":\"",
        b"\"}}\n",
        b"\n",
        b"18446744073709551615",
    ];
    drive(journal, &corpus(), words);
}
