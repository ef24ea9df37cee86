//! Looks at snapshots and archives without opening the store: for lists, `fsck` and `doctor`.

use std::path::Path;

use super::base::{self, Anchor, Base, BaseError};
use super::layout::{Kind, fingerprints};
use super::reader::{Pack, PackError};
use super::{ARCHIVE_DIRECTORY, ArchiveInfo, snapshot_path, snapshot_shown};
use crate::backend::order::Order;
use crate::env::Disk;
use crate::journal::Corruption;
use crate::journal::walk::{WalkError, segments};
use crate::{Record, Seq, StreamName};

/// A snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The file, relative to the data directory.
    pub file: String,
    /// The last record it reflects.
    pub seq: Seq,
    /// What it holds; or why it cannot be used.
    pub content: Result<SnapshotContent, String>,
}

/// What a snapshot that is as written says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotContent {
    /// The chain hash at its sequence.
    pub hash: String,
    /// Which life of the store it was taken in.
    pub epoch: u64,
    /// Its bytes.
    pub size: u64,
    /// How many streams it holds.
    pub streams: u64,
    /// And records.
    pub records: u64,
    /// The archives that belong to it, oldest first.
    pub archives: Vec<ArchiveInfo>,
}

/// All snapshots, oldest first, every byte of each checked.
///
/// # Errors
/// The system's, if they cannot be listed.
pub fn list(disk: &dyn Disk, data: &Path) -> std::io::Result<Vec<SnapshotInfo>> {
    let all = base::snapshots(disk, data)?;
    let infos = all.into_iter().map(|seq| SnapshotInfo {
        file: snapshot_shown(seq),
        seq,
        content: content(disk, data, seq).map_err(|error| error.to_string()),
    });
    Ok(infos.collect())
}

fn content(disk: &dyn Disk, data: &Path, seq: Seq) -> Result<SnapshotContent, PackError> {
    let (pack, _) = Pack::open(disk, &snapshot_path(data, seq), &snapshot_shown(seq))?;
    pack.verify_whole()?;
    let header = pack.header();
    if header.kind != Kind::Snapshot || header.seq != seq {
        return Err(PackError::Damaged("it is another file under this name"));
    }
    Ok(SnapshotContent {
        hash: header.hash.clone(),
        epoch: header.epoch,
        size: pack.size(),
        streams: header.streams,
        records: header.records,
        archives: header.archives.clone(),
    })
}

/// Why an archive is not as it was made, if it is not.
#[must_use]
pub fn archive_fault(disk: &dyn Disk, data: &Path, archive: &ArchiveInfo) -> Option<String> {
    let path = data.join(ARCHIVE_DIRECTORY).join(&archive.file);
    let checked = Pack::open(disk, &path, &archive.file).and_then(|(pack, entries)| {
        pack.verify_whole()?;
        pack.verify_content(&entries)?;
        if pack.sha256() == archive.sha256 {
            Ok(())
        } else {
            Err(PackError::Damaged("it is not the archive that was made"))
        }
    });
    checked.err().map(|error| error.to_string())
}

/// Where reading the journal begins.
pub(crate) struct Start {
    /// The snapshot before it; none if the journal is there from its first record.
    pub(crate) base: Option<Base>,
    /// How far the journal goes at least.
    pub(crate) reached: Seq,
}

impl Start {
    /// To check as much as can be checked: at the first segment if a snapshot ends there, else
    /// at the newest snapshot.
    pub(crate) fn of_check(disk: &dyn Disk, data: &Path) -> Result<Self, WalkError> {
        let mut start = Self::of_dump(disk, data)?;
        let first = first_segment(disk, data)?;
        if let Some(before) = first.0.checked_sub(1).filter(|before| *before > 0) {
            // Another one does as well, and a damaged one is told by whoever lists them.
            start.base = base::open(disk, data, Seq(before)).ok().or(start.base);
        }
        Ok(start)
    }

    /// To read as a store does that opens: at the newest snapshot, unless the journal is whole.
    pub(crate) fn of_dump(disk: &dyn Disk, data: &Path) -> Result<Self, WalkError> {
        let found = base::find(disk, data)?;
        let whole = first_segment(disk, data)? == Seq(1);
        Ok(Self {
            base: found.base.filter(|_| !whole),
            reached: found.reached,
        })
    }

    pub(crate) fn anchor(&self) -> Anchor {
        let base = self.base.as_ref();
        base.map_or(Anchor::START, |base| base.anchor)
    }

    /// The versions that streams have there.
    pub(crate) fn order(&self) -> Order {
        let mut order = Order::new();
        if let Some(base) = &self.base {
            for entry in base.entries.iter().flatten() {
                order.restore_stream(StreamName::new(&entry.stream), entry.version);
            }
            let header = base.pack.header();
            let forgotten = fingerprints(&header.forgotten);
            order.restore_point(base.anchor.seq, header.at, forgotten);
        }
        order
    }

    /// Visits the records before it, in order of sequence.
    pub(crate) fn records(&self, visit: &mut dyn FnMut(Record)) -> Result<(), WalkError> {
        let Some(base) = &self.base else {
            return Ok(());
        };
        let mut records = Vec::new();
        let read = base.pack.visit(base.pack.everything(), &mut |line| {
            records.push(line.to_record());
        });
        read.map_err(|error| {
            WalkError::Corrupt(Corruption {
                file: base.pack.name().to_owned(),
                offset: 0,
                last_good: Seq(0),
                reason: error.to_string(),
            })
        })?;
        records.sort_unstable_by_key(|record| record.seq);
        records.into_iter().for_each(visit);
        Ok(())
    }
}

/// The first record that the journal has; 0 if there is no segment.
fn first_segment(disk: &dyn Disk, data: &Path) -> Result<Seq, WalkError> {
    Ok(segments(disk, data)?.first().copied().unwrap_or_default())
}

impl From<BaseError> for WalkError {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Io(file, error) => Self::Io(file, error),
            BaseError::Newer(file, format) => Self::Newer(file, format),
        }
    }
}
