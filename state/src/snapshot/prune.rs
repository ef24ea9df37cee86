//! Takes away what nothing needs any more: old snapshots, the segments before them, dropped archives.
//!
//! A segment goes when two snapshots whose bytes were just checked lie behind it, so that damage
//! to the newest still leaves a way back. An archive goes when no snapshot that is kept tells of
//! it. Everything here may be interrupted anywhere: the next call goes on.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::base;
use super::{ARCHIVE_DIRECTORY, SNAPSHOT_DIRECTORY, SnapshotError, is_archive, snapshot_path};
use super::{snapshot_shown, writer};
use crate::Seq;
use crate::env::Disk;
use crate::journal::{DIRECTORY, display_name, segment_first, segment_path};
use crate::seeded::{self, Bug};

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Snapshots.
    pub snapshots: usize,
    /// Segments of the journal.
    pub segments: usize,
    /// Archives.
    pub archives: usize,
}

/// Keeps the newest `keep` snapshots and what they need.
pub(crate) fn prune(disk: &dyn Disk, data: &Path, keep: usize) -> Result<Pruned, SnapshotError> {
    let mut pruned = Pruned::default();
    let all = base::snapshots(disk, data)
        .map_err(|error| SnapshotError::io("list", SNAPSHOT_DIRECTORY, error))?;
    let (old, kept) = all.split_at(all.len().saturating_sub(keep.max(2)));

    // The second newest that is as written; with fewer than two the journal stays whole.
    let mut valid = Vec::new();
    let mut listed = BTreeSet::new();
    let mut unknown = false;
    for &seq in kept.iter().rev() {
        match base::open(disk, data, seq) {
            Ok(base) => {
                valid.push(seq);
                let archives = &base.pack.header().archives;
                listed.extend(archives.iter().map(|archive| archive.file.clone()));
            }
            // What it tells of is unknown, so no archive goes.
            Err(error) => {
                tracing::warn!(snapshot = snapshot_shown(seq), %error, "a snapshot is damaged");
                unknown = true;
            }
        }
    }
    let needed = usize::from(!seeded::has(disk, Bug::DropNeededSegment));
    let Some(&floor) = valid.get(needed) else {
        return Ok(pruned);
    };

    let snapshots = data.join(SNAPSHOT_DIRECTORY);
    for &seq in old {
        remove(disk, &snapshot_path(data, seq), &snapshot_shown(seq))?;
        pruned.snapshots += 1;
    }
    if pruned.snapshots > 0 {
        sync(disk, &snapshots, SNAPSHOT_DIRECTORY)?;
    }

    let journal = data.join(DIRECTORY);
    let names = list(disk, &journal, DIRECTORY)?;
    let firsts: Vec<_> = names
        .iter()
        .filter_map(|name| segment_first(name))
        .collect();
    for pair in firsts.windows(2) {
        let last = Seq(pair[1].0 - 1);
        if last > floor {
            break;
        }
        remove(disk, &segment_path(data, pair[0]), &display_name(pair[0]))?;
        // One after the other, oldest first: a crash leaves no hole.
        sync(disk, &journal, DIRECTORY)?;
        pruned.segments += 1;
    }

    if !unknown {
        let archives = data.join(ARCHIVE_DIRECTORY);
        for name in list(disk, &archives, ARCHIVE_DIRECTORY)? {
            if is_archive(&name) && !listed.contains(&name) {
                let shown = format!("{ARCHIVE_DIRECTORY}/{name}");
                remove(disk, &archives.join(&name), &shown)?;
                pruned.archives += 1;
            }
        }
    }
    Ok(pruned)
}

/// Removes what an interrupted snapshot left.
pub(crate) fn sweep(disk: &dyn Disk, data: &Path) -> io::Result<()> {
    for directory in [SNAPSHOT_DIRECTORY, ARCHIVE_DIRECTORY] {
        match disk.remove(&data.join(directory).join(writer::TEMPORARY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn list(disk: &dyn Disk, directory: &Path, shown: &str) -> Result<Vec<String>, SnapshotError> {
    match disk.read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| SnapshotError::io("list", shown, error)),
    }
}

fn remove(disk: &dyn Disk, path: &Path, shown: &str) -> Result<(), SnapshotError> {
    disk.remove(path)
        .map_err(|error| SnapshotError::io("remove", shown, error))
}

fn sync(disk: &dyn Disk, directory: &Path, shown: &str) -> Result<(), SnapshotError> {
    disk.sync_dir(directory)
        .map_err(|error| SnapshotError::io("sync", shown, error))
}
