//! Where the durable records lie: per stream for reading, per segment for scanning.
//!
//! It holds places, not records. A place carries a fingerprint, so that bytes which changed under
//! us are reported instead of returned; scanning checks the batches' own hashes.

use std::sync::Arc;

use super::order::{Batch, StreamId};
use crate::env::DiskFile;
use crate::journal::display_name;
use crate::journal::reader::{Mark, Piece, Reader, Stop};
use crate::journal::record::{self, Malformed};
use crate::{Head, ReadError, Record, Seq};

/// Marks lie at least this many bytes apart: what a scan reads too much at most.
const MARK_BYTES: u64 = 64 << 10;

/// One record's line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    segment: u32,
    offset: u32,
    length: u32,
    fingerprint: u32,
}

/// A segment as far as it is durable.
#[derive(Clone)]
pub(crate) struct Segment {
    name: Arc<str>,
    file: Arc<dyn DiskFile>,
    /// Past its last durable batch.
    end: u64,
    marks: Vec<Mark>,
}

/// The durable part of a store.
pub(crate) struct Index {
    segments: Vec<Segment>,
    streams: Vec<Vec<Place>>,
    head: Head,
}

impl Index {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            segments: Vec::new(),
            streams: Vec::new(),
            head,
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// What follows lies in this segment.
    pub(crate) fn begin_segment(&mut self, file: Arc<dyn DiskFile>, first: Seq, start: Mark) {
        self.segments.push(Segment {
            name: Arc::from(display_name(first)),
            file,
            end: start.offset,
            marks: vec![start],
        });
    }

    /// The last segment's content moved into another file, byte by byte.
    pub(crate) fn replace_file(&mut self, file: Arc<dyn DiskFile>) {
        if let Some(segment) = self.segments.last_mut() {
            segment.file = file;
        }
    }

    /// A batch begins here.
    pub(crate) fn mark(&mut self, mark: Mark) {
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        let last = segment.marks.last().map_or(0, |last| last.offset);
        if mark.offset >= last + MARK_BYTES {
            segment.marks.push(mark);
        }
    }

    pub(crate) fn add(&mut self, stream: StreamId, offset: u64, line: &[u8]) {
        let stream = stream as usize;
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, Vec::new);
        }
        let small = |number| u32::try_from(number).expect("a segment stays below 4 GiB");
        self.streams[stream].push(Place {
            segment: small((self.segments.len() - 1) as u64),
            offset: small(offset),
            length: small(line.len() as u64),
            fingerprint: fingerprint(line),
        });
    }

    /// A written batch, whose first byte lies at `start`.
    pub(crate) fn add_batch(&mut self, batch: &Batch, start: Mark) {
        self.mark(start);
        for placed in &batch.placed {
            let line = &batch.bytes[placed.start as usize..placed.end as usize];
            self.add(placed.stream, start.offset + u64::from(placed.start), line);
        }
    }

    /// Everything up to `end` of the last segment is durable.
    pub(crate) fn advance(&mut self, end: Mark) {
        if let Some(segment) = self.segments.last_mut() {
            segment.end = end.offset;
        }
        if self.head.seq != end.last {
            self.head = end.chain.head(end.last);
        }
    }

    /// The places of a stream's records from version `from` on, and the segments they lie in.
    pub(crate) fn places(&self, stream: StreamId, from: u64) -> Vec<(Place, Segment)> {
        let places = self.streams.get(stream as usize).map_or(&[][..], |all| all);
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let wanted = places.iter().skip(skipped);
        let found = wanted.map(|place| {
            let segment = &self.segments[place.segment as usize];
            (*place, segment.handle())
        });
        found.collect()
    }

    /// The segments that hold records after `after`, each with the mark to begin at.
    pub(crate) fn segments_after(&self, after: Seq) -> Vec<(Segment, Mark)> {
        let later = self
            .segments
            .partition_point(|segment| segment.marks[0].last <= after);
        let from = later.saturating_sub(1);
        let found = self.segments[from..].iter().map(|segment| {
            let mark = segment.marks.partition_point(|mark| mark.last <= after);
            (segment.handle(), segment.marks[mark.saturating_sub(1)])
        });
        found.collect()
    }
}

impl Segment {
    /// The same segment without its marks.
    fn handle(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            file: Arc::clone(&self.file),
            end: self.end,
            marks: Vec::new(),
        }
    }

    /// The record at a place.
    pub(crate) fn read(&self, place: Place) -> Result<Record, ReadError> {
        let mut line = vec![0; place.length as usize];
        let offset = u64::from(place.offset);
        let read = self.file.read_at(offset, &mut line);
        if read.map_err(|error| self.io(&error))? < line.len() {
            return Err(self.corrupt(offset, "the file ends inside a record"));
        }
        if fingerprint(&line) != place.fingerprint {
            return Err(self.corrupt(offset, "the record changed since it was written"));
        }
        let line = record::decode(&line);
        line.map(record::Line::to_record)
            .map_err(|Malformed(reason)| self.corrupt(offset, reason))
    }

    /// Visits the records from a mark on until `visit` returns false; says whether it never did.
    pub(crate) fn scan(
        &self,
        from: Mark,
        visit: &mut dyn FnMut(record::Line<'_>) -> bool,
    ) -> Result<bool, ReadError> {
        let mut reader = Reader::new(&*self.file, from, self.end);
        loop {
            let at = reader.position().offset;
            match reader.next() {
                Ok(Piece::End) => return Ok(true),
                Ok(Piece::Seal) => {}
                Ok(Piece::Batch(batch)) => {
                    for record in batch.records() {
                        let record =
                            record.map_err(|Malformed(reason)| self.corrupt(at, reason))?;
                        if !visit(record.line) {
                            return Ok(false);
                        }
                    }
                }
                Err(Stop::Io(error)) => return Err(self.io(&error)),
                Err(Stop::Invalid(reason)) => return Err(self.corrupt(at, reason)),
            }
        }
    }

    fn io(&self, error: &std::io::Error) -> ReadError {
        ReadError::Io {
            what: format!("`{}`", self.name),
            reason: error.to_string(),
        }
    }

    fn corrupt(&self, offset: u64, reason: &str) -> ReadError {
        ReadError::Corrupt {
            what: format!("`{}`", self.name),
            offset,
            reason: reason.to_owned(),
        }
    }
}

/// A cheap hash that any flipped byte changes; it guards against accidents, not against malice.
fn fingerprint(bytes: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = bytes.len() as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(ODD);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        mix(u64::from_le_bytes(
            word.try_into().expect("a chunk has eight bytes"),
        ));
    }
    let mut rest = [0; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    mix(u64::from_le_bytes(rest));
    u32::try_from(hash >> 32).expect("half of 64 bits fits into 32")
}
