//! The counter loop over a transaction: the power goes at every operation, and again at every
//! operation of every recovery. C5 is judged each time: whole or not at all, and nothing lies about.

use std::sync::atomic::{AtomicBool, Ordering};

use phisync_state::env::{Fault, SimDisk, Survive};
use phisync_state::transaction::Phase;

use super::world::{Stopped, World, after, disk, failed, files, id, transaction};

/// The order in which a transaction is driven, and a wrong one that the judge must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driven {
    Right,
    /// Names change before the decision is recorded.
    RenamedFirst,
}

/// Drives one transaction; whether its client was told that it happened.
fn work(disk: &SimDisk, driven: Driven) -> bool {
    let told = AtomicBool::new(false);
    let tell = || told.store(true, Ordering::Relaxed);
    let run = || -> Result<(), Stopped> {
        let world = World::open(disk)?;
        if driven == Driven::Right {
            world.run(&transaction(), tell)?;
            return Ok(());
        }
        let (mut state, decision) = world.prepare(&id(), &transaction(), || {})?;
        let mut ahead = state.clone();
        ahead.apply(&decision);
        world.workspace.advance(&ahead).map_err(failed)?;
        world.record(&mut state, &decision)?;
        tell();
        world.complete(&mut state)
    };
    // A cut ends it in the middle; what it came to is judged.
    drop(run());
    told.into_inner()
}

/// Recovers a disk and says which promise is broken, if one is.
fn judge(disk: &SimDisk, told: bool) -> Result<(), String> {
    let before = files(&super::world::disk());
    let world = World::open(disk).map_err(|error| format!("it does not open: {error:?}"))?;
    let phase = world.recover();
    let phase = phase.map_err(|error| format!("it does not recover: {error:?}"))?;
    let (expected, what) = match phase {
        Some(Phase::Swept) => (after(), "after"),
        None | Some(Phase::Aborted) if told => return Err("C1, it was told and is lost".to_owned()),
        None | Some(Phase::Aborted) => (before, "before"),
        other => return Err(format!("it ended as {other:?}")),
    };
    let found = files(disk);
    if found != expected {
        let names: Vec<_> = found.keys().collect();
        return Err(format!("C5, the trees are not as {what}: {names:?}"));
    }
    if disk
        .reboot(Survive::Nothing)
        .files_below("/".as_ref())
        .is_empty()
    {
        return Err("C1, nothing is durable".to_owned());
    }
    Ok(())
}

/// Cuts everywhere, twice; gives how many disks were judged after one cut and after two.
fn sweep(driven: Driven) -> Result<(u64, u64), String> {
    let operations = {
        let disk = disk();
        let start = disk.operations();
        assert!(work(&disk, driven), "undisturbed, it is told");
        judge(&disk.duplicate(), true)?;
        start + 1..=disk.operations()
    };
    let (mut once, mut twice) = (0, 0);
    for operation in operations {
        let cut = disk();
        cut.plan(operation, Fault::PowerOff { written: 3 });
        let told = work(&cut, driven);
        let seed = operation * 16;
        let some = (0..4).map(|n| Survive::Some { seed: seed + n });
        let survivals = [Survive::Everything, Survive::Nothing]
            .into_iter()
            .chain(some);
        for survive in survivals {
            let what = format!("cut at {operation}, {survive:?}");
            judge(&cut.reboot(survive), told).map_err(|broken| format!("{what}: {broken}"))?;
            once += 1;
        }
        for survive in [Survive::Everything, Survive::Some { seed }] {
            let recovery = {
                let disk = cut.reboot(survive);
                judge(&disk, told)?;
                disk.operations()
            };
            for second in 1..=recovery {
                let disk = cut.reboot(survive);
                disk.plan(second, Fault::PowerOff { written: 3 });
                // It is cut off on its way; only what it leaves counts.
                drop(World::open(&disk).and_then(|world| world.recover()));
                let seed = seed + second;
                for again in [Survive::Everything, Survive::Some { seed }] {
                    judge(&disk.reboot(again), told).map_err(|broken| {
                        format!("cut at {operation}, {survive:?}, at {second}, {again:?}: {broken}")
                    })?;
                    twice += 1;
                }
            }
        }
    }
    Ok((once, twice))
}

#[test]
fn a_transaction_survives_a_cut_at_every_operation_and_at_every_one_of_its_recovery() {
    let (once, twice) = sweep(Driven::Right).unwrap_or_else(|broken| panic!("{broken}"));
    println!("a transaction: {once} crashes, {twice} crashes of a recovery");
    assert!(once > 300 && twice > 5000, "{once}, {twice}");
}

#[test]
fn the_loop_finds_names_that_change_before_the_decision() {
    let broken = sweep(Driven::RenamedFirst).expect_err("it is found");
    assert!(broken.contains("C5"), "{broken}");
}

#[test]
fn a_failing_disk_leaves_a_transaction_that_the_next_start_completes() {
    let operations = {
        let disk = disk();
        work(&disk, Driven::Right);
        disk.operations()
    };
    for operation in disk().operations() + 1..=operations {
        for error in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::Other] {
            for fault in [Fault::Error(error), Fault::DoneButFailed(error)] {
                let failing = disk();
                failing.plan(operation, fault);
                let told = work(&failing, Driven::Right);
                judge(&failing.next_process(), told)
                    .unwrap_or_else(|broken| panic!("{fault:?} at {operation}: {broken}"));
            }
        }
    }
}
