//! The journal: records in order, framed into batches, chained by hash, cut into segments.
//!
//! From the inside out: [`record`] is a record's line, [`frame`] the lines around a batch,
//! [`reader`] a segment's verified batches, [`walk`] all segments front to back and the verdict on
//! damage, [`writer`] the only thing that appends, [`recovery`] what happens before it may.
//! Nothing here knows what an event means, and nothing here waits for anybody: threads are the
//! backend's, but for the one that makes room for the next segment ([`ahead`]).

pub(crate) mod ahead;
pub(crate) mod frame;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod walk;
pub(crate) mod writer;

use std::path::{Path, PathBuf};

use crate::Seq;

/// The directory of the segments, below the data directory.
pub(crate) const DIRECTORY: &str = "journal";
/// What is being written and has no place yet; swept by recovery.
pub(crate) const TEMPORARY: &str = "next.tmp";

/// There while batches are not synced one by one: a power cut may then have spoiled any of the last
/// segment, and recovery cuts at the first that it did.
pub(crate) const RELAXED: &str = "unsynced";

/// Damage that is not a torn last batch. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{file}` is corrupt at byte {offset}, after sequence {last_good}: {reason}", last_good = .last_good.0)]
pub struct Corruption {
    /// The file, relative to the data directory.
    pub file: String,
    /// Where the first thing that is not as written begins, in bytes from the file's start.
    pub offset: u64,
    /// The last record before it.
    pub last_good: Seq,
    /// How it shows.
    pub reason: String,
}

/// The journal was longer once: it ends at `seq`, but a snapshot was taken of `reached`.
pub(crate) fn behind(seq: Seq, reached: Seq) -> Corruption {
    Corruption {
        file: display_name(Seq(seq.0 + 1)),
        offset: 0,
        last_good: seq,
        reason: format!(
            "it is missing: a snapshot was taken of sequence {}",
            reached.0
        ),
    }
}

/// A file's name: the sequence of its first record in 20 digits.
pub(crate) fn segment_name(first: Seq) -> String {
    format!("{:020}.jsonl", first.0)
}

/// The first sequence of the segment with this name, if it is one.
pub(crate) fn segment_first(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".jsonl")?;
    let first = Seq(digits.parse().ok()?);
    (segment_name(first) == name).then_some(first)
}

/// How messages name a segment: relative to the data directory.
pub(crate) fn display_name(first: Seq) -> String {
    format!("{DIRECTORY}/{}", segment_name(first))
}

pub(crate) fn segment_path(data: &Path, first: Seq) -> PathBuf {
    data.join(DIRECTORY).join(segment_name(first))
}
