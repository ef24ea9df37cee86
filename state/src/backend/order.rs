//! The order of a store, in memory: who has which version, and what is encoded but not yet durable.
//!
//! Every backend that writes a journal settles appends here, so conflicts, guards and sequences are
//! the same everywhere. It knows neither disk nor threads; the backend locks it.

use std::collections::VecDeque;

use crate::journal::record::{self, Line, Malformed};
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
}

impl Batch {
    pub(crate) fn count(&self) -> u64 {
        self.placed.len() as u64
    }

    pub(crate) fn last(&self) -> Seq {
        Seq(self.first.0 + self.count() - 1)
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
    next_seq: u64,
    last_at: Timestamp,
    pending: VecDeque<Batch>,
    spare: Batch,
    /// For each entry of the append at hand its stream and the version before it.
    raised: Vec<(StreamId, Version)>,
}

impl Order {
    /// The order of an empty store.
    pub(crate) fn new() -> Self {
        Self {
            streams: Default::default(),
            next_stream: 0,
            next_seq: 1,
            last_at: Timestamp::from_micros(i64::MIN),
            pending: VecDeque::new(),
            spare: Batch::default(),
            raised: Vec::new(),
        }
    }

    /// Takes in a record that is durable already. Its sequence is the next one.
    ///
    /// # Errors
    /// The version is not the stream's next one.
    pub(crate) fn restore(&mut self, line: Line<'_>) -> Result<StreamId, Malformed> {
        let known = self.streams.get_mut(line.stream);
        if line.version != known.as_ref().map_or(0, |stream| stream.version) + 1 {
            return Err(Malformed("its version does not follow its stream's last"));
        }
        let id = if let Some(stream) = known {
            stream.version = line.version;
            stream.id
        } else {
            let (name, id, version) = (StreamName::new(line.stream), self.next_stream, 1);
            self.next_stream += 1;
            self.streams.insert(name, Stream { id, version });
            id
        };
        self.next_seq = line.seq.0 + 1;
        self.last_at = self.last_at.max(line.at);
        Ok(id)
    }

    /// Settles a batch or nothing; see [`crate::Store::append`].
    pub(crate) fn append(
        &mut self,
        at: Timestamp,
        batch: &[Entry],
    ) -> Result<Appended, AppendError> {
        let first_new_stream = self.next_stream;
        self.raised.clear();
        let raised = batch
            .iter()
            .enumerate()
            .try_for_each(|(index, entry)| self.raise(entry).map_err(|conflict| (index, conflict)));
        if let Err((done, conflict)) = raised {
            for entry in &batch[..done] {
                self.lower(entry);
            }
            self.next_stream = first_new_stream;
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
        let known = self.streams.get_mut(&entry.stream);
        let actual = known.as_ref().map_or(0, |stream| stream.version);
        if let Expected::Version(expected) = entry.expected
            && expected != actual
        {
            return Err(AppendError::Conflict {
                stream: entry.stream.clone(),
                expected,
                actual,
            });
        }
        let version = actual + entry.events.len() as u64;
        let id = match known {
            Some(stream) => {
                stream.version = version;
                stream.id
            }
            None => {
                let id = self.next_stream;
                if version > 0 {
                    self.next_stream += 1;
                    self.streams
                        .insert(entry.stream.clone(), Stream { id, version });
                }
                id
            }
        };
        self.raised.push((id, actual));
        Ok(())
    }

    /// Takes back what [`Self::raise`] did.
    fn lower(&mut self, entry: &Entry) {
        if let Some(stream) = self.streams.get_mut(&entry.stream) {
            stream.version -= entry.events.len() as u64;
            if stream.version == 0 {
                self.streams.remove(&entry.stream);
            }
        }
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
        for (entry, &(stream, before)) in batch.iter().zip(&self.raised) {
            for (version, event) in (before + 1..).zip(&entry.events) {
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
                    stream,
                    start: offset(start),
                    end: offset(pending.bytes.len() - 1),
                });
                self.next_seq += 1;
            }
        }
    }

    /// The oldest batch that is not durable.
    pub(crate) fn take_pending(&mut self) -> Option<Batch> {
        self.pending.pop_front()
    }

    /// Gives a written batch's memory back.
    pub(crate) fn recycle(&mut self, mut batch: Batch) {
        batch.bytes.clear();
        batch.placed.clear();
        // A rare giant would otherwise stay for ever.
        if batch.bytes.capacity() <= 4 * BATCH_BYTES {
            self.spare = batch;
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn version(&self, stream: &StreamName) -> Version {
        self.streams.get(stream).map_or(0, |stream| stream.version)
    }

    pub(crate) fn stream(&self, stream: &StreamName) -> Option<StreamId> {
        self.streams.get(stream).map(|stream| stream.id)
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
