//! Directories that older versions wrote are read for ever. The fixtures are never regenerated.

use std::path::Path;

use phisync_state::env::SimDisk;
use phisync_state::{Store as _, dump, fsck, view};

use crate::support::{DATA, everything, open, place, put};

/// A simulated disk with a copy of a fixture.
fn load(fixture: &str) -> SimDisk {
    let disk = SimDisk::new();
    place(&disk, &format!("format-v1/{fixture}"));
    disk
}

fn dumped(disk: &SimDisk) -> String {
    let mut lines = String::new();
    let mut visit = |record: phisync_state::Record| {
        lines.push_str(&record.to_line());
        lines.push('\n');
    };
    let head = dump(disk, Path::new(DATA), &mut visit).expect("the fixture is sound");
    format!("{lines}head {head}\n")
}

#[test]
fn a_closed_store_of_format_1_is_read() {
    let disk = load("closed");
    insta::assert_snapshot!("closed_v1", dumped(&disk));
    let report = fsck(&disk, Path::new(DATA), None).expect("the disk reads");
    insta::assert_debug_snapshot!("closed_v1_fsck", report);
    let path = Path::new(DATA).join("state/workflow-r-1.json");
    let bytes = phisync_state::env::read_all(&disk, &path, 1000).expect("it is there");
    assert_eq!(view::check(&bytes).map(|info| info.seq.0), Ok(6));
    let (store, opened) = open(&disk).expect("it opens");
    assert!(opened.clean && opened.torn.is_none());
    let head = put(&store, "run/r-1", "8").expect("it goes on");
    assert_eq!(head.seq.0, 8);
}

#[test]
fn a_killed_store_of_format_1_is_recovered() {
    let disk = load("killed");
    insta::assert_snapshot!("killed_v1", dumped(&disk));
    let (store, opened) = open(&disk).expect("it opens");
    insta::assert_debug_snapshot!("killed_v1_opened", opened);
    assert_eq!(everything(&store).len(), 5);
}

#[test]
fn the_documented_example_is_what_format_1_wrote() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let closed = root.join("tests/fixtures/format-v1/closed");
    let text = |path| std::fs::read_to_string(path).expect("it is text");
    let document = text(root.join("../docs/file-formats.md"));
    for example in [
        "journal/00000000000000000001.jsonl",
        "state/workflow-r-1.json",
    ] {
        assert!(document.contains(&text(closed.join(example))), "{example}");
    }
}

#[test]
fn a_store_with_snapshots_and_archives_of_format_1_goes_on() {
    let disk = SimDisk::new();
    place(&disk, "snapshot-v1");
    let mut before = Vec::new();
    let head = dump(&disk, Path::new(DATA), &mut |record| before.push(record));
    let head = head.expect("the fixture is sound");
    let (store, opened) = open(&disk).expect("it opens");
    assert_eq!(opened.head, head);
    assert!(opened.snapshot.is_some() && opened.damaged_snapshots.is_empty());
    for record in &before {
        let read = store
            .read(&record.stream, record.version)
            .expect("it reads");
        assert_eq!(read.first(), Some(record));
    }
    let last = before.last().expect("it holds something").stream.clone();
    let next = put(&store, last.as_str(), "1").expect("it goes on");
    assert_eq!(next.seq.0, head.seq.0 + 1);
}
