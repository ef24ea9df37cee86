//! From whatever the last process left to a journal that can be appended to.
//!
//! After a clean stop this only reads. Otherwise the open segment is written anew: after a failed
//! sync the page cache may show bytes that the disk never got, and only a fresh copy that was
//! synced is known to be there. A torn tail is kept aside and cut. Corruption stops recovery before
//! anything is changed. Every step may be interrupted and done again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ahead::PREPARED;
use super::frame::{Chain, Header, sha256_hex};
use super::reader::Mark;
use super::record::Malformed;
use super::walk::{Found, LastSegment, Tail, WalkError, segments, walk};
use super::writer::{Sizes, WriteError, Writer, at, begin};
use super::{DIRECTORY, TEMPORARY, behind, display_name, segment_path};
use crate::Seq;
use crate::env::{Access, Disk, DiskFile, replace_file};
use crate::seeded::{self, Bug};
use crate::snapshot::base::Anchor;

const COPY_CHUNK: usize = 1 << 20;

/// What a crash left of a batch that nobody was told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment, relative to the data directory.
    pub file: String,
    /// Where it was cut, in bytes from the file's start.
    pub offset: u64,
    /// How many bytes were cut.
    pub length: u64,
    /// Where they are kept, relative to the data directory.
    pub kept: String,
    /// Why they are no batch.
    pub reason: &'static str,
}

/// Why a journal cannot be appended to.
#[derive(Debug)]
pub(crate) enum RecoverError {
    Walk(WalkError),
    Write(WriteError),
}

impl From<WalkError> for RecoverError {
    fn from(error: WalkError) -> Self {
        Self::Walk(error)
    }
}

impl From<WriteError> for RecoverError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// A journal to go on with.
pub(crate) struct Recovered {
    pub(crate) writer: Writer,
    pub(crate) torn: Option<TornTail>,
    pub(crate) header: Header,
    /// The handle to read the open segment by.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Whether the process before stopped in order.
    pub(crate) clean: bool,
}

/// Recovers the journal below `data`, whose directory exists, from `from` on; it goes at least to
/// `reached`. `visit` sees every segment but gets the handle of the open one only in the answer,
/// as that may be replaced.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    data: &Path,
    sizes: Sizes,
    from: Anchor,
    reached: Seq,
    visit: &mut dyn FnMut(Found<'_>) -> Result<(), Malformed>,
) -> Result<Recovered, RecoverError> {
    if segments(&**disk, data)?.is_empty() && reached == Seq(0) {
        sweep(&**disk, data)?;
        let header = Header {
            epoch: 1,
            first: Seq(1),
            previous: Chain::GENESIS,
        };
        begin(&**disk, data, header, None)?;
    }
    let walked = walk(&**disk, data, from, visit)?;
    // A snapshot is taken where a segment ends, when the next one has begun.
    let Some(last) = walked.last.filter(|last| last.header.first > reached) else {
        return Err(WalkError::Corrupt(behind(walked.seq, reached)).into());
    };
    sweep(&**disk, data)?;
    let end = Mark {
        offset: last.end,
        last: walked.seq,
        chain: walked.chain,
    };
    let name = display_name(last.header.first);
    // A header is durable before its segment has a name.
    let durable = matches!(last.tail, Tail::Sealed | Tail::Empty);
    let clean = durable && last.size == last.end
        || last.tail == Tail::Open && seeded::has(&**disk, Bug::ForgetTailRewrite);
    let mut torn = None;
    let file: Arc<dyn DiskFile> = if clean {
        // Of a process that was killed it may only be the name that never was synced.
        let journal = data.join(DIRECTORY);
        disk.sync_dir(&journal).map_err(at("sync", DIRECTORY))?;
        let path = segment_path(data, last.header.first);
        let opened = disk.open(&path, Access::Write);
        Arc::from(opened.map_err(at("open", &name))?)
    } else {
        if let Tail::Torn { end, reason } = last.tail {
            torn = Some(keep_aside(&**disk, data, &last, end, reason)?);
        }
        Arc::from(rewrite(&**disk, data, &last)?)
    };
    let writer = Writer::resume(
        Arc::clone(disk),
        data,
        sizes,
        Arc::clone(&file),
        last.header,
        end,
        last.tail == Tail::Sealed,
    );
    Ok(Recovered {
        writer,
        torn,
        header: last.header,
        file,
        clean,
    })
}

/// Removes what an interrupted rotation or recovery left.
pub(crate) fn sweep(disk: &dyn Disk, data: &Path) -> Result<(), WriteError> {
    for name in [TEMPORARY, PREPARED] {
        match disk.remove(&data.join(DIRECTORY).join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("remove", &format!("{DIRECTORY}/{name}"))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keeps a durable copy of the torn bytes. The same bytes get the same name, so doing it again
/// after a crash keeps one copy.
fn keep_aside(
    disk: &dyn Disk,
    data: &Path,
    last: &LastSegment,
    end: u64,
    reason: &'static str,
) -> Result<TornTail, WriteError> {
    let segment = display_name(last.header.first);
    let length = usize::try_from(end - last.end).expect("a segment fits into memory");
    let mut bytes = vec![0; length];
    let read = last.file.read_at(last.end, &mut bytes);
    bytes.truncate(read.map_err(at("read", &segment))?);
    let digest = sha256_hex(&bytes);
    let name = format!(
        "torn-{:020}-{}-{}.bytes",
        last.header.first.0,
        last.end,
        &digest[..8]
    );
    let journal = data.join(DIRECTORY);
    let kept = format!("{DIRECTORY}/{name}");
    let temporary = journal.join(TEMPORARY);
    replace_file(disk, &journal.join(&name), &temporary, &bytes, true)
        .map_err(at("write", &kept))?;
    Ok(TornTail {
        file: segment,
        offset: last.end,
        length: bytes.len() as u64,
        kept,
        reason,
    })
}

/// Copies the valid part of the segment to a new file and puts that in its place.
fn rewrite(
    disk: &dyn Disk,
    data: &Path,
    last: &LastSegment,
) -> Result<Box<dyn DiskFile>, WriteError> {
    let name = display_name(last.header.first);
    let journal = data.join(DIRECTORY);
    let temporary = journal.join(TEMPORARY);
    let copy = disk.create_new(&temporary).map_err(at("copy", &name))?;
    let mut chunk = vec![0; COPY_CHUNK];
    let mut offset = 0;
    while offset < last.end {
        let left = usize::try_from(last.end - offset).unwrap_or(usize::MAX);
        let want = left.min(COPY_CHUNK);
        let read = last.file.read_at(offset, &mut chunk[..want]);
        let read = read.map_err(at("read", &name))?;
        if read == 0 {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(at("read", &name)(error));
        }
        copy.write_at(offset, &chunk[..read])
            .map_err(at("copy", &name))?;
        offset += read as u64;
    }
    copy.sync_all().map_err(at("sync", &name))?;
    disk.rename(&temporary, &segment_path(data, last.header.first))
        .map_err(at("replace", &name))?;
    disk.sync_dir(&journal).map_err(at("sync", DIRECTORY))?;
    Ok(copy)
}
