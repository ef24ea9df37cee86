//! Others who change the same files at the worst moments.

use std::path::Path;

use phisync_state::env::{Disk as _, SimDisk};
use phisync_state::transaction::{Phase, PrepareError, TransactionId, TransactionState, revert};

use super::world::{Stopped, World, after, disk, files, id, transaction};

fn put(disk: &SimDisk, path: &str, content: &str) {
    disk.put(Path::new(path), content.as_bytes()).expect("put");
}

fn content(disk: &SimDisk, path: &str) -> String {
    let found = files(disk).remove(Path::new(path));
    String::from_utf8(found.unwrap_or_default()).expect("text")
}

/// A transaction that is decided and not yet finished.
fn decided(world: &World) -> TransactionState {
    let (mut state, decision) = world
        .prepare(&id(), &transaction(), || {})
        .expect("it can be decided");
    world.record(&mut state, &decision).expect("recorded");
    state
}

#[test]
fn a_change_before_the_vote_aborts_and_leaves_nothing_behind() {
    let disk = disk();
    let world = World::open(&disk).expect("it opens");
    let changed = || put(&disk, "/api/src/b", "a stranger's\n");
    let stopped = world.prepare(&id(), &transaction(), changed);
    assert!(
        matches!(&stopped, Err(Stopped::Refused(PrepareError::Conflict { path, .. })) if path.as_str() == "src/b"),
        "{:?}",
        stopped.err()
    );
    let mut expected = files(&super::world::disk());
    expected.insert("/api/src/b".into(), b"a stranger's\n".to_vec());
    assert_eq!(files(&disk), expected);
    let state = world.replay().expect("it began");
    assert_eq!(state.phase, Phase::Aborted);
    assert_eq!(state.aborted.expect("it says why").0, "files.conflict");
}

#[test]
fn a_change_after_the_vote_is_kept_beside_and_reported() {
    let disk = disk();
    let world = World::open(&disk).expect("it opens");
    let mut state = decided(&world);
    put(&disk, "/api/a", "a stranger's a\n");
    put(&disk, "/web/c", "a stranger's c\n");
    put(&disk, "/web/d", "a stranger's d\n");
    world.complete(&mut state).expect("it completes");
    let kept: Vec<_> = state.kept.iter().map(|kept| kept.kept.as_str()).collect();
    assert_eq!(kept, ["a.t-1.conflict", "c.t-1.conflict", "d.t-1.conflict"]);
    let mut expected = after();
    for (path, owner) in [("/api/a", "a"), ("/web/c", "c"), ("/web/d", "d")] {
        let beside = format!("{path}.t-1.conflict");
        expected.insert(
            beside.into(),
            format!("a stranger's {owner}\n").into_bytes(),
        );
    }
    assert_eq!(files(&disk), expected);
}

#[test]
fn a_change_after_the_exchange_is_later_work_and_stays() {
    let disk = disk();
    let world = World::open(&disk).expect("it opens");
    let state = decided(&world);
    // The process dies between the exchange and its record.
    world.workspace.advance(&state).expect("it finishes");
    put(&disk, "/api/a", "later work\n");
    drop(world);
    let disk = disk.next_process();
    let world = World::open(&disk).expect("it opens");
    assert_eq!(world.recover().expect("recovers"), Some(Phase::Swept));
    let mut expected = after();
    expected.insert("/api/a".into(), b"later work\n".to_vec());
    assert_eq!(files(&disk), expected);
}

#[test]
fn swept_stages_and_removed_directories_do_not_stop_a_decided_transaction() {
    let disk = disk();
    let world = World::open(&disk).expect("it opens");
    let mut state = decided(&world);
    for (path, _) in files(&disk) {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(".phisync-")) {
            disk.remove(&path).expect("swept by a stranger");
        }
    }
    world.complete(&mut state).expect("it completes");
    assert_eq!(files(&disk), after());
}

#[test]
fn a_spoilt_stage_is_not_what_takes_the_place() {
    let disk = disk();
    let world = World::open(&disk).expect("it opens");
    let mut state = decided(&world);
    put(&disk, "/api/.phisync-t-1-0.tmp", "spoilt\n");
    world.complete(&mut state).expect("it completes");
    assert_eq!(content(&disk, "/api/a"), "new a\n");
    assert_eq!(content(&disk, "/api/a.t-1.conflict"), "spoilt\n");
}

#[test]
fn a_revert_takes_everything_back_unless_somebody_worked_on_it() {
    let disk = disk();
    let before = files(&disk);
    let world = World::open(&disk).expect("it opens");
    let state = world.run(&transaction(), || {}).expect("it happens");
    assert_eq!(files(&disk), after());

    let decision = state.decision.expect("it is decided");
    let back = revert(&id(), &decision, world.workspace.blobs()).expect("pre-images are kept");
    put(&disk, "/web/dir/c", "later work\n");
    let second = TransactionId::parse("t-2").expect("a name");
    let refused = world.prepare(&second, &back, || {});
    assert!(matches!(refused, Err(Stopped::Refused(_))));
    assert_eq!(content(&disk, "/web/dir/c"), "later work\n");

    put(&disk, "/web/dir/c", "old c\n");
    let (mut state, decision) = world.prepare(&second, &back, || {}).expect("it fits again");
    world.record(&mut state, &decision).expect("recorded");
    world.complete(&mut state).expect("it completes");
    assert_eq!(files(&disk), before);
    let names = disk.read_dir(Path::new("/web")).expect("a directory");
    assert_eq!(names, ["c"], "the directory that it made is gone too");
}
