//! What is kept, what goes, and what is listed of it.

use std::path::Path;
use std::time::Duration;

use phisync_state::env::SimDisk;
use phisync_state::snapshot::{ARCHIVE_DIRECTORY, Keeping, SNAPSHOT_DIRECTORY, Standing};
use phisync_state::{AppendError, Seq, Store as _, StreamName};

use super::{Toy, append, at, eager, files, read, snapshot};
use crate::support::{DATA, open};

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
    let taken = store.snapshot(&Toy, &eager(), at(3));
    let taken = taken.expect("the first is good").expect("3 is new");
    assert!(taken.instead_of.is_some(), "its records are not copied");
    assert_eq!(segments().len(), 3, "snapshot 2 is damaged: 1 needs them");
    assert_eq!(read(&store, "run/a").len(), 3);
    drop(store);
    let (store, opened) = open(&disk).expect("the third snapshot is good");
    assert_eq!(opened.snapshot, Some(Seq(3)));
    assert_eq!(read(&store, "run/a").len(), 3);
}
