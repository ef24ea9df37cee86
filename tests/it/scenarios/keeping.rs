//! What a long life leaves: as much as is needed, and no more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Coordinator, Lent, Refusal};
use phisync_state::env::{Fault, Kind, Lasting, SimDisk};
use phisync_state::snapshot::Keeping;
use phisync_state::{FileOptions, FileStore, Store as _};
use phisync_tests::{World, compiled};
use serde_json::json;

use super::TEAM;

const HALF_HOURLY: &str = "
workflow: report
concurrency: { key: \"all\", max: 1, on_conflict: queue }
schedule:
  - { id: nightly, every: 30m, overlap: allow, catchup: all }
steps:
  - { id: write, task: write, assign: DC }
";

const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn settle(w: &mut World) {
    let settled = w.coordinator().wait_until_durable();
    settled.expect("the disk works");
}

/// Lets 400 runs be started and done, and takes a snapshot: how many records are in it.
fn eight_days(w: &mut World, store: &FileStore) -> u64 {
    for _ in 0..400 {
        w.seconds(1800);
        let write = w.take("dc", "write");
        w.complete(&write, json!({}));
    }
    settle(w);
    let now = w.now();
    let projection = w.coordinator().projection(MONTH, now);
    let keeping = Keeping {
        archive_from: 1,
        ..Keeping::default()
    };
    let taken = store.snapshot(&projection, &keeping, now.wall);
    let taken = taken.expect("the disk works").expect("something happened");
    assert_eq!(taken.archived, 400);
    let mut from = None;
    w.coordinator().forget_outlived(now.wall);
    loop {
        from = w.coordinator().forget_archived(from.as_ref());
        if from.is_none() {
            return taken.records;
        }
    }
}

#[test]
fn whoever_lends_the_records_of_an_archived_run_spares_the_coordinator_its_archive() {
    const ONCE: &str = "
workflow: once
steps:
  - { id: write, task: write, assign: DC }
";
    let disk = SimDisk::new();
    let options = FileOptions {
        reserve: 0,
        ..FileOptions::default()
    };
    let opened = FileStore::open(Arc::new(disk.clone()), Path::new("/data"), options);
    let store = Arc::new(opened.expect("it opens").0);
    let mut w = World::on(Arc::<FileStore>::clone(&store), ONCE, TEAM);
    let archives = Arc::clone(store.archives());
    w.coordinator().set_archives(archives);
    let run = w.start();
    let write = w.take("dc", "write");
    w.complete(&write, json!({}));
    settle(&mut w);
    let now = w.now();
    let projection = w.coordinator().projection(MONTH, now);
    let keeping = Keeping {
        archive_from: 1,
        ..Keeping::default()
    };
    let taken = store.snapshot(&projection, &keeping, now.wall);
    assert_eq!(taken.expect("it works").expect("new").archived, 1);
    w.coordinator().forget_archived(None);
    let records = store.read(&run.stream(), 1).expect("the disk works");
    // What closed last is remembered until something else happens.
    let _other = w.start();
    settle(&mut w);
    // From here on the archive cannot be read.
    let broken = Fault::Error(std::io::ErrorKind::Other);
    disk.fail(Kind::Read, 1, Lasting::Forever, broken);
    let unlent = w.coordinator().cancel(&run, "dana", None, now);
    assert!(matches!(unlent, Err(Refusal::Unreadable(_))), "{unlent:?}");
    let mut lent = Lent::default();
    lent.add(run.clone(), records);
    let cancel = lent.to(|c: &mut Coordinator, now| c.cancel(&run, "dana", None, now));
    let refused = cancel(w.coordinator(), now);
    assert!(matches!(refused, Err(Refusal::Rejected(_))), "{refused:?}");
    let unlent = w.coordinator().cancel(&run, "dana", None, now);
    assert!(
        matches!(unlent, Err(Refusal::Unreadable(_))),
        "lent for one operation only: {unlent:?}"
    );
    disk.heal();
}

#[test]
fn schedules_and_concurrency_keys_leave_no_more_after_a_long_life_than_after_a_short_one() {
    let disk = Arc::new(SimDisk::new());
    let options = FileOptions {
        reserve: 0,
        ..FileOptions::default()
    };
    let (store, _) = FileStore::open(disk, Path::new("/data"), options).expect("it opens");
    let store = Arc::new(store);
    let mut w = World::on(Arc::<FileStore>::clone(&store), HALF_HOURLY, TEAM);
    let archives = Arc::clone(store.archives());
    w.coordinator().set_archives(archives);
    let (machine, now) = (compiled(HALF_HOURLY), w.now());
    let registered = w.coordinator().register(&machine, now);
    registered.expect("it is sound");

    let records: Vec<u64> = (0..4).map(|_| eight_days(&mut w, &store)).collect();
    // 500 facts of the schedule, a day of the key, and a few.
    assert!(records.iter().all(|count| *count < 650), "{records:?}");

    let told = |w: &mut World| {
        let now = w.now();
        let schedule = w.coordinator().schedule(("report", "nightly"), 3, now);
        json!(schedule.expect("it is set"))
    };
    let before = told(&mut w);
    w.crash_and_reopen();
    assert_eq!(told(&mut w), before, "what is left says all there was");
    // The key is free, and the next instant is the next.
    w.seconds(1800);
    let write = w.take("dc", "write");
    w.seconds(1800);
    // Its lease has ended meanwhile; the next run waits for the key.
    let again = w.take("dc", "write");
    assert_eq!(again.task.run, write.task.run);
    assert!(w.poll("dc", 1).is_empty(), "the key is taken");
    w.complete(&again, json!({}));
    assert_ne!(w.take("dc", "write").task.run, write.task.run);
    settle(&mut w);
}
