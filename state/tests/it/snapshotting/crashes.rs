//! Power cuts and errors at every operation of snapshots and compaction.

use std::path::Path;
use std::time::Duration;

use phisync_state::env::{Fault, SimDisk, Survive};
use phisync_state::snapshot::{Keeping, Standing};
use phisync_state::{Store as _, StreamName, fsck};

use super::{Toy, at, eager};
use crate::support::{DATA, open, put};

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
