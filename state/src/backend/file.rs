//! The embedded default: a store in a directory of one machine.
//!
//! [`super::opening`] makes one; the thread that writes it is [`super::committer`]'s. Records stay on disk: memory
//! holds where they lie. A store that failed stays failed until it is opened again.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::order;
use super::shared::{OnFailure, Phase, Shared};
use crate::env::Disk;
use crate::journal::frame::Chain;
use crate::lock::DirLock;
use crate::snapshot::archives::{Archives, Standing};
use crate::snapshot::fold::{Fold, Taken};
use crate::snapshot::reader::{Pack, PackError};
use crate::snapshot::{Keeping, Projection, SnapshotError};
use crate::{
    AppendError, Appended, Durability, Durable, Entry, Head, ReadError, Record, Seq, Store,
    StreamName, Timestamp, Unknown, Version,
};

/// A store in a directory. Dropping it closes it.
pub struct FileStore {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
    /// `None`: the directory is only read, and the system gave no lock.
    pub(super) lock: Option<DirLock>,
    /// Whether there is no thread, and nothing is ever written.
    pub(super) read_only: bool,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) epoch: u64,
    pub(super) archives: Arc<Archives>,
    /// Held while a snapshot is taken.
    pub(super) snapshotting: Mutex<()>,
    pub(super) durability: Durability,
    pub(super) next_segment: Arc<AtomicBool>,
}

impl FileStore {
    /// Why the store stopped, if it failed. The process should then end with exit code 70.
    #[must_use]
    pub fn failed(&self) -> Option<Unknown> {
        self.shared.failed()
    }

    /// Whether the journal's next segment is made, or could not be; false while nobody makes one.
    #[must_use]
    pub fn next_segment_is_made(&self) -> bool {
        self.next_segment.load(Ordering::Acquire)
    }

    /// Calls `then` when the store fails; at once if it has.
    pub fn when_failed(&self, then: OnFailure) {
        self.shared.when_failed(then);
    }

    /// Takes a snapshot of everything that is durable, archives closed streams, and takes away what
    /// nothing needs any more. Appends go on meanwhile. `None` if nothing was appended since the
    /// newest snapshot. If that one is found damaged, what it held is read from the one before and the
    /// journal: [`Taken::instead_of`] tells. Blocks: call it from a thread of its own.
    ///
    /// # Errors
    /// See [`SnapshotError`]. The store goes on as before.
    pub fn snapshot(
        &self,
        projection: &dyn Projection,
        keeping: &Keeping,
        now: Timestamp,
    ) -> Result<Option<Taken>, SnapshotError> {
        let _one_at_a_time = self
            .snapshotting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fold = Fold {
            disk: &*self.disk,
            shared_disk: Arc::clone(&self.disk),
            data: &self.dir,
            epoch: self.epoch,
            shared: &self.shared,
            archives: &self.archives,
            lock: self.lock.as_ref(),
        };
        // What is copied is not looked at record by record: a flipped letter would be as written from then on.
        let checked = self.check_snapshot().map_err(SnapshotError::from);
        let taken = checked.and_then(|()| fold.take(projection, keeping, now, false));
        let damage = match taken {
            Err(SnapshotError::Read(damage @ ReadError::Corrupt { .. })) => damage,
            taken => return taken,
        };
        match fold.take(projection, keeping, now, true) {
            Ok(taken) => Ok(taken.map(|taken| Taken {
                instead_of: Some(damage),
                ..taken
            })),
            Err(error) => {
                tracing::warn!(%error, "nor is there another way to what a snapshot held");
                Err(damage.into())
            }
        }
    }

    /// Checks every byte of the newest snapshot, which reads go back to.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] if it is not as it was written.
    pub fn check_snapshot(&self) -> Result<(), ReadError> {
        let base = {
            let index = self.shared.index.read();
            index.unwrap_or_else(PoisonError::into_inner).base()
        };
        let Some(base) = base else { return Ok(()) };
        let what = format!("`{}`", base.name());
        base.verify_whole().map_err(|error| match error {
            PackError::Io(error) => ReadError::Io {
                what,
                reason: error.to_string(),
            },
            PackError::Damaged(reason) => ReadError::Corrupt {
                what,
                offset: 0,
                reason: reason.to_owned(),
            },
            PackError::Newer(format) => ReadError::Newer {
                what,
                reason: format!("it has format {format}"),
            },
        })
    }

    /// Closed streams that have left the journal.
    #[must_use]
    pub fn archives(&self) -> &Arc<Archives> {
        &self.archives
    }

    /// Writes nothing from now on: the store has failed for this reason. For when somebody else may
    /// be writing.
    pub fn abandon(&self, reason: &str) {
        self.shared.abandon(reason);
    }

    /// Whether the directory's lock is still ours; see [`DirLock::still_ours`].
    ///
    /// # Errors
    /// The system's.
    pub fn still_ours(&self) -> io::Result<bool> {
        self.lock.as_ref().map_or(Ok(true), DirLock::still_ours)
    }
}

/// Visits the records of a snapshot after `after` in order of sequence; says whether it never
/// ended early. What it holds lies in memory meanwhile.
fn scan_base(
    pack: &Pack,
    prefix: &str,
    after: Seq,
    visit: &mut dyn FnMut(Record) -> bool,
) -> Result<bool, ReadError> {
    let mut records = Vec::new();
    pack.visit(pack.everything(), &mut |line| {
        if line.seq > after && line.stream.starts_with(prefix) {
            records.push(line.to_record());
        }
    })?;
    records.sort_unstable_by_key(|record| record.seq);
    Ok(records.into_iter().all(visit))
}

impl Store for FileStore {
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError> {
        order::check(&batch)?;
        self.shared.append(at, &batch)
    }

    fn when_durable(&self, seq: Seq, then: Durable) {
        self.shared.when_durable(seq, then);
    }

    fn read(&self, stream: &StreamName, from: Version) -> Result<Vec<Record>, ReadError> {
        if let Some(id) = self.shared.with_order(|order| order.stream(stream)) {
            let source = {
                let index = self.shared.index.read();
                index.unwrap_or_else(PoisonError::into_inner).source(id)
            };
            let records = source.read(stream, from, &self.archives)?;
            // It may have left for an archive, and its number be another's, since it was looked up.
            if records.first().is_some_and(|first| first.stream == *stream) {
                return Ok(records);
            }
        }
        let mut records = match self.archives.standing(stream) {
            Standing::Archived(_) => self.archives.read(stream)?,
            Standing::Unknown | Standing::Gone => Vec::new(),
        };
        records.retain(|record| record.version >= from);
        Ok(records)
    }

    fn scan(
        &self,
        prefix: &str,
        after: Seq,
        visit: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), ReadError> {
        let (base, segments) = {
            let index = self.shared.index.read();
            let index = index.unwrap_or_else(PoisonError::into_inner);
            (index.base_after(after), index.segments_after(after))
        };
        if let Some(base) = base
            && !scan_base(&base, prefix, after, visit)?
        {
            return Ok(());
        }
        for (segment, from) in segments {
            let more = segment.scan(from, &mut |line| {
                let wanted = line.seq > after && line.stream.starts_with(prefix);
                !wanted || visit(line.to_record())
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn version(&self, stream: &StreamName) -> Version {
        self.shared.with_order(|order| order.version(stream))
    }

    fn head(&self) -> Head {
        self.shared.head()
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn went_through(&self, head: &Head) -> Result<bool, ReadError> {
        let now = self.head();
        if head.seq >= now.seq {
            return Ok(*head == now);
        }
        if head.seq == Seq(0) {
            return Ok(*head == Chain::GENESIS.head(Seq(0)));
        }
        let segments = {
            let index = self.shared.index.read();
            let index = index.unwrap_or_else(PoisonError::into_inner);
            index.segments_after(Seq(head.seq.0 - 1))
        };
        match segments.into_iter().next() {
            Some((segment, from)) if from.last <= head.seq => {
                let chain = segment.chain_at(from, head.seq)?;
                Ok(chain.is_some_and(|chain| chain.head(head.seq) == *head))
            }
            // Compacted away: nobody can tell any more.
            _ => Ok(true),
        }
    }

    fn refuses(&self) -> Option<Arc<str>> {
        self.shared.refuses()
    }

    fn close(&self) -> Result<(), Unknown> {
        if self.read_only {
            self.shared.finish(Phase::Closed);
            return Ok(());
        }
        let outcome = self.shared.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
        outcome
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::debug!(%error, "dropped a store that had failed");
        }
    }
}
