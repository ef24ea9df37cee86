//! The order of a store, in memory: who has which version, and what is encoded but not yet durable.
//!
//! Every backend that writes a journal settles appends here, so conflicts, guards and sequences are
//! the same everywhere. It knows neither disk nor threads; the backend locks it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::linker::Piece;
use crate::journal::frame::{Chain, Linking};
use crate::journal::record::{self, Line, Malformed};
use crate::snapshot::archives::{Archives, Standing};
use crate::snapshot::fingerprint;
use crate::{AppendError, Appended, Entry, Expected, Seq, StreamName, Timestamp, Version};

/// A batch takes no further append once it holds this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// The most bytes of lines one append may bring.
const APPEND_BYTES_MAX: usize = 64 << 20;
/// The most bytes of a line beside its stream and its event.
const LINE_BYTES: usize = 120;

/// A stream's number while the store is open.
pub(crate) type StreamId = u32;

#[derive(Clone, Copy, Debug)]
struct Stream {
    id: StreamId,
    version: Version,
}

/// Where a record's line lies in its batch, its newline left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) stream: StreamId,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Record lines that become durable together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) first: Seq,
    pub(crate) bytes: Vec<u8>,
    pub(crate) placed: Vec<Placed>,
    /// The hash of its first bytes, where somebody had time for it.
    link: Option<Linking>,
}

impl Batch {
    pub(crate) fn count(&self) -> u64 {
        self.placed.len() as u64
    }

    pub(crate) fn last(&self) -> Seq {
        Seq(self.first.0 + self.count() - 1)
    }

    /// The chain after this batch, which follows on `previous`. `bytes` hold no commit line yet.
    pub(crate) fn chain_after(&self, previous: Chain) -> Chain {
        let begun = self.link.as_ref();
        let begun = begun.filter(|link| link.previous() == previous);
        let mut link = begun.map_or_else(|| Linking::after(previous), Clone::clone);
        link.take(&self.bytes[link.length()..]);
        link.finish()
    }
}

/// The settled order.
pub(crate) struct Order {
    #[expect(
        clippy::disallowed_types,
        reason = "only ever looked up, on the path of every append"
    )]
    streams: std::collections::HashMap<StreamName, Stream>,
    next_stream: StreamId,
    /// Numbers of streams that left for an archive.
    free: Vec<StreamId>,
    /// Streams that are not here any more, where there can be such.
    archives: Option<Arc<Archives>>,
    /// Streams that the snapshot forgot; only while a journal is read.
    forgotten: Vec<u64>,
    next_seq: u64,
    last_at: Timestamp,
    pending: VecDeque<Batch>,
    spare: Batch,
    /// The chain that the oldest pending batch follows on, once it is known.
    chain: Option<Chain>,
    /// For each entry of the append at hand what it found.
    raised: Vec<Raised>,
}

/// A stream before an entry of an append.
#[derive(Clone, Copy, Debug)]
struct Raised {
    id: StreamId,
    before: Version,
    /// It was not here.
    fresh: bool,
}

impl Order {
    /// The order of an empty store.
    pub(crate) fn new() -> Self {
        Self {
            streams: Default::default(),
            next_stream: 0,
            free: Vec::new(),
            archives: None,
            forgotten: Vec::new(),
            next_seq: 1,
            last_at: Timestamp::from_micros(i64::MIN),
            pending: VecDeque::new(),
            spare: Batch::default(),
            chain: None,
            raised: Vec::new(),
        }
    }

    /// Asks these about streams that are not here.
    pub(crate) fn set_archives(&mut self, archives: Arc<Archives>) {
        self.archives = Some(archives);
    }

    /// Begins behind a snapshot: what follows has later sequences and times. Streams that it forgot
    /// may go on where they were.
    pub(crate) fn restore_point(&mut self, seq: Seq, at: Timestamp, mut forgotten: Vec<u64>) {
        self.next_seq = seq.0 + 1;
        self.last_at = self.last_at.max(at);
        forgotten.sort_unstable();
        self.forgotten = forgotten;
    }

    /// Everything is restored.
    pub(crate) fn restored(&mut self) {
        self.forgotten = Vec::new();
    }

    /// Takes in a stream that a snapshot holds.
    pub(crate) fn restore_stream(&mut self, name: StreamName, version: Version) -> StreamId {
        self.insert(name, version)
    }

    /// Takes in a record that is durable already. Its sequence is the next one.
    ///
    /// # Errors
    /// The version is not the stream's next one.
    pub(crate) fn restore(&mut self, line: Line<'_>) -> Result<StreamId, Malformed> {
        const GAP: Malformed = Malformed("its version does not follow its stream's last");
        let id = if let Some(stream) = self.streams.get_mut(line.stream) {
            if line.version != stream.version + 1 {
                return Err(GAP);
            }
            stream.version = line.version;
            stream.id
        } else {
            let name = StreamName::new(line.stream);
            match self.elsewhere(&name) {
                Standing::Archived(version) if line.version == version + 1 => {}
                Standing::Unknown | Standing::Gone if line.version == 1 => {}
                Standing::Unknown if self.was_forgotten(line.stream) => {}
                Standing::Archived(_) | Standing::Unknown | Standing::Gone => return Err(GAP),
            }
            self.insert(name, line.version)
        };
        self.next_seq = line.seq.0 + 1;
        self.last_at = self.last_at.max(line.at);
        Ok(id)
    }

    fn insert(&mut self, name: StreamName, version: Version) -> StreamId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.next_stream += 1;
            self.next_stream - 1
        });
        self.streams.insert(name, Stream { id, version });
        id
    }

    fn was_forgotten(&self, stream: &str) -> bool {
        let forgotten = &self.forgotten;
        !forgotten.is_empty() && forgotten.binary_search(&fingerprint(stream)).is_ok()
    }

    fn elsewhere(&self, stream: &StreamName) -> Standing {
        let archives = self.archives.as_ref();
        archives.map_or(Standing::Unknown, |archives| archives.standing(stream))
    }

    /// Forgets a stream that is in an archive now, if nothing was appended to it since. Its number
    /// stays taken until [`Self::release`].
    pub(crate) fn forget(&mut self, stream: &StreamName, version: Version) -> Option<StreamId> {
        let known = self.streams.get(stream)?;
        if known.version != version {
            return None;
        }
        self.streams.remove(stream).map(|stream| stream.id)
    }

    /// Lets the numbers of forgotten streams be given out again.
    pub(crate) fn release(&mut self, ids: &[StreamId]) {
        self.free.extend_from_slice(ids);
    }

    /// Settles a batch or nothing; see [`crate::Store::append`].
    pub(crate) fn append(
        &mut self,
        at: Timestamp,
        batch: &[Entry],
    ) -> Result<Appended, AppendError> {
        self.raised.clear();
        let raised = batch
            .iter()
            .enumerate()
            .try_for_each(|(index, entry)| self.raise(entry).map_err(|conflict| (index, conflict)));
        if let Err((done, conflict)) = raised {
            for (entry, raised) in batch[..done].iter().zip(&self.raised).rev() {
                // Takes back what `raise` did, the last first.
                if raised.fresh {
                    self.streams.remove(&entry.stream);
                    self.free.push(raised.id);
                } else if let Some(stream) = self.streams.get_mut(&entry.stream) {
                    stream.version = raised.before;
                }
            }
            return Err(conflict);
        }
        let first = Seq(self.next_seq);
        self.encode(self.last_at.max(at), batch);
        Ok(Appended {
            first,
            last: Seq(self.next_seq - 1),
        })
    }

    /// Checks one entry and counts its events.
    fn raise(&mut self, entry: &Entry) -> Result<(), AppendError> {
        let events = entry.events.len() as u64;
        let fits = |actual| match entry.expected {
            Expected::Version(expected) if expected != actual => Err(AppendError::Conflict {
                stream: entry.stream.clone(),
                expected,
                actual,
            }),
            Expected::Version(_) | Expected::Any => Ok(()),
        };
        if let Some(stream) = self.streams.get_mut(&entry.stream) {
            fits(stream.version)?;
            self.raised.push(Raised {
                id: stream.id,
                before: stream.version,
                fresh: false,
            });
            stream.version += events;
            return Ok(());
        }
        let before = match self.elsewhere(&entry.stream) {
            Standing::Unknown => 0,
            Standing::Archived(version) => version,
            Standing::Gone => {
                return Err(AppendError::Malformed {
                    stream: entry.stream.clone(),
                    reason: "there was a stream of this name, which retention dropped",
                });
            }
        };
        fits(before)?;
        let fresh = events > 0;
        let id = if fresh {
            self.insert(entry.stream.clone(), before + events)
        } else {
            // A guard that holds: no record of it will need a number.
            StreamId::MAX
        };
        self.raised.push(Raised { id, before, fresh });
        Ok(())
    }

    fn encode(&mut self, at: Timestamp, batch: &[Entry]) {
        if batch.iter().all(|entry| entry.events.is_empty()) {
            return;
        }
        self.last_at = at;
        if self
            .pending
            .back()
            .is_none_or(|last| last.bytes.len() >= BATCH_BYTES)
        {
            let mut fresh = std::mem::take(&mut self.spare);
            fresh.first = Seq(self.next_seq);
            self.pending.push_back(fresh);
        }
        let pending = self.pending.back_mut().expect("there is a batch to fill");
        for (entry, raised) in batch.iter().zip(&self.raised) {
            for (version, event) in (raised.before + 1..).zip(&entry.events) {
                let start = pending.bytes.len();
                let line = Line {
                    seq: Seq(self.next_seq),
                    stream: entry.stream.as_str(),
                    version,
                    at,
                    event,
                };
                record::encode(&mut pending.bytes, line);
                pending.placed.push(Placed {
                    stream: raised.id,
                    start: offset(start),
                    end: offset(pending.bytes.len() - 1),
                });
                self.next_seq += 1;
            }
        }
    }

    /// The oldest batch that is not durable.
    pub(crate) fn take_pending(&mut self) -> Option<Batch> {
        self.chain = None;
        self.pending.pop_front()
    }

    /// What was taken last ends with this chain.
    pub(crate) fn follow_on(&mut self, chain: Chain) {
        self.chain = Some(chain);
    }

    /// How many bytes of the oldest pending batch can be hashed and are not.
    pub(crate) fn unlinked(&self) -> usize {
        match (self.chain, self.pending.front()) {
            (Some(_), Some(next)) => {
                next.bytes.len() - next.link.as_ref().map_or(0, Linking::length)
            }
            _ => 0,
        }
    }

    /// Copies the next `length` bytes of these, if there are so many.
    pub(crate) fn piece(&self, length: usize, bytes: &mut Vec<u8>) -> Option<Piece> {
        if self.unlinked() < length {
            return None;
        }
        let (chain, next) = (self.chain?, self.pending.front()?);
        let link = next.link.clone();
        let link = link.unwrap_or_else(|| Linking::after(chain));
        let start = link.length();
        bytes.extend_from_slice(&next.bytes[start..start + length]);
        Some(Piece {
            batch: next.first,
            link,
        })
    }

    /// Takes a hashed piece in, unless its batch was taken meanwhile.
    pub(crate) fn linked(&mut self, piece: Piece) {
        let next = self.pending.front_mut();
        if let Some(next) = next.filter(|next| next.first == piece.batch) {
            next.link = Some(piece.link);
        }
    }

    /// Gives a written batch's memory back.
    pub(crate) fn recycle(&mut self, mut batch: Batch) {
        batch.bytes.clear();
        batch.placed.clear();
        batch.link = None;
        // A rare giant would otherwise stay for ever.
        if batch.bytes.capacity() <= 4 * BATCH_BYTES {
            self.spare = batch;
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn version(&self, stream: &StreamName) -> Version {
        match self.streams.get(stream) {
            Some(stream) => stream.version,
            None => match self.elsewhere(stream) {
                Standing::Archived(version) => version,
                Standing::Unknown | Standing::Gone => 0,
            },
        }
    }

    pub(crate) fn stream(&self, stream: &StreamName) -> Option<StreamId> {
        self.streams.get(stream).map(|stream| stream.id)
    }

    /// All streams that are here, by their numbers.
    pub(crate) fn streams(&self) -> Vec<(StreamId, StreamName)> {
        let streams = self.streams.iter();
        let mut streams: Vec<_> = streams.map(|(name, of)| (of.id, name.clone())).collect();
        streams.sort_unstable_by_key(|(id, _)| *id);
        streams
    }

    /// The last sequence given out; 0 before the first.
    pub(crate) fn last_seq(&self) -> Seq {
        Seq(self.next_seq - 1)
    }
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).expect("one append and what a batch held before stay below 4 GiB")
}

/// Whether every line of `batch` can be written as it stands. Needs no lock.
///
/// # Errors
/// [`AppendError::Malformed`] names the first entry that cannot.
pub(crate) fn check(batch: &[Entry]) -> Result<(), AppendError> {
    let mut bytes = 0;
    for entry in batch {
        let malformed = |error: Malformed| AppendError::Malformed {
            stream: entry.stream.clone(),
            reason: error.0,
        };
        record::check_stream(entry.stream.as_str()).map_err(malformed)?;
        for event in &entry.events {
            record::check_event(event).map_err(malformed)?;
            bytes += LINE_BYTES + entry.stream.as_str().len() + event.len();
        }
        if bytes > APPEND_BYTES_MAX {
            return Err(malformed(Malformed("one append takes at most 64 MiB")));
        }
    }
    Ok(())
}
