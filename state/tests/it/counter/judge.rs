//! The one judge: the contract, held against a disk that a crash left.

use std::collections::BTreeMap;
use std::path::Path;

use phisync_state::env::{Disk as _, SimDisk, Survive};
use phisync_state::{FileStore, OpenError, Seq, Store as _, StreamName, Witness, fsck};

use super::Ledger;
use super::ledger::Event;
use crate::support::{DATA, event, everything, open};

/// Says which promise is broken, if one is. The disk is used up.
pub(crate) fn judge(disk: &SimDisk, ledger: &Ledger) -> Result<(), String> {
    verified(disk, ledger)?;
    let (store, _) = open(disk).map_err(|error| format!("C9, it does not open: {error}"))?;
    let found = recovered(&store, ledger)?;
    alone(disk)?;
    swept(disk)?;
    goes_on(disk, store, found)
}

/// C1, C4, C7: before anything is repaired, the journal went through what was told.
fn verified(disk: &SimDisk, ledger: &Ledger) -> Result<(), String> {
    let Some(told) = ledger.told.as_ref().filter(|told| told.seq > Seq(0)) else {
        return Ok(());
    };
    let before = disk.operations();
    let report = fsck(disk, Path::new(DATA), Some(told));
    let report = report.map_err(|error| format!("C7, it cannot be looked at: {error}"))?;
    if report.witness != Some(Witness::Matches) {
        return Err(format!("C1, {told} was told: {report:?}"));
    }
    if disk.operations() != before {
        return Err("C7, looking changed something".to_owned());
    }
    Ok(())
}

/// C1, C2, C4, C5: what is there is a prefix of what was asked for, in whole batches, with all that
/// anybody knows of.
fn recovered(store: &FileStore, ledger: &Ledger) -> Result<u64, String> {
    let records = everything(store);
    let found = records.len() as u64;
    if found < ledger.owed() {
        return Err(format!("C1, {} were told, {found} are left", ledger.owed()));
    }
    let events = records
        .iter()
        .map(|record| (record.stream.to_string(), record.event.clone()));
    let events: Vec<Event> = events.collect();
    if !ledger.asked.starts_with(&events) {
        return Err(format!("C4, {found} records are no prefix"));
    }
    if let Some(refused) = ledger.refused.iter().find(|event| events.contains(event)) {
        return Err(format!("C2, it was refused: {refused:?}"));
    }
    if found > 0 && !ledger.ends.contains(&found) {
        return Err(format!("C5, {found} records end inside a batch"));
    }
    let mut versions: BTreeMap<StreamName, u64> = BTreeMap::new();
    for record in &records {
        *versions.entry(record.stream.clone()).or_default() += 1;
        if record.version != versions[&record.stream] {
            return Err(format!("C4, a version is out of order: {record:?}"));
        }
    }
    for (stream, version) in versions {
        if store.version(&stream) != version {
            return Err(format!("C4, `{stream}` has another version"));
        }
    }
    if store.head().seq != Seq(found) {
        return Err(format!("C4, the head is {}", store.head()));
    }
    Ok(found)
}

/// C8.
fn alone(disk: &SimDisk) -> Result<(), String> {
    match open(disk).map(drop) {
        Err(OpenError::Held { .. }) => Ok(()),
        other => Err(format!("C8, a second one got: {other:?}")),
    }
}

/// Nothing is left that was on its way to a name.
fn swept(disk: &SimDisk) -> Result<(), String> {
    let names = disk.read_dir(&Path::new(DATA).join("journal"));
    let names = names.map_err(|error| error.to_string())?;
    match names.iter().find(|name| name.ends_with(".tmp")) {
        Some(left) => Err(format!("F1, `{left}` is left")),
        None => Ok(()),
    }
}

/// C1 and C9 again, after recovery: what is told now is as durable as anything.
fn goes_on(disk: &SimDisk, store: FileStore, found: u64) -> Result<(), String> {
    let seq = store.append(phisync_state::Timestamp::from_micros(0), event("new", "1"));
    let seq = seq.map_err(|error| format!("C9, it takes nothing: {error}"))?;
    let head = crate::support::durable(&store, seq.last);
    let head = head.map_err(|error| format!("C9, nothing becomes durable: {error}"))?;
    let disk = disk.reboot(Survive::Nothing);
    drop(store);
    let (store, _) = open(&disk).map_err(|error| format!("C9, not a second time: {error}"))?;
    if store.head() != head || head.seq != Seq(found + 1) {
        let now = store.head();
        return Err(format!("C1, {head} was told after recovery, {now} is left"));
    }
    drop(store);
    let report = fsck(&disk, Path::new(DATA), Some(&head)).map_err(|error| error.to_string())?;
    match report.is_sound() {
        true => Ok(()),
        false => Err(format!("C7, recovery left: {report:?}")),
    }
}
