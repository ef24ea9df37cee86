//! Where the durable records lie: per stream for reading, per segment for scanning.
//!
//! It holds places, not records. A place carries a fingerprint, so that bytes which changed under
//! us are reported instead of returned; scanning checks the batches' own hashes. What lies before
//! the newest snapshot has one place per stream, in the snapshot, and its segments are not open.

use std::sync::Arc;

use super::order::{Batch, StreamId};
use crate::env::DiskFile;
use crate::journal::display_name;
use crate::journal::frame::Chain;
use crate::journal::reader::{Mark, Piece, Reader, Stop};
use crate::journal::record::{self, Malformed};
use crate::snapshot::archives::Archives;
use crate::snapshot::reader::{Pack, Span};
use crate::{Head, ReadError, Record, Seq, StreamName, Version};

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

/// A stream's records in a snapshot.
#[derive(Clone)]
pub(crate) struct Based {
    pub(crate) pack: Arc<Pack>,
    pub(crate) span: Span,
    /// The stream's version there.
    pub(crate) version: Version,
}

/// One stream: what a snapshot has of it, then what the segments have.
#[derive(Default)]
struct Stream {
    base: Option<Based>,
    /// The version of the record at the first of the places.
    first: Version,
    places: Vec<Place>,
}

/// The durable part of a store.
pub(crate) struct Index {
    /// The snapshot that everything before the first segment is in.
    base: Option<Arc<Pack>>,
    segments: Vec<Segment>,
    /// How many segments there were before the first one here.
    dropped: u32,
    streams: Vec<Stream>,
    head: Head,
}

/// One stream's records, held so that they can be read without the index.
pub(crate) struct Source {
    base: Option<Based>,
    /// The version of the record at the first of the places; 0 without places.
    first: Version,
    places: Vec<(Place, Segment)>,
}

impl Source {
    /// The version of the last record; 0 if there is none.
    pub(crate) fn version(&self) -> Version {
        match self.places.len() as u64 {
            0 => self.base.as_ref().map_or(0, |base| base.version),
            count => self.first + count - 1,
        }
    }

    /// The last record; `None` if there is none.
    pub(crate) fn last(&self) -> Result<Option<Record>, ReadError> {
        if let Some((place, segment)) = self.places.last() {
            return segment.read(*place).map(Some);
        }
        let records = self.base.as_ref().map(|base| base.pack.read(base.span));
        Ok(records.transpose()?.and_then(|mut records| records.pop()))
    }

    /// The records from version `from` on.
    pub(crate) fn read(
        &self,
        stream: &StreamName,
        from: Version,
        archives: &Archives,
    ) -> Result<Vec<Record>, ReadError> {
        // A stream without a first record here came back from an archive.
        let archived = self.first != 1 && (self.places.is_empty() || from < self.first);
        let mut records = match &self.base {
            Some(base) if base.version >= from => base.pack.read(base.span)?,
            None if archived => archives.read(stream)?,
            Some(_) | None => Vec::new(),
        };
        if !self.places.is_empty() {
            records.retain(|record| record.version < self.first);
        }
        records.retain(|record| record.version >= from);
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        for (place, segment) in self.places.iter().skip(skipped) {
            records.push(segment.read(*place)?);
        }
        Ok(records)
    }
}

impl Index {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            base: None,
            segments: Vec::new(),
            dropped: 0,
            streams: Vec::new(),
            head,
        }
    }

    /// Begins with a snapshot, whose streams follow.
    pub(crate) fn set_base(&mut self, pack: Arc<Pack>) {
        self.base = Some(pack);
    }

    /// A stream that the snapshot holds.
    pub(crate) fn add_based(&mut self, stream: StreamId, base: Based) {
        self.slot(stream).base = Some(base);
    }

    fn slot(&mut self, stream: StreamId) -> &mut Stream {
        let stream = stream as usize;
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, Stream::default);
        }
        &mut self.streams[stream]
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
        let small = |number| u32::try_from(number).expect("a segment stays below 4 GiB");
        let last = small((self.segments.len() - 1) as u64);
        let place = Place {
            segment: self.dropped + last,
            offset: small(offset),
            length: small(line.len() as u64),
            fingerprint: fingerprint(line),
        };
        let slot = self.slot(stream);
        if slot.places.is_empty() {
            slot.first = record::decode(line).map_or(1, |line| line.version);
        }
        slot.places.push(place);
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

    /// Where a stream's records lie.
    pub(crate) fn source(&self, stream: StreamId) -> Source {
        self.source_before(stream, u32::MAX)
    }

    /// The same for the records that lie in segments up to this one.
    pub(crate) fn source_before(&self, stream: StreamId, last_segment: u32) -> Source {
        let Some(slot) = self.streams.get(stream as usize) else {
            return Source {
                base: None,
                first: 0,
                places: Vec::new(),
            };
        };
        let places = slot.places.iter();
        let places = places.take_while(|place| place.segment <= last_segment);
        let found: Vec<_> = places
            .map(|place| {
                let segment = &self.segments[(place.segment - self.dropped) as usize];
                (*place, segment.handle())
            })
            .collect();
        Source {
            base: slot.base.clone(),
            first: if found.is_empty() { 0 } else { slot.first },
            places: found,
        }
    }

    /// How many numbers of streams have been given out.
    pub(crate) fn stream_count(&self) -> StreamId {
        StreamId::try_from(self.streams.len()).expect("streams are numbered in 32 bits")
    }

    /// The segment that ends with `seq`, by a number that it keeps.
    pub(crate) fn segment_ending_at(&self, seq: Seq) -> Option<u32> {
        let next = self.segments.iter().skip(1);
        let at = next
            .map(|next| next.marks[0].last)
            .position(|last| last == seq)?;
        u32::try_from(at).ok().map(|at| self.dropped + at)
    }

    /// What lay in segments up to this one is in a snapshot from now on, or nowhere here.
    pub(crate) fn rebase(&mut self, stream: StreamId, last_segment: u32, base: Option<Based>) {
        let slot = self.slot(stream);
        let places = std::mem::take(&mut slot.places);
        let covered = places.partition_point(|place| place.segment <= last_segment);
        slot.first += covered as u64;
        slot.base = base;
        // A copy of its own size: what was covered is to be freed.
        slot.places = places[covered..].to_vec();
    }

    /// Lets the segments up to this one go; all streams are rebased.
    pub(crate) fn drop_segments(&mut self, last_segment: u32, base: Arc<Pack>) {
        let count = last_segment + 1 - self.dropped;
        self.segments.drain(..count as usize);
        self.dropped = last_segment + 1;
        self.base = Some(base);
    }

    /// The snapshot that everything before the first segment is in.
    pub(crate) fn base(&self) -> Option<Arc<Pack>> {
        self.base.clone()
    }

    /// The snapshot that a scan begins with, if it holds records after `after`.
    pub(crate) fn base_after(&self, after: Seq) -> Option<Arc<Pack>> {
        let base = self.base.as_ref();
        base.filter(|base| base.header().seq > after).cloned()
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

    /// The chain after the batch that ends with `seq`, if one does, looked for from a mark on.
    pub(crate) fn chain_at(&self, from: Mark, seq: Seq) -> Result<Option<Chain>, ReadError> {
        let mut reader = Reader::new(&*self.file, from, self.end);
        loop {
            let Mark {
                offset,
                last,
                chain,
            } = reader.position();
            if last >= seq {
                return Ok((last == seq).then_some(chain));
            }
            match reader.next() {
                Ok(Piece::End) => return Ok(None),
                Ok(Piece::Seal | Piece::Batch(_)) => {}
                Err(Stop::Io(error)) => return Err(self.io(&error)),
                Err(Stop::Invalid(reason)) => return Err(self.corrupt(offset, reason)),
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
