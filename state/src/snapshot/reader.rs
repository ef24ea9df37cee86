//! Reads packs: the whole of one, or one stream of it.
//!
//! Opening reads trailer and directory. The hash over the whole file is checked by
//! [`Pack::verify_whole`], which whoever relies on a pack calls first; an archive, on which nothing
//! relies but its own streams, is checked by `fsck`. Frames are decoded into exactly the room
//! that the directory states, so a file cannot ask for more memory than it admits to.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ruzstd::decoding::FrameDecoder;
use sha2::{Digest as _, Sha256};

use super::layout::{Entry, FORMAT, FRAME_BYTES_MAX, Header, LayoutError, TRAILER_BYTES, Trailer};
use crate::env::{Access, Disk, DiskFile};
use crate::journal::record::{self, Line};
use crate::{ReadError, Record};

const CHUNK: usize = 1 << 20;

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(&'static str),
    #[error("it has format {0}, which needs a newer program")]
    Newer(u64),
}

impl From<LayoutError> for PackError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Damaged(reason) => Self::Damaged(reason),
            LayoutError::Newer(format) => Self::Newer(format),
        }
    }
}

/// Where a stream's records begin in a pack, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) frame: u32,
    pub(crate) offset: u32,
    pub(crate) records: u64,
}

impl Entry<'_> {
    pub(crate) fn span(&self) -> Span {
        Span {
            frame: self.frame,
            offset: self.offset,
            records: self.records,
        }
    }
}

/// The decoded directory of a pack, its header left out.
pub(crate) struct Entries {
    text: String,
    start: usize,
}

impl Entries {
    /// One after the other, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Entry<'_>, PackError>> {
        self.text[self.start..].lines().map(|line| {
            serde_json::from_str(line)
                .map_err(|_| PackError::Damaged("a line of its directory is none"))
        })
    }
}

/// An open pack.
pub(crate) struct Pack {
    name: Arc<str>,
    file: Arc<dyn DiskFile>,
    header: Header,
    trailer: Trailer,
    size: u64,
    /// The frame that was read last: streams are read one after the other.
    recent: Mutex<Option<(u32, Arc<Vec<u8>>)>>,
}

impl Pack {
    /// Opens the pack at `path`, which messages call `name`.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        name: &str,
    ) -> Result<(Self, Entries), PackError> {
        let file: Arc<dyn DiskFile> = Arc::from(disk.open(path, Access::Read)?);
        let size = file.size()?;
        let Some(end) = size.checked_sub(TRAILER_BYTES as u64) else {
            return Err(PackError::Damaged("it is too short for a pack"));
        };
        let mut bytes = [0; TRAILER_BYTES];
        let read = file.read_at(end, &mut bytes)?;
        let trailer = Trailer::decode(&bytes[..read])?;
        let directory = decode_frame(&*file, trailer.directory, end, trailer.raw)?;
        let text = String::from_utf8(directory)
            .map_err(|_| PackError::Damaged("its directory is not UTF-8"))?;
        let first = text.lines().next().unwrap_or_default();
        let start = (first.len() + 1).min(text.len());
        let header: Header = serde_json::from_str(first)
            .map_err(|_| PackError::Damaged("its directory has no header"))?;
        if header.phisync_snapshot > FORMAT {
            return Err(PackError::Newer(header.phisync_snapshot));
        }
        let pack = Self {
            name: Arc::from(name),
            file,
            header,
            trailer,
            size,
            recent: Mutex::new(None),
        };
        Ok((pack, Entries { text, start }))
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.trailer.sha256
    }

    /// Whether every byte is as written.
    pub(crate) fn verify_whole(&self) -> Result<(), PackError> {
        let end = self.size - TRAILER_BYTES as u64;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut offset = 0;
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let read = self.file.read_at(offset, &mut chunk[..left.min(CHUNK)])?;
            if read == 0 {
                return Err(PackError::Damaged("it ends early"));
            }
            hash.update(&chunk[..read]);
            offset += read as u64;
        }
        let expected = Trailer::seal(self.trailer.directory, self.trailer.raw, hash);
        if expected == self.trailer {
            Ok(())
        } else {
            Err(PackError::Damaged("its hash does not match"))
        }
    }

    /// Whether the directory and the records agree: decodes everything.
    pub(crate) fn verify_content(&self, entries: &Entries) -> Result<(), PackError> {
        let (mut streams, mut records) = (0, 0);
        for entry in entries.iter() {
            let entry = entry?;
            let (mut last, mut found) = (0, 0);
            let read = self.visit(entry.span(), &mut |line| {
                let follows = line.version > last && line.seq <= self.header.seq;
                if line.stream == entry.stream && follows {
                    (last, found) = (line.version, found + 1);
                }
            });
            read.map_err(|_| PackError::Damaged("its records cannot be read"))?;
            if found != entry.records || last > entry.version {
                return Err(PackError::Damaged("its directory tells of other records"));
            }
            (streams, records) = (streams + 1, records + found);
        }
        if (streams, records) == (self.header.streams, self.header.records) {
            Ok(())
        } else {
            Err(PackError::Damaged("its directory counts differently"))
        }
    }

    /// The records of one stream.
    pub(crate) fn read(&self, span: Span) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        self.visit(span, &mut |line| records.push(line.to_record()))?;
        Ok(records)
    }

    /// Visits the records of one stream.
    pub(crate) fn visit(
        &self,
        span: Span,
        visit: &mut dyn FnMut(Line<'_>),
    ) -> Result<(), ReadError> {
        let mut left = span.records;
        let (mut frame, mut offset) = (span.frame, span.offset as usize);
        while left > 0 {
            let lines = self.frame(frame)?;
            let bytes = lines.get(offset..).unwrap_or_default();
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if left == 0 {
                    break;
                }
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let line = record::decode(text).map_err(|error| self.corrupt(error.0))?;
                visit(line);
                left -= 1;
            }
            (frame, offset) = (frame + 1, 0);
        }
        Ok(())
    }

    /// All records, stream after stream.
    pub(crate) fn everything(&self) -> Span {
        Span {
            frame: 0,
            offset: 0,
            records: self.header.records,
        }
    }

    /// The lines of one frame.
    pub(crate) fn frame(&self, number: u32) -> Result<Arc<Vec<u8>>, ReadError> {
        {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, lines)) = recent.as_ref().filter(|(of, _)| *of == number) {
                return Ok(Arc::clone(lines));
            }
        }
        let index = number as usize;
        let Some(&(start, raw)) = self.header.frames.get(index) else {
            return Err(self.corrupt("a record lies outside"));
        };
        let next = self.header.frames.get(index + 1);
        let end = next.map_or(self.trailer.directory, |&(next, _)| next);
        let lines = decode_frame(&*self.file, start, end, raw).map_err(|error| match error {
            PackError::Io(error) => ReadError::Io {
                what: format!("`{}`", self.name),
                reason: error.to_string(),
            },
            PackError::Damaged(reason) => self.corrupt(reason),
            PackError::Newer(_) => self.corrupt("a frame is none"),
        })?;
        let lines = Arc::new(lines);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Some((number, Arc::clone(&lines)));
        Ok(lines)
    }

    fn corrupt(&self, reason: &str) -> ReadError {
        ReadError::Corrupt {
            what: format!("`{}`", self.name),
            offset: 0,
            reason: reason.to_owned(),
        }
    }
}

/// Decodes the zstd frame from `start` to `end`, which holds `raw` bytes.
fn decode_frame(file: &dyn DiskFile, start: u64, end: u64, raw: u64) -> Result<Vec<u8>, PackError> {
    let damaged = PackError::Damaged("a frame is not where it should be");
    let length = end.checked_sub(start).filter(|_| raw <= FRAME_BYTES_MAX);
    let length = length.and_then(|length| usize::try_from(length).ok());
    let Some(length) = length.filter(|_| end <= file.size().unwrap_or(0)) else {
        return Err(damaged);
    };
    let mut packed = vec![0; length];
    let read = file.read_at(start, &mut packed)?;
    let mut bytes = vec![0; usize::try_from(raw).expect("it was bounded")];
    let decoded = FrameDecoder::new().decode_all(&packed[..read], &mut bytes);
    match decoded {
        Ok(count) if count as u64 == raw => Ok(bytes),
        _ => Err(PackError::Damaged("a frame does not decode")),
    }
}
