//! Snapshots: every stream that is still wanted, as of one sequence; and archives of those that
//! are closed.
//!
//! A snapshot holds records, not folded state, so there is nothing in it that the journal did not
//! say: `snapshot + the journal behind it = the whole journal`, apart from closed streams and from
//! records that have outlived their use. It is taken
//! where a segment ends, while the writer goes on in the next. From the outside in: `fold` takes
//! one from a live store, `base` finds the one to start from, `archives` reads closed streams,
//! `prune` takes away what nothing needs any more, [`list`] looks without opening,
//! [`restore`] begins a new life of a damaged store; `layout`, `writer` and `reader` are the file format.
//!
//! What a stream means is unknown here: a [`Projection`] tells which are closed.

pub(crate) mod archives;
pub(crate) mod base;
pub(crate) mod fold;
mod layout;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod reader;
mod relief;
mod restore;
mod writer;

pub(crate) use layout::{fingerprint, fingerprints};

pub use archives::{ArchivedRow, Archives, GONE_MAX, Standing};
pub use base::DamagedSnapshot;
pub use fold::Taken;
pub use list::{SnapshotContent, SnapshotInfo, archive_fault, list};
pub use prune::Pruned;
pub use restore::{RestoreError, Restored, SEQ_GAP, restore};

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ReadError, Record, Seq, Timestamp, Unknown};

/// The directory of the snapshots, below the data directory.
pub const SNAPSHOT_DIRECTORY: &str = "state/snapshots";
/// The directory of the archives, below the data directory.
pub const ARCHIVE_DIRECTORY: &str = "archive";

const SUFFIX: &str = ".json.zst";

/// Says what a stream's records mean for keeping them.
pub trait Projection: Send + Sync {
    /// Whether a stream that ends with this record may be closed. Cheap: asked of every stream.
    fn may_be_closed(&self, last: &Record) -> bool;

    /// How a list shows a closed stream; `None` if these, all its records, do not close it.
    fn row(&self, records: &[Record]) -> Option<Row>;

    /// How many of these, the records of a stream that is not archived, nobody needs any more, from
    /// the first on. If all of them, the stream is forgotten, and one of its name begins anew.
    fn outlived(&self, records: &[Record]) -> usize;
}

/// A closed stream in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Lists are sorted by it, newest first.
    pub began: Timestamp,
    /// When it was closed: its age for retention.
    pub closed: Timestamp,
    /// A JSON text on one line; its meaning is the projection's.
    pub text: String,
}

/// One archive, as the snapshots that belong to it know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveInfo {
    /// Its file name in `archive/`.
    pub file: String,
    /// The hash in its trailer.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// How many closed streams it holds.
    pub streams: u64,
    /// And records.
    pub records: u64,
    /// When its oldest stream began, and its newest.
    pub began: (Timestamp, Timestamp),
    /// When the first of its streams was closed, and the last.
    pub closed: (Timestamp, Timestamp),
}

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// So many snapshots.
    pub snapshots: usize,
    /// Closed streams stay in snapshots until so many wait, or the first has waited a day.
    pub archive_from: usize,
    /// Archived streams are dropped when all of their archive were closed longer ago than this.
    pub closed_age: std::time::Duration,
    /// And the oldest archives when there are more archived streams than this.
    pub closed_count: u64,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            snapshots: 10,
            archive_from: 1000,
            closed_age: std::time::Duration::from_secs(30 * 86_400),
            closed_count: 1_000_000,
        }
    }
}

/// Why no snapshot was taken. The store goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk refuses.
    #[error("cannot {verb} `{file}`: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file, relative to the data directory.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// What was written does not read back as it should. It got no name.
    #[error("`{file}` does not read back: {reason}")]
    Unverified {
        /// The file, relative to the data directory.
        file: String,
        /// How it shows.
        reason: String,
    },
    /// A record that belongs into it cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A projection gave something that is not JSON.
    #[error("the row of stream `{stream}` is not JSON: {reason}")]
    Row {
        /// The stream.
        stream: String,
        /// The parser's words.
        reason: String,
    },
    /// Somebody put another file in the place of the directory's lock, and may be writing too.
    #[error("the lock file of the data directory is not the one that was locked")]
    LockLost,
    /// The store has stopped.
    #[error(transparent)]
    Closed(#[from] Unknown),
}

impl SnapshotError {
    fn io(verb: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io {
            verb,
            file: file.to_owned(),
            source,
        }
    }

    fn unverified(file: &str, reason: &str) -> Self {
        Self::Unverified {
            file: file.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// A snapshot's file name: the last sequence it reflects in 20 digits.
fn snapshot_name(seq: Seq) -> String {
    format!("snapshot-{:020}{SUFFIX}", seq.0)
}

/// The sequence of the snapshot with this name, if it is one.
fn snapshot_seq(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix("snapshot-")?.strip_suffix(SUFFIX)?;
    let seq = Seq(digits.parse().ok()?);
    (snapshot_name(seq) == name).then_some(seq)
}

fn snapshot_path(data: &Path, seq: Seq) -> PathBuf {
    data.join(SNAPSHOT_DIRECTORY).join(snapshot_name(seq))
}

/// How messages name a snapshot: relative to the data directory.
fn snapshot_shown(seq: Seq) -> String {
    format!("{SNAPSHOT_DIRECTORY}/{}", snapshot_name(seq))
}

/// The name of the `part`-th archive that was made together with a snapshot.
fn archive_name(seq: Seq, part: usize) -> String {
    format!("archive-{:020}-{part}{SUFFIX}", seq.0)
}

/// Whether a file in the archives' directory is one of ours.
fn is_archive(name: &str) -> bool {
    name.starts_with("archive-") && name.ends_with(SUFFIX)
}
