//! All segments front to back, every hash checked, and the verdict on what is not as written.
//!
//! A batch is only written after the one before it was synced, so an interrupted write can only
//! spoil the last batch. Therefore: an invalid last batch with nothing behind it is a torn tail;
//! anything else that is invalid is corruption. Commit and seal lines are looked for byte by byte
//! behind the damage, so that a damaged line end or commit line cannot make acknowledged batches
//! look like an unfinished one. Where batches were not synced one by one, a note beside the segments
//! says so, and everything from the first invalid byte of the last segment on is a torn tail. Nothing here changes a file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::frame::{COMMIT_MARK, CONTROL_LINE_MAX, Chain, Control, Header, HeaderError, SEAL_MARK};
use super::reader::{Located, Mark, Piece, Reader, Stop, content_end};
use super::record::{Malformed, push_u64};
use super::{Corruption, DIRECTORY, RELAXED, display_name, segment_first, segment_path};
use crate::Seq;
use crate::env::{Access, Disk, DiskFile};
use crate::seeded::{self, Bug};
use crate::snapshot::base::Anchor;

/// No segment gets that long, and places in one are kept in 32 bits.
const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;

/// What a walk meets, in order.
pub(crate) enum Found<'w> {
    /// The next segment begins; batches follow from the mark on.
    Segment(&'w Arc<dyn DiskFile>, Header, Mark),
    /// A record of a batch whose hash matched.
    Record(Located<'w>),
    /// The batch that the records since the last one made up.
    Batch { start: Mark, end: Mark },
    /// The segment's last valid line ends here.
    End(Mark),
}

/// How the last segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With the header.
    Empty,
    /// With a batch.
    Open,
    /// With a seal.
    Sealed,
    /// With bytes of a batch that never became whole, up to `end`.
    Torn { end: u64, reason: &'static str },
}

/// A journal without corruption.
pub(crate) struct Walked {
    /// The segment to go on in; `None` in an empty journal.
    pub(crate) last: Option<LastSegment>,
    /// The last record.
    pub(crate) seq: Seq,
    /// The chain up to it.
    pub(crate) chain: Chain,
}

impl Walked {
    /// Whether a segment begins behind `reached`, of which a snapshot was taken; of 0 none was.
    pub(crate) fn goes_past(&self, reached: Seq) -> bool {
        let last = self.last.as_ref();
        reached == Seq(0) || last.is_some_and(|last| last.header.first > reached)
    }
}

/// The segment that is written to.
pub(crate) struct LastSegment {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) header: Header,
    /// Past its last valid line.
    pub(crate) end: u64,
    /// Its length, what was preallocated included.
    pub(crate) size: u64,
    pub(crate) tail: Tail,
}

/// Why a journal could not be walked.
#[derive(Debug)]
pub(crate) enum WalkError {
    /// The subject, and the system's error.
    Io(String, io::Error),
    Corrupt(Corruption),
    /// The file and its format.
    Newer(String, u64),
}

/// Visits everything in the journal below `data` that lies behind `from`; segments before it may be
/// there or not. A visitor's objection is corruption.
pub(crate) fn walk(
    disk: &dyn Disk,
    data: &Path,
    from: Anchor,
    visit: &mut dyn FnMut(Found<'_>) -> Result<(), Malformed>,
) -> Result<Walked, WalkError> {
    let mut walked = Walked {
        last: None,
        seq: from.seq,
        chain: from.chain,
    };
    let mut segments = segments(disk, data)?;
    segments.retain(|first| *first > from.seq);
    let note = disk.open(&data.join(DIRECTORY).join(RELAXED), Access::Read);
    let end = match note {
        Ok(_) => Last::Relaxed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Last::SyncedByBatch,
        Err(error) => return Err(WalkError::Io(RELAXED.to_owned(), error)),
    };
    let last = segments.last().copied();
    for first in segments {
        let last = if last == Some(first) { end } else { Last::No };
        walk_segment(disk, data, first, last, &mut walked, visit)?;
    }
    Ok(walked)
}

/// Whether a segment is the last, and what a power cut can have done to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    /// Spoil the last batch.
    SyncedByBatch,
    /// Spoil any batch.
    Relaxed,
}

/// The first sequences of all segments, in order.
pub(crate) fn segments(disk: &dyn Disk, data: &Path) -> Result<Vec<Seq>, WalkError> {
    let names = disk
        .read_dir(&data.join(DIRECTORY))
        .map_err(|error| WalkError::Io(DIRECTORY.to_owned(), error))?;
    Ok(names
        .iter()
        .filter_map(|name| segment_first(name))
        .collect())
}

fn walk_segment(
    disk: &dyn Disk,
    data: &Path,
    first: Seq,
    last: Last,
    walked: &mut Walked,
    visit: &mut dyn FnMut(Found<'_>) -> Result<(), Malformed>,
) -> Result<(), WalkError> {
    let io_error = |error| WalkError::Io(display_name(first), error);
    let corrupt = |offset, last_good, reason: &str| {
        WalkError::Corrupt(Corruption {
            file: display_name(first),
            offset,
            last_good,
            reason: reason.to_owned(),
        })
    };
    let path = segment_path(data, first);
    let file: Arc<dyn DiskFile> = Arc::from(disk.open(&path, Access::Read).map_err(io_error)?);
    let end = content_end(&*file).map_err(io_error)?;
    if end > SEGMENT_BYTES_MAX {
        let reason = "the segment is longer than any that is written";
        return Err(corrupt(SEGMENT_BYTES_MAX, walked.seq, reason));
    }
    let (header, start) = match read_header(&*file).map_err(io_error)? {
        Ok(read) => read,
        Err(HeaderError::Newer(format)) => {
            return Err(WalkError::Newer(display_name(first), format));
        }
        Err(HeaderError::Malformed(reason)) => return Err(corrupt(0, walked.seq, reason.0)),
    };
    if header.first != first || header.previous != walked.chain || first.0 != walked.seq.0 + 1 {
        let reason = "the segment does not follow the one before it";
        return Err(corrupt(0, walked.seq, reason));
    }
    let start = Mark {
        offset: start,
        last: walked.seq,
        chain: walked.chain,
    };
    visit(Found::Segment(&file, header, start)).map_err(|error| corrupt(0, start.last, error.0))?;
    let mut reader = Reader::new(&*file, start, end);
    let mut tail = Tail::Empty;
    loop {
        let before = reader.position();
        let piece = match reader.next() {
            Ok(piece) => piece,
            Err(Stop::Io(error)) => return Err(io_error(error)),
            Err(Stop::Invalid(reason)) => {
                let torn = match last {
                    Last::No => false,
                    Last::Relaxed => true,
                    Last::SyncedByBatch => {
                        seeded::has(disk, Bug::CutAcknowledged)
                            || is_torn(&*file, before, end).map_err(io_error)?
                    }
                };
                if !torn {
                    return Err(corrupt(before.offset, before.last, reason));
                }
                tail = Tail::Torn { end, reason };
                break;
            }
        };
        match piece {
            Piece::End => break,
            Piece::Seal => tail = Tail::Sealed,
            Piece::Batch(batch) => {
                tail = Tail::Open;
                batch
                    .records()
                    .try_for_each(|record| visit(Found::Record(record?)))
                    .and_then(|()| {
                        let (start, end) = (batch.start, batch.end);
                        visit(Found::Batch { start, end })
                    })
                    .map_err(|error| corrupt(before.offset, before.last, error.0))?;
            }
        }
    }
    let reached = reader.position();
    if last == Last::No && tail != Tail::Sealed {
        return Err(corrupt(
            reached.offset,
            reached.last,
            "a segment that has a successor does not end with a seal",
        ));
    }
    visit(Found::End(reached)).map_err(|error| corrupt(reached.offset, reached.last, error.0))?;
    walked.seq = reached.last;
    walked.chain = reached.chain;
    walked.last = Some(LastSegment {
        size: file.size().map_err(io_error)?,
        file,
        header,
        end: reached.offset,
        tail,
    });
    Ok(())
}

/// The header, and where the first batch begins.
fn read_header(file: &dyn DiskFile) -> io::Result<Result<(Header, u64), HeaderError>> {
    let mut bytes = [0; CONTROL_LINE_MAX];
    let read = file.read_at(0, &mut bytes)?;
    let Some(end) = bytes[..read].iter().position(|&byte| byte == b'\n') else {
        return Ok(Err(Malformed("its header has no end").into()));
    };
    Ok(Header::decode(&bytes[..end]).map(|header| (header, end as u64 + 1)))
}

/// Whether the invalid bytes from `start` to `end` can be what an interrupted write left.
fn is_torn(file: &dyn DiskFile, start: Mark, end: u64) -> io::Result<bool> {
    let length = usize::try_from(end - start.offset).expect("a segment fits into memory");
    let mut bytes = vec![0; length];
    let read = file.read_at(start.offset, &mut bytes)?;
    bytes.truncate(read);
    let next = Seq(start.last.0 + 1);
    let mut sightings = sightings(&bytes);
    let last = |at: usize, length: usize| bytes.len() - at <= length;
    Ok(match (sightings.next(), sightings.next()) {
        (None, _) => true,
        // The sectors of an interrupted write may have arrived in any order, the commit line's
        // first. A whole batch behind something else is no such write: then a line before it,
        // which was synced, is damaged. Nor is a batch with something behind it, as that was
        // only begun when the batch was synced.
        (Some(Sighting { at, length, line }), None) => match line {
            Some(Control::Commit { first, chain, .. }) => {
                first == next && last(at, length + 1) && !holds_batch(&bytes[..at], start, chain)
            }
            // Right behind the last batch, whole but for its newline: it seals what is there.
            Some(Control::Seal { seq, chain }) => {
                at == 0 && (seq, chain) == (start.last, start.chain) && last(at, length + 1)
            }
            None => last(at, length),
        },
        _ => false,
    })
}

/// Whether records that make the stated chain end `bytes`, with something else before them.
/// Without it only the end of the commit line is missing, as an interrupted write may leave it.
fn holds_batch(bytes: &[u8], start: Mark, chain: Chain) -> bool {
    let mut opening = b"{\"seq\":".to_vec();
    push_u64(&mut opening, start.last.0 + 1);
    opening.push(b',');
    let found = bytes.windows(opening.len()).position(|at| at == opening);
    found.is_some_and(|at| at > 0 && start.chain.after(&bytes[at..]) == chain)
}

/// What begins like a commit or seal line.
struct Sighting {
    at: usize,
    /// Without its newline; of a line that cannot be read, the most it can have.
    length: usize,
    line: Option<Control>,
}

/// Everything in `bytes` that begins like a commit or seal line, wherever it stands.
fn sightings(bytes: &[u8]) -> impl Iterator<Item = Sighting> {
    let tabs = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\t');
    tabs.filter_map(|(at, _)| {
        let line = &bytes[at..];
        if !line.starts_with(COMMIT_MARK) && !line.starts_with(SEAL_MARK) {
            return None;
        }
        let line = &line[..line.len().min(CONTROL_LINE_MAX)];
        // Up to its own last brace: what follows may be damaged or a line end that is gone.
        let end = line.windows(2).position(|pair| pair == b"}}");
        let read = end.and_then(|end| Some((end + 2, Control::decode(&line[..end + 2]).ok()?)));
        let (length, line) = read.map_or((CONTROL_LINE_MAX, None), |(length, line)| {
            (length, Some(line))
        });
        Some(Sighting { at, length, line })
    })
}
