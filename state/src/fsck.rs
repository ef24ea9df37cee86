//! Looking at a data directory without changing it.
//!
//! No lock is taken, so a running server may be looked at: its newest batch can then show as a
//! torn tail. Everything is verified that can be: segments, batches, chain, seals, views.

use std::io;
use std::path::Path;

use crate::env::{Disk, read_all};
use crate::journal::walk::{Found, Tail, WalkError, walk};
use crate::journal::{Corruption, behind, display_name};
use crate::snapshot::list::Start;
use crate::snapshot::{self, SnapshotInfo};
use crate::view::{self, DOCUMENT_DIRECTORY, VIEW_DIRECTORY, ViewDamage};
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
    /// The snapshots, oldest first.
    pub snapshots: Vec<SnapshotInfo>,
    /// How many archives the newest of them tells of.
    pub archives: u64,
    /// Those that are not as they were made, by file name, and why.
    pub damaged_archives: Vec<(String, String)>,
}

impl FsckReport {
    /// Whether the journal is as written and not behind the witness. Views are caches and a torn
    /// tail is what a crash leaves: neither counts.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let witnessed = match self.witness {
            None | Some(Witness::Matches | Witness::Compacted) => true,
            Some(Witness::Behind | Witness::Differs) => false,
        };
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
    /// The journal begins behind it, and no snapshot was taken there: nobody can tell any more.
    Compacted,
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
    let start = Start::of_check(disk, data)?;
    let (anchor, mut order, reached) = (start.anchor(), start.order(), start.reached);
    let (mut seq, mut chain) = (anchor.seq, anchor.chain);
    let (mut epoch, mut segments) = (anchor.epoch, 0);
    let witnessed = |seq| expected.is_some_and(|expected| expected.seq == seq);
    let mut passed = witnessed(seq).then_some(chain);
    let walked = walk(disk, data, anchor, &mut |found| {
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
        Ok(walked) if !walked.goes_past(reached) => {
            JournalEnd::Corrupt(behind(walked.seq, reached))
        }
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
    let snapshots = snapshot::list(disk, data).map_err(|source| FsckError::Io {
        file: snapshot::SNAPSHOT_DIRECTORY.to_owned(),
        source,
    })?;
    let newest = snapshots
        .iter()
        .rev()
        .find_map(|info| info.content.as_ref().ok());
    let archives = newest.map_or(&[][..], |newest| &newest.archives);
    let damaged_archives: Vec<_> = archives
        .iter()
        .filter_map(|archive| {
            let fault = snapshot::archive_fault(disk, data, archive)?;
            Some((archive.file.clone(), fault))
        })
        .collect();
    let archives = archives.len() as u64;
    let taken = |seq| {
        let at = snapshots.iter().find(|info| info.seq == seq)?;
        Some(at.content.as_ref().ok()?.hash.clone())
    };
    let witness = expected.map(|expected| match passed {
        None if expected.seq < anchor.seq => match taken(expected.seq) {
            Some(hash) if hash == *expected.hash => Witness::Matches,
            Some(_) => Witness::Differs,
            None => Witness::Compacted,
        },
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
        snapshots,
        archives,
        damaged_archives,
    })
}

/// Looks at all views below `data`, of a store whose last record is `head`: how many are as written,
/// and those that are not, by file name relative to the data directory.
///
/// # Errors
/// [`FsckError::Io`] if their directory cannot be read.
pub fn check_views(
    disk: &dyn Disk,
    data: &Path,
    head: Seq,
) -> Result<(u64, Vec<(String, ViewFault)>), FsckError> {
    let (mut good, mut faults) = (0, Vec::new());
    for shown in [VIEW_DIRECTORY, DOCUMENT_DIRECTORY] {
        let directory = data.join(shown);
        let names = match disk.read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| FsckError::Io {
                file: shown.to_owned(),
                source,
            })?,
        };
        for name in names.iter().filter(|name| name.ends_with(".json")) {
            match check_view(disk, &directory.join(name), head) {
                Ok(()) => good += 1,
                Err(fault) => faults.push((format!("{shown}/{name}"), fault)),
            }
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

/// Visits every record in order and gives the head after the last: the whole journal, or, if its
/// beginning is compacted, the newest snapshot and what follows. The same store always gives the
/// same visits; a torn tail is left out, and so is what is in archives only.
///
/// # Errors
/// See [`FsckError`]. What was visited before was as written.
pub fn dump(
    disk: &dyn Disk,
    data: &Path,
    visit: &mut dyn FnMut(Record),
) -> Result<Head, FsckError> {
    let start = Start::of_dump(disk, data)?;
    start.records(visit)?;
    let walked = walk(disk, data, start.anchor(), &mut |found| {
        if let Found::Record(record) = found {
            visit(record.line.to_record());
        }
        Ok(())
    })?;
    if !walked.goes_past(start.reached) {
        return Err(behind(walked.seq, start.reached).into());
    }
    Ok(walked.chain.head(walked.seq))
}
