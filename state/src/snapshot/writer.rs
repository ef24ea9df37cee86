//! Writes a pack under a temporary name, reads it back, and only then gives it its own.
//!
//! Whoever finds a pack under its name finds a whole one that was decoded once after it was
//! written: a codec that erred, or a disk that did, shows here and not in an emergency.

use std::io;
use std::path::{Path, PathBuf};

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::layout::{Entry, EntryRow, FORMAT, FRAME_BYTES, Header, Kind, Trailer};
use super::reader::{Pack, PackError, Span};
use super::{ArchiveInfo, Row, SnapshotError};
use crate::env::{Disk, DiskFile};
use crate::journal::record::{self, Line};
use crate::{Record, Seq, Timestamp};

/// What is being written and has no name yet.
pub(crate) const TEMPORARY: &str = "next.tmp";

/// What a pack says about itself, counts and frames apart.
pub(crate) struct About {
    pub(crate) kind: Kind,
    pub(crate) epoch: u64,
    pub(crate) seq: Seq,
    pub(crate) hash: String,
    pub(crate) at: Timestamp,
    pub(crate) archives: Vec<ArchiveInfo>,
    pub(crate) gone: String,
    pub(crate) forgotten: String,
}

/// A pack that got its name.
pub(crate) struct Written {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) streams: u64,
    pub(crate) records: u64,
}

/// A stream's place in the directory: sorted by when it began, newest first, then by name.
type Line0 = (std::cmp::Reverse<Option<Timestamp>>, String, String);

/// A pack on its way.
pub(crate) struct PackWriter<'d> {
    disk: &'d dyn Disk,
    directory: PathBuf,
    /// Where it goes, relative to the data directory.
    shown: String,
    file: Box<dyn DiskFile>,
    end: u64,
    hash: Sha256,
    lines: Vec<u8>,
    frames: Vec<(u64, u64)>,
    entries: Vec<Line0>,
    records: u64,
}

impl<'d> PackWriter<'d> {
    /// Begins a pack that will be called `name` in `directory`, which is shown as `shown`.
    pub(crate) fn create(
        disk: &'d dyn Disk,
        directory: &Path,
        shown: &str,
        name: &str,
    ) -> Result<Self, SnapshotError> {
        let temporary = directory.join(TEMPORARY);
        let shown = format!("{shown}/{name}");
        let failed = |error| SnapshotError::io("create", &shown, error);
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = disk.create_new(&temporary).map_err(failed)?;
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            shown,
            file,
            end: 0,
            hash: Sha256::new(),
            lines: Vec::new(),
            frames: Vec::new(),
            entries: Vec::new(),
            records: 0,
        })
    }

    /// How many streams it has so far.
    pub(crate) fn streams(&self) -> usize {
        self.entries.len()
    }

    /// Adds a stream with these records, which are all that is kept of it, and tells where.
    pub(crate) fn add(
        &mut self,
        stream: &str,
        version: u64,
        records: &[Record],
        row: Option<&Row>,
    ) -> Result<Span, SnapshotError> {
        let small = |number: usize| u32::try_from(number).expect("a frame stays below 4 GiB");
        let (frame, offset) = (small(self.frames.len()), small(self.lines.len()));
        for record in records {
            let line = Line {
                seq: record.seq,
                stream,
                version: record.version,
                at: record.at,
                event: &record.event,
            };
            record::encode(&mut self.lines, line);
            if self.lines.len() >= FRAME_BYTES {
                self.close_frame()?;
            }
        }
        self.records += records.len() as u64;
        let text = row.map(|row| RawValue::from_string(row.text.clone()));
        let text = text.transpose().map_err(|error| SnapshotError::Row {
            stream: stream.to_owned(),
            reason: error.to_string(),
        })?;
        let entry = Entry {
            stream: stream.into(),
            version,
            records: records.len() as u64,
            frame,
            offset,
            row: row.zip(text.as_deref()).map(|(row, text)| EntryRow {
                began: row.began,
                closed: row.closed,
                text,
            }),
        };
        let span = entry.span();
        let text = serde_json::to_string(&entry).expect("an entry is made of text and numbers");
        let began = std::cmp::Reverse(row.map(|row| row.began));
        self.entries.push((began, stream.to_owned(), text));
        Ok(span)
    }

    fn close_frame(&mut self) -> Result<(), SnapshotError> {
        if !self.lines.is_empty() {
            self.frames.push((self.end, self.lines.len() as u64));
            let lines = std::mem::take(&mut self.lines);
            self.put_frame(&lines)?;
        }
        Ok(())
    }

    fn put_frame(&mut self, raw: &[u8]) -> Result<(), SnapshotError> {
        self.put(&compress_to_vec(raw, CompressionLevel::Fastest))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let written = self.file.write_at(self.end, bytes);
        written.map_err(|error| SnapshotError::io("write", &self.shown, error))?;
        self.hash.update(bytes);
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Ends the pack, verifies it, and gives it its name durably.
    pub(crate) fn finish(mut self, about: About) -> Result<Written, SnapshotError> {
        self.close_frame()?;
        let header = Header {
            phisync_snapshot: FORMAT,
            kind: about.kind,
            epoch: about.epoch,
            seq: about.seq,
            hash: about.hash,
            at: about.at,
            streams: self.entries.len() as u64,
            records: self.records,
            archives: about.archives,
            gone: about.gone,
            forgotten: about.forgotten,
            frames: std::mem::take(&mut self.frames),
        };
        let mut directory = serde_json::to_string(&header)
            .expect("a header is made of text and numbers")
            .into_bytes();
        directory.push(b'\n');
        self.entries.sort();
        for (_, _, entry) in std::mem::take(&mut self.entries) {
            directory.extend_from_slice(entry.as_bytes());
            directory.push(b'\n');
        }
        let start = self.end;
        self.put_frame(&directory)?;
        let trailer = Trailer::seal(start, directory.len() as u64, self.hash.clone());
        let written = self.file.write_at(self.end, &trailer.encode());
        written.map_err(|error| SnapshotError::io("write", &self.shown, error))?;
        let synced = self.file.sync_all();
        synced.map_err(|error| SnapshotError::io("sync", &self.shown, error))?;
        self.publish(&header, trailer)
    }

    fn publish(self, header: &Header, trailer: Trailer) -> Result<Written, SnapshotError> {
        let Self {
            disk,
            directory,
            shown,
            file,
            ..
        } = self;
        drop(file);
        let temporary = directory.join(TEMPORARY);
        let verified = Pack::open(disk, &temporary, &shown).and_then(|(pack, entries)| {
            pack.verify_whole()?;
            pack.verify_content(&entries)?;
            Ok(pack)
        });
        let size = match verified {
            Ok(pack) if pack.header() == header => pack.size(),
            Ok(_) => return Err(SnapshotError::unverified(&shown, "it reads differently")),
            Err(PackError::Io(error)) => return Err(SnapshotError::io("read", &shown, error)),
            Err(other) => return Err(SnapshotError::unverified(&shown, &other.to_string())),
        };
        let name = Path::new(&shown).file_name().expect("it was made with one");
        disk.rename(&temporary, &directory.join(name))
            .map_err(|error| SnapshotError::io("name", &shown, error))?;
        disk.sync_dir(&directory)
            .map_err(|error| SnapshotError::io("name", &shown, error))?;
        Ok(Written {
            size,
            sha256: trailer.sha256,
            streams: header.streams,
            records: header.records,
        })
    }
}
