//! One writer for a directory, private files, views and witnesses.

use std::path::Path;
use std::sync::Arc;

use phisync_state::env::{Disk as _, Fault, OsDisk, SimDisk, Survive};
use phisync_state::view;
use phisync_state::{
    FileOptions, FileStore, Head, OpenError, Seq, Store as _, ViewFault, ViewName, ViewWriter,
    Witness, dump, fsck,
};

use crate::support::{DATA, everything, open, put};

#[test]
fn a_second_opener_is_refused_and_told_by_whom() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let open = || FileStore::open(Arc::new(OsDisk), &data, FileOptions::default());
    let (first, _) = open().expect("nobody has it");
    match open().map(|_| ()) {
        Err(OpenError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("two stores share a directory: {other:?}"),
    }
    assert!(first.still_ours().expect("the lock file is there"));
    drop(first);
    open().expect("the lock is free again");
}

#[cfg(unix)]
#[test]
fn a_replaced_lock_file_is_noticed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let opened = FileStore::open(Arc::new(OsDisk), &data, FileOptions::default());
    let (store, _) = opened.expect("nobody has it");
    std::fs::remove_file(data.join("lock")).expect("it is there");
    assert!(!store.still_ours().expect("a missing file is an answer"));
    std::fs::write(data.join("lock"), "").expect("it can be written");
    assert!(!store.still_ours().expect("another file is an answer"));
}

#[cfg(unix)]
#[test]
fn everything_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let open = || FileStore::open(Arc::new(OsDisk), &data, FileOptions::default());
    put(&open().expect("nobody has it").0, "run/a", "1").expect("the disk works");
    let mut todo = vec![data.clone()];
    while let Some(path) = todo.pop() {
        let metadata = std::fs::metadata(&path).expect("it is there");
        let mode = metadata.permissions().mode() & 0o777;
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
        if metadata.is_dir() {
            let children = std::fs::read_dir(&path).expect("it is a directory");
            todo.extend(children.map(|child| child.expect("it is there").path()));
        }
    }
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&data, mode).expect("it is ours");
    assert!(matches!(open().err(), Some(OpenError::NotUsable { .. })));
}

#[test]
fn a_directory_that_cannot_be_made_is_not_usable() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("it can be written");
    for data in [
        file.clone(),
        file.join("data"),
        directory.path().join("a/b"),
    ] {
        let opened = FileStore::open(Arc::new(OsDisk), &data, FileOptions::default());
        assert!(matches!(opened.err(), Some(OpenError::NotUsable { .. })));
    }
}

#[test]
fn views_are_replaced_whole_and_the_newest_wins() {
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk opens"));
    let writer = ViewWriter::start(Arc::new(disk.clone()), Path::new(DATA)).expect("it starts");
    let name = ViewName::new("workflow-r-1").expect("it is a name");
    for seq in 1..=50 {
        assert!(writer.put(&name, Seq(seq), move || format!("{{\"at\":{seq}}}")));
    }
    writer.flush().expect("the disk works");
    let path = name.path(Path::new(DATA));
    let bytes = phisync_state::env::read_all(&disk, &path, 1000).expect("it is there");
    let info = view::check(&bytes).expect("it is as written");
    assert_eq!((info.seq, info.body), (Seq(50), "{\"at\":50}"));
    assert!(writer.remove(&name));
    writer.flush().expect("the disk works");
    assert!(phisync_state::env::read_all(&disk, &path, 1000).is_err());
}

#[test]
fn a_view_that_cannot_be_written_is_told_at_the_flush() {
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk opens"));
    let writer = ViewWriter::start(Arc::new(disk.clone()), Path::new(DATA)).expect("it starts");
    let kind = std::io::ErrorKind::StorageFull;
    disk.plan(disk.operations() + 1, Fault::Error(kind));
    let name = ViewName::new("agent-health").expect("it is a name");
    assert!(writer.put(&name, Seq(1), || "{}".to_owned()));
    let error = writer.flush().expect_err("the disk is full");
    assert_eq!(error.name, "agent-health");
    assert!(writer.put(&name, Seq(2), || "{}".to_owned()));
    assert_eq!(writer.flush(), Ok(()), "a view is tried anew");
}

#[test]
fn fsck_tells_damaged_views_and_changes_nothing() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    put(&store, "run/a", "1").expect("the disk works");
    drop(store);
    let data = Path::new(DATA);
    let writer = ViewWriter::start(Arc::new(disk.clone()), data).expect("it starts");
    let name = |text| ViewName::new(text).expect("it is a name");
    for (view, seq) in [("good", 1), ("edited", 1), ("ahead", 2)] {
        assert!(writer.put(&name(view), Seq(seq), || "{\"a\":1}".to_owned()));
    }
    drop(writer);
    disk.damage(&name("edited").path(data), |bytes| {
        let at = bytes.len() - 4;
        bytes[at] = b'2';
    });
    let operations = disk.operations();
    let report = fsck(&disk, data, None).expect("the disk reads");
    assert_eq!(disk.operations(), operations);
    assert_eq!(report.good_views, 1);
    assert_eq!(
        report.views,
        [
            ("state/ahead.json".to_owned(), ViewFault::Ahead(Seq(2))),
            (
                "state/edited.json".to_owned(),
                ViewFault::Damaged(view::ViewDamage::Changed)
            ),
        ]
    );
    assert!(report.is_sound(), "views are caches");
}

#[test]
fn a_witness_tells_a_rolled_back_journal() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    let first = put(&store, "run/a", "1").expect("the disk works");
    let second = put(&store, "run/a", "2").expect("the disk works");
    drop(store);
    let forged = Head {
        seq: second.seq,
        hash: Arc::clone(&first.hash),
    };
    let beyond = Head {
        seq: Seq(3),
        hash: Arc::clone(&first.hash),
    };
    for (head, verdict) in [
        (&first, Witness::Matches),
        (&second, Witness::Matches),
        (&forged, Witness::Differs),
        (&beyond, Witness::Behind),
    ] {
        let text = head.to_string();
        assert_eq!(text.parse().as_ref(), Ok(head));
        let report = fsck(&disk, Path::new(DATA), Some(head)).expect("the disk reads");
        assert_eq!(report.is_sound(), verdict == Witness::Matches, "{text}");
        assert_eq!(report.witness, Some(verdict), "{text}");
    }
}

#[test]
fn a_dump_is_what_was_appended_and_changes_nothing() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for number in 0..20 {
        put(&store, "run/a", &format!("{{\"n\":{number}}}")).expect("the disk works");
    }
    let (records, head) = (everything(&store), store.head());
    drop(store);
    let disk = disk.reboot(Survive::Everything);
    let mut dumped = Vec::new();
    let end = dump(&disk, Path::new(DATA), &mut |record| dumped.push(record));
    assert_eq!(end.expect("the disk reads"), head);
    assert_eq!(dumped, records);
    assert_eq!(disk.operations(), 0);
}

#[test]
fn an_idle_journal_is_sealed() {
    let disk = SimDisk::new();
    let mut options = crate::support::small();
    options.seal_after = std::time::Duration::ZERO;
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new(DATA), options);
    let (store, _) = opened.expect("an empty disk opens");
    put(&store, "run/a", "1").expect("the disk works");
    // The seal comes on its own; the disk keeps answering until it stands.
    while !std::str::from_utf8(&content(&disk)).is_ok_and(|text| text.contains("\t{\"seal\":")) {
        std::thread::yield_now();
    }
    put(&store, "run/a", "2").expect("the disk works");
    drop(store);
    let names = disk.read_dir(&Path::new(DATA).join("journal"));
    assert_eq!(names.expect("it is there").len(), 1);
    assert_eq!(everything(&open(&disk).expect("it opens").0).len(), 2);
}

#[test]
fn opening_and_closing_leaves_a_journal_as_it_is() {
    // Bug: every start added a seal.
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk opens"));
    let before = content(&disk);
    drop(open(&disk).expect("it was closed"));
    assert_eq!(content(&disk), before);
    // Bug: a seal counted as a batch, and a segment without any was begun anew.
    let (store, _) = open(&disk).expect("it was closed");
    put(&store, "run/a", &format!("\"{}\"", "x".repeat(2000))).expect("the disk works");
    assert!(content(&disk).starts_with(&before));
}

#[test]
fn views_that_were_never_finished_are_swept() {
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk opens"));
    let start = || ViewWriter::start(Arc::new(disk.clone()), Path::new(DATA)).expect("it starts");
    drop(start());
    let directory = Path::new(DATA).join("state");
    let left = disk.create_new(&directory.join("workflow-r-1.json.tmp"));
    drop(left.expect("it is not there"));
    drop(start());
    assert_eq!(disk.read_dir(&directory).expect("it is there"), [""; 0]);
}

fn content(disk: &SimDisk) -> Vec<u8> {
    let path = crate::support::first_segment();
    phisync_state::env::read_all(disk, &path, u64::MAX).expect("it is there")
}
