//! Which snapshot a store starts from.
//!
//! The newest whose bytes are as written; the journal must go on exactly where it ends. A
//! snapshot that is damaged is passed over, as the one before it needs a longer part of the
//! journal and nothing else. Nothing here changes a file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::layout::Kind;
use super::reader::{Entries, Pack, PackError};
use super::{SNAPSHOT_DIRECTORY, snapshot_path, snapshot_seq, snapshot_shown};
use crate::Seq;
use crate::env::Disk;
use crate::journal::frame::Chain;

/// Where the journal is read from: what lies before it is in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) epoch: u64,
    pub(crate) seq: Seq,
    pub(crate) chain: Chain,
}

impl Anchor {
    /// Before the first record.
    pub(crate) const START: Self = Self {
        epoch: 1,
        seq: Seq(0),
        chain: Chain::GENESIS,
    };
}

/// A snapshot whose bytes are as written.
pub(crate) struct Base {
    pub(crate) pack: Arc<Pack>,
    pub(crate) entries: Entries,
    pub(crate) anchor: Anchor,
}

/// A snapshot that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedSnapshot {
    /// The file, relative to the data directory.
    pub file: String,
    /// How it shows.
    pub reason: String,
}

/// What lies in the snapshots' directory.
pub(crate) struct Found {
    /// The newest that is as written.
    pub(crate) base: Option<Base>,
    /// Those newer than it, which are not.
    pub(crate) damaged: Vec<DamagedSnapshot>,
    /// The journal went at least so far: a snapshot is only taken of what is durable.
    pub(crate) reached: Seq,
}

/// Why the snapshots cannot be looked at: the file and the reason.
#[derive(Debug)]
pub(crate) enum BaseError {
    Io(String, io::Error),
    Newer(String, u64),
}

/// Looks for the newest snapshot that is as written.
pub(crate) fn find(disk: &dyn Disk, data: &Path) -> Result<Found, BaseError> {
    let all = snapshots(disk, data);
    let mut all = all.map_err(|error| BaseError::Io(SNAPSHOT_DIRECTORY.to_owned(), error))?;
    let reached = all.last().copied().unwrap_or_default();
    let mut damaged = Vec::new();
    while let Some(seq) = all.pop() {
        match open(disk, data, seq) {
            Ok(base) => {
                return Ok(Found {
                    base: Some(base),
                    damaged,
                    reached,
                });
            }
            Err(PackError::Io(error)) => return Err(BaseError::Io(snapshot_shown(seq), error)),
            Err(PackError::Newer(format)) => {
                return Err(BaseError::Newer(snapshot_shown(seq), format));
            }
            Err(PackError::Damaged(reason)) => damaged.push(DamagedSnapshot {
                file: snapshot_shown(seq),
                reason: reason.to_owned(),
            }),
        }
    }
    Ok(Found {
        base: None,
        damaged,
        reached,
    })
}

/// The sequences of all snapshots by their names, in order.
pub(crate) fn snapshots(disk: &dyn Disk, data: &Path) -> io::Result<Vec<Seq>> {
    match disk.read_dir(&data.join(SNAPSHOT_DIRECTORY)) {
        Ok(names) => Ok(names.iter().filter_map(|name| snapshot_seq(name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Opens the snapshot of `seq` and checks all its bytes.
pub(crate) fn open(disk: &dyn Disk, data: &Path, seq: Seq) -> Result<Base, PackError> {
    let name = snapshot_shown(seq);
    let (pack, entries) = Pack::open(disk, &snapshot_path(data, seq), &name)?;
    pack.verify_whole()?;
    let header = pack.header();
    if header.kind != Kind::Snapshot || header.seq != seq {
        return Err(PackError::Damaged("it is another file under this name"));
    }
    let chain = header.chain();
    let anchor = Anchor {
        epoch: header.epoch,
        seq,
        chain: chain.map_err(|error| PackError::Damaged(error.0))?,
    };
    Ok(Base {
        pack: Arc::new(pack),
        entries,
        anchor,
    })
}
