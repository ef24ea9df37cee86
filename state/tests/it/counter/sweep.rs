//! The counting: every operation, every way to end there, every recovery of it.

use std::io;

use phisync_state::Bug;
use phisync_state::env::{Fault, Kind, Profile, SimDisk, Survive};

use super::ledger::ended;
use super::{Ledger, judge};
use crate::support::open;

/// Works on a disk, which may fail at any time, and writes down what it was told.
pub(crate) type Workload = fn(&SimDisk, &mut Ledger);

/// How much was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Operations that the workload does.
    pub(crate) operations: u64,
    /// Disks that were judged after one crash.
    pub(crate) crashes: u64,
    /// Disks that were judged after a crash of the recovery too.
    pub(crate) again: u64,
}

/// How far a write gets before the power goes.
const REACHED: [usize; 4] = [0, 1, HALFWAY, usize::MAX];

/// The one of them after which the recovery is cut off too.
const HALFWAY: usize = 100;

fn disk(profile: Profile, bug: Option<Bug>) -> SimDisk {
    let disk = SimDisk::with_profile(profile);
    #[cfg(feature = "seeded-bugs")]
    if let Some(bug) = bug {
        disk.seed_bug(bug);
    }
    #[cfg(not(feature = "seeded-bugs"))]
    assert_eq!(bug, None, "bugs need their feature");
    disk
}

/// What may outlive a crash of this disk: everything, nothing, each change alone, all but each, and
/// some random parts.
fn survivals(disk: &SimDisk, seed: u64) -> Vec<Survive> {
    let mut survivals = vec![Survive::Everything, Survive::Nothing];
    for operation in disk.unsynced() {
        survivals.extend([Survive::Only(operation), Survive::AllBut(operation)]);
    }
    survivals.extend((0..3).map(|n| Survive::Some { seed: seed * 8 + n }));
    survivals
}

/// Runs the workload undisturbed, judges that, and says which of its operations are writes.
fn undisturbed(work: Workload, profile: Profile, bug: Option<Bug>) -> Result<Vec<bool>, String> {
    let disk = disk(profile, bug);
    let mut ledger = Ledger::default();
    work(&disk, &mut ledger);
    let history = disk.history().into_iter();
    let writes = history.map(|done| done.kind == Kind::Write).collect();
    let all = ledger.asked.len() as u64;
    assert_eq!(ledger.owed(), all, "undisturbed, everything is told");
    let after = disk.reboot(Survive::Nothing);
    judge(&after, &ledger).map_err(|broken| format!("undisturbed: {broken}"))?;
    Ok(writes)
}

/// Cuts the power at every operation of the workload, and again at every operation of the recovery.
/// Only the disk that promises least gets the second round: whatever the other does, it may do.
pub(crate) fn cuts(work: Workload, profile: Profile, bug: Option<Bug>) -> Result<Counted, String> {
    let writes = undisturbed(work, profile, bug)?;
    let mut counted = Counted {
        operations: writes.len() as u64,
        ..Counted::default()
    };
    for (operation, is_write) in (1..).zip(writes) {
        // Only a write can come halfway.
        let reached = if is_write { &REACHED[..] } else { &[HALFWAY] };
        for &written in reached {
            let disk = disk(profile, bug);
            disk.plan(operation, Fault::PowerOff { written });
            let mut ledger = Ledger::default();
            work(&disk, &mut ledger);
            for survive in survivals(&disk, operation) {
                let what = format!("cut at {operation}, {written} bytes, {survive:?}");
                judge(&disk.reboot(survive), &ledger)
                    .map_err(|broken| format!("{what}: {broken}"))?;
                counted.crashes += 1;
            }
            if written == HALFWAY && profile == Profile::Strict {
                let whole = Survive::Everything;
                let part = Survive::Some { seed: operation };
                for survive in [whole, Survive::Nothing, part] {
                    counted.again += recovery_cut(&disk, &ledger, survive, operation)?;
                }
            }
        }
    }
    Ok(counted)
}

/// Recovers, and works on; what was told meanwhile goes into the ledger.
fn recover(disk: &SimDisk, ledger: &mut Ledger) {
    if let Ok((store, _)) = open(disk) {
        ledger.settle(&store);
        ledger.put(&store, &[("again".to_owned(), "1".to_owned())]);
        ended(&store);
    }
}

fn recovery_cut(
    first: &SimDisk,
    ledger: &Ledger,
    survive: Survive,
    operation: u64,
) -> Result<u64, String> {
    let operations = {
        let disk = first.reboot(survive);
        recover(&disk, &mut ledger.clone());
        disk.operations()
    };
    let mut judged = 0;
    for second in 1..=operations {
        let disk = first.reboot(survive);
        disk.plan(second, Fault::PowerOff { written: 50 });
        let mut ledger = ledger.clone();
        recover(&disk, &mut ledger);
        let part = Survive::Some {
            seed: operation * 100 + second,
        };
        for again in [Survive::Nothing, part] {
            judge(&disk.reboot(again), &ledger).map_err(|broken| {
                format!("cut at {operation}, {survive:?}, then at {second}, {again:?}: {broken}")
            })?;
            judged += 1;
        }
    }
    Ok(judged)
}

/// Lets every operation fail in every way, then cuts the power.
pub(crate) fn errors(
    work: Workload,
    profile: Profile,
    bug: Option<Bug>,
) -> Result<Counted, String> {
    let writes = undisturbed(work, profile, bug)?;
    let mut counted = Counted {
        operations: writes.len() as u64,
        ..Counted::default()
    };
    let error = io::ErrorKind::Other;
    let short = |written| Fault::Short { written, error };
    let faults = [
        Fault::Error(error),
        Fault::DoneButFailed(error),
        short(1),
        short(150),
    ];
    for (operation, is_write) in (1..).zip(writes) {
        let possible = if is_write { &faults[..] } else { &faults[..2] };
        for &fault in possible {
            let disk = disk(profile, bug);
            disk.plan(operation, fault);
            let mut ledger = Ledger::default();
            work(&disk, &mut ledger);
            for survive in survivals(&disk, operation) {
                judge(&disk.reboot(survive), &ledger)
                    .map_err(|broken| format!("{fault:?} at {operation}, {survive:?}: {broken}"))?;
                counted.crashes += 1;
            }
        }
    }
    Ok(counted)
}

/// Kills the process at every operation, with or without an error of the disk before; the next one
/// of the same boot recovers, tells and is then cut off from its power. Some are killed too while
/// they recover, so that a third one tells what the first never synced.
pub(crate) fn kills(work: Workload, profile: Profile, bug: Option<Bug>) -> Result<Counted, String> {
    let writes = undisturbed(work, profile, bug)?;
    let mut counted = Counted {
        operations: writes.len() as u64,
        ..Counted::default()
    };
    let killed = Fault::PowerOff { written: 50 };
    for operation in 1..=counted.operations {
        for fault in [killed, Fault::Error(io::ErrorKind::Other)] {
            let disk = disk(profile, bug);
            disk.plan(operation, fault);
            let mut ledger = Ledger::default();
            work(&disk, &mut ledger);
            let recovery = {
                let disk = disk.next_process();
                recover(&disk, &mut ledger.clone());
                disk.operations()
            };
            // At 0 nothing has a number: the second process gets through.
            for second in 0..=recovery {
                let mut next = disk.next_process();
                let mut ledger = ledger.clone();
                next.plan(second, killed);
                recover(&next, &mut ledger);
                if second > 0 {
                    next = next.next_process();
                    recover(&next, &mut ledger);
                }
                let part = Survive::Some { seed: operation };
                for survive in [Survive::Nothing, part] {
                    judge(&next.reboot(survive), &ledger).map_err(|broken| {
                        format!(
                            "{fault:?} at {operation}, killed again at {second}, {survive:?}: \
                             {broken}"
                        )
                    })?;
                    counted.again += 1;
                }
            }
        }
    }
    Ok(counted)
}
