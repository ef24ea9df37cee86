//! Looking at a data directory without changing it.
//!
//! No lock is taken, so a running server may be looked at: its newest batch can then show as a
//! torn tail. Everything is verified that can be: segments, batches, chain, seals, views.

use std::io;
use std::path::Path;

use crate::backend::order::Order;
use crate::env::{Disk, read_all};
use crate::journal::frame::Chain;
use crate::journal::walk::{Found, Tail, WalkError, walk};
use crate::journal::{Corruption, display_name};
use crate::view::{self, VIEW_DIRECTORY, ViewDamage};
use crate::{Head, Record, Seq};

/// The longest view that is looked into, in bytes.
const VIEW_BYTES_MAX: u64 = 256 << 20;

/// What a check of a data directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsckReport {
    /// The last record that is as written. Up to corruption, if there is some.
    pub head: Head,
    /// Which life of the store this is.
    pub epoch: u64,
    /// How many segments there are.
    pub segments: u64,
    /// How the journal ends.
    pub end: JournalEnd,
    /// How the witness compares, if one was given.
    pub witness: Option<Witness>,
    /// Views that are not as written, by file name, relative to the data directory.
    pub views: Vec<(String, ViewFault)>,
    /// How many views are as written.
    pub good_views: u64,
}

impl FsckReport {
    /// Whether the journal is as written and not behind the witness. Views are caches and a torn
    /// tail is what a crash leaves: neither counts.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let witnessed = self.witness.as_ref().is_none_or(|w| *w == Witness::Matches);
        !matches!(self.end, JournalEnd::Corrupt(_)) && witnessed
    }
}

/// How a journal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEnd {
    /// With a seal, or without any record: damage to its last batch would show.
    Sealed,
    /// With a batch that no seal covers: the server runs, or was killed.
    Open,
    /// With an unfinished batch, which opening the store will cut.
    Torn {
        /// The segment, relative to the data directory.
        file: String,
        /// Where the unfinished batch begins.
        offset: u64,
        /// Why it is no batch.
        reason: &'static str,
    },
    /// It is not what was written.
    Corrupt(Corruption),
}

/// A journal held against a head that somebody saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The journal went through that head.
    Matches,
    /// The journal ends before it: something was taken away.
    Behind,
    /// The journal went through that sequence with other content.
    Differs,
}

/// What is wrong with a view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewFault {
    /// It is not as written.
    #[error(transparent)]
    Damaged(#[from] ViewDamage),
    /// It reflects a record that the journal does not have.
    #[error("it reflects sequence {}, which the journal does not have", .0.0)]
    Ahead(Seq),
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(String),
}

/// Why a data directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The system does not let us.
    #[error("cannot read `{file}`: {source}")]
    Io {
        /// The file, relative to the data directory.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// It is not what was written; only [`dump`] fails with it.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A newer program wrote it.
    #[error("`{file}` has format {format}, which needs a newer program")]
    Newer {
        /// The file, relative to the data directory.
        file: String,
        /// Its format.
        format: u64,
    },
}

impl From<WalkError> for FsckError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Io(file, source) => Self::Io { file, source },
            WalkError::Corrupt(corruption) => Self::Corrupt(corruption),
            WalkError::Newer(file, format) => Self::Newer { file, format },
        }
    }
}

/// Verifies the data directory `data`, and that it went through `expected` if that is given.
///
/// # Errors
/// See [`FsckError`]; corruption is part of the report.
pub fn fsck(
    disk: &dyn Disk,
    data: &Path,
    expected: Option<&Head>,
) -> Result<FsckReport, FsckError> {
    let (mut seq, mut chain) = (Seq(0), Chain::GENESIS);
    let (mut epoch, mut segments) = (1, 0);
    let witnessed = |seq| expected.is_some_and(|expected| expected.seq == seq);
    let mut passed = witnessed(seq).then_some(chain);
    let mut order = Order::new();
    let walked = walk(disk, data, &mut |found| {
        match found {
            Found::Segment(_, header, _) => {
                segments += 1;
                epoch = header.epoch;
            }
            Found::Record(record) => {
                order.restore(record.line)?;
            }
            Found::Batch { end, .. } => {
                (seq, chain) = (end.last, end.chain);
                if witnessed(seq) {
                    passed = Some(chain);
                }
            }
            Found::End(_) => {}
        }
        Ok(())
    });
    let end = match walked {
        Err(WalkError::Corrupt(corruption)) => JournalEnd::Corrupt(corruption),
        Err(other) => return Err(other.into()),
        Ok(walked) => walked
            .last
            .map_or(JournalEnd::Sealed, |last| match last.tail {
                Tail::Sealed | Tail::Empty => JournalEnd::Sealed,
                Tail::Open => JournalEnd::Open,
                Tail::Torn { reason, .. } => JournalEnd::Torn {
                    file: display_name(last.header.first),
                    offset: last.end,
                    reason,
                },
            }),
    };
    let witness = expected.map(|expected| match passed {
        Some(passed) if passed.to_hex() == *expected.hash => Witness::Matches,
        None if expected.seq > seq => Witness::Behind,
        // A head is always the end of a batch, so one inside a batch never was one.
        Some(_) | None => Witness::Differs,
    });
    let (good_views, views) = check_views(disk, data, seq)?;
    Ok(FsckReport {
        head: chain.head(seq),
        epoch,
        segments,
        end,
        witness,
        views,
        good_views,
    })
}

fn check_views(
    disk: &dyn Disk,
    data: &Path,
    head: Seq,
) -> Result<(u64, Vec<(String, ViewFault)>), FsckError> {
    let directory = data.join(VIEW_DIRECTORY);
    let names = match disk.read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|source| FsckError::Io {
            file: VIEW_DIRECTORY.to_owned(),
            source,
        })?,
    };
    let (mut good, mut faults) = (0, Vec::new());
    for name in names.iter().filter(|name| name.ends_with(".json")) {
        match check_view(disk, &directory.join(name), head) {
            Ok(()) => good += 1,
            Err(fault) => faults.push((format!("{VIEW_DIRECTORY}/{name}"), fault)),
        }
    }
    Ok((good, faults))
}

fn check_view(disk: &dyn Disk, path: &Path, head: Seq) -> Result<(), ViewFault> {
    let bytes = read_all(disk, path, VIEW_BYTES_MAX)
        .map_err(|error| ViewFault::Unreadable(error.to_string()))?;
    let info = view::check(&bytes)?;
    if info.seq > head {
        return Err(ViewFault::Ahead(info.seq));
    }
    Ok(())
}

/// Visits every record of the journal in order and gives the head after the last. The same journal
/// always gives the same visits; a torn tail is left out.
///
/// # Errors
/// See [`FsckError`]. What was visited before was as written.
pub fn dump(
    disk: &dyn Disk,
    data: &Path,
    visit: &mut dyn FnMut(Record),
) -> Result<Head, FsckError> {
    let walked = walk(disk, data, &mut |found| {
        if let Found::Record(record) = found {
            visit(record.line.to_record());
        }
        Ok(())
    })?;
    Ok(walked.chain.head(walked.seq))
}
