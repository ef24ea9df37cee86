//! The one who appends to the journal. Whoever uses it syncs each batch before writing the next.
//!
//! The open segment is extended with zeros in steps, so that a sync need not update the file's
//! size; the zeros behind the content are cut when it is closed. The next one is prepared meanwhile
//! ([`super::ahead`]). After an error the writer must
//! not be used again: what reached the disk is unknown. It does not index and does not lock.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::ahead::{Ahead, PREPARED};
use super::frame::{Chain, Control, Header};
use super::reader::Mark;
use super::{DIRECTORY, TEMPORARY, display_name, segment_path};
use crate::Seq;
use crate::backend::order::Batch;
use crate::env::{Disk, DiskFile};
use crate::seeded::{self, Bug};

const PREALLOCATE_MIN: u64 = 256 << 10;

/// A prepared segment has room for its last batch's commit line and its seal beyond its length.
const LAST_LINES: u64 = 4 << 10;

/// Sizes of the journal's files, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// A segment takes no further batch that would make it longer, unless it holds none.
    pub segment: u64,
    /// The largest step by which the open segment is extended; 0 extends nothing ahead.
    pub preallocate: u64,
    /// Once a segment has taken so much since the store was opened, the next one is made by a thread
    /// of its own. 0 makes none ahead.
    pub ahead: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment: 64 << 20,
            preallocate: 4 << 20,
            ahead: 4 << 20,
        }
    }
}

/// What could not be done, and to which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{file}`: {source}")]
pub(crate) struct WriteError {
    pub(crate) verb: &'static str,
    pub(crate) file: String,
    pub(crate) source: io::Error,
}

/// How messages call making something durable.
const SYNC: &str = "sync";

/// How messages call making a file.
const CREATE: &str = "create";

/// So many times its length a segment may have where the next one cannot be made.
const OVERLONG: u64 = 4;

impl WriteError {
    /// Whether the disk takes nothing more for the time being, and nothing else is wrong. What a
    /// failed sync says never counts: what reached the disk is then unknown.
    pub(crate) fn is_full(&self) -> bool {
        self.verb != SYNC && is_full(&self.source)
    }

    /// Whether nothing has happened but that a new file was not to be had, for want of a descriptor
    /// maybe: what is open serves on.
    pub(crate) fn is_without_effect(&self) -> bool {
        self.verb == CREATE && !self.is_full()
    }
}

/// Whether an error says that there is no room, or that nothing may be written at all.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Says what was tried when it fails.
pub(crate) fn at<'e>(
    verb: &'static str,
    file: &'e str,
) -> impl FnOnce(io::Error) -> WriteError + use<'e> {
    move |source| WriteError {
        verb,
        file: file.to_owned(),
        source,
    }
}

/// A segment just begun.
pub(crate) struct Begun {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) header: Header,
    pub(crate) start: Mark,
}

/// Appends to the last segment.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    data: PathBuf,
    sizes: Sizes,
    name: String,
    file: Arc<dyn DiskFile>,
    epoch: u64,
    /// The sequence its first record has or will have.
    first: Seq,
    end: Mark,
    allocated: u64,
    /// Whether that is the whole segment, so that it never grows while somebody waits.
    prepared: bool,
    /// Where it ended when this life began to write to it.
    resumed: u64,
    sealed: bool,
    /// Whether something was written since the last sync.
    unsynced: bool,
    /// Whether room is short, so that none is taken ahead.
    sparing: bool,
    /// The next segment, on its way.
    ahead: Option<Ahead>,
    /// Whether that is at its end, for others to see.
    ready: Arc<AtomicBool>,
    /// Whether it had to give way to this one.
    gave_way: bool,
}

impl Writer {
    /// Goes on in `file` at `end`, which is its length too; `sealed` if a seal stands before it.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        data: &Path,
        sizes: Sizes,
        file: Arc<dyn DiskFile>,
        header: Header,
        end: Mark,
        sealed: bool,
    ) -> Self {
        Self {
            disk,
            data: data.to_owned(),
            sizes,
            name: display_name(header.first),
            file,
            epoch: header.epoch,
            first: header.first,
            end,
            allocated: end.offset,
            prepared: false,
            resumed: end.offset,
            sealed,
            unsynced: false,
            sparing: false,
            ahead: None,
            ready: Arc::default(),
            gave_way: false,
        }
    }

    /// Tells whether the next segment is made, or could not be; false while nobody makes one.
    pub(crate) fn readiness(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }

    /// Takes no room ahead from now on, or again.
    pub(crate) fn spare(&mut self, sparing: bool) {
        self.sparing = sparing;
    }

    /// Gives back what was taken for the next segment, which is not prepared again; whether that was
    /// anything.
    pub(crate) fn give_way(&mut self) -> bool {
        self.gave_way = true;
        let ahead = self.ahead.take();
        ahead.map(Ahead::discard).is_some()
    }

    /// Where the next batch begins.
    pub(crate) fn end(&self) -> Mark {
        self.end
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Begins the next segment if `batch` does not fit into this one, or if it would have to take more
    /// room for it while the next one lies ready. Where its file is not to be had this one grows beyond its
    /// length, up to a bound.
    pub(crate) fn make_room(&mut self, batch: &Batch) -> Result<Option<Begun>, WriteError> {
        let length = self.end.offset + batch.bytes.len() as u64;
        let ready = || self.ahead.as_ref().is_some_and(Ahead::is_finished);
        let spared = !self.prepared && length + LAST_LINES > self.allocated && ready();
        if length <= self.sizes.segment && !spared {
            return Ok(None);
        }
        match self.rotate() {
            Err(error) if error.is_without_effect() && length <= OVERLONG * self.sizes.segment => {
                tracing::warn!(%error, "the next segment is begun later");
                Ok(None)
            }
            rotated => rotated,
        }
    }

    /// Begins the next segment if this one holds any record. After an error without effect this one is
    /// closed, and goes on with the next batch as after a stop in order.
    pub(crate) fn rotate(&mut self) -> Result<Option<Begun>, WriteError> {
        if self.end.last < self.first {
            return Ok(None);
        }
        self.close()?;
        let header = Header {
            epoch: self.epoch,
            first: Seq(self.end.last.0 + 1),
            previous: self.end.chain,
        };
        let whole = self.ahead.take_if(|ahead| ahead.is_finished());
        let prepared = whole.and_then(Ahead::take);
        let allocated = prepared.as_ref().map(|_| self.sizes.segment + LAST_LINES);
        let begun = begin(&*self.disk, &self.data, header, prepared)?;
        self.name = display_name(header.first);
        self.file = Arc::clone(&begun.file);
        self.first = header.first;
        self.end = begun.start;
        self.resumed = begun.start.offset;
        self.allocated = allocated.unwrap_or(begun.start.offset);
        self.prepared = allocated.is_some();
        self.sealed = false;
        self.unsynced = false;
        self.gave_way = false;
        Ok(Some(begun))
    }

    /// Writes a batch, which is durable after [`Self::sync`], and after which the chain is `chain`. Its
    /// bytes gain the commit line. After an error that says the disk is full it may be written again, to
    /// the same place.
    pub(crate) fn write(&mut self, batch: &mut Batch, chain: Chain) -> Result<(), WriteError> {
        let commit = Control::Commit {
            first: batch.first,
            count: batch.count(),
            chain,
        };
        let records = batch.bytes.len();
        commit.encode(&mut batch.bytes);
        if let Err(error) = self.put(&batch.bytes) {
            batch.bytes.truncate(records);
            return Err(error);
        }
        self.end.last = batch.last();
        self.end.chain = chain;
        self.sealed = false;
        Ok(())
    }

    /// States durably that everything so far is complete, unless that stands there already.
    pub(crate) fn seal(&mut self) -> Result<(), WriteError> {
        if self.sealed {
            return self.sync();
        }
        let seal = Control::Seal {
            seq: self.end.last,
            chain: self.end.chain,
        };
        let mut line = Vec::new();
        seal.encode(&mut line);
        self.put(&line)?;
        self.sync()?;
        self.sealed = true;
        Ok(())
    }

    /// Makes everything durable that was written.
    pub(crate) fn sync(&mut self) -> Result<(), WriteError> {
        if !self.unsynced || seeded::has(&*self.disk, Bug::SkipSync) {
            return Ok(());
        }
        let synced = match self.file.sync_data() {
            Err(_) if seeded::has(&*self.disk, Bug::RetryFailedSync) => self.file.sync_data(),
            synced => synced,
        };
        synced.map_err(at(SYNC, &self.name))?;
        self.unsynced = false;
        Ok(())
    }

    /// Seals and cuts the zeros off.
    pub(crate) fn close(&mut self) -> Result<(), WriteError> {
        self.seal()?;
        if self.allocated > self.end.offset {
            let length = self.end.offset;
            self.file.set_len(length).map_err(at("cut", &self.name))?;
            self.file.sync_all().map_err(at(SYNC, &self.name))?;
            self.allocated = length;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let length = self.end.offset + bytes.len() as u64;
        // A zero always stays behind: a file without one was closed, with its seal synced.
        if length >= self.allocated && self.sizes.preallocate > 0 {
            self.preallocate(length)?;
        }
        let written = self.file.write_at(self.end.offset, bytes);
        written.map_err(at("write to", &self.name))?;
        self.unsynced = true;
        self.end.offset = length;
        self.allocated = self.allocated.max(length);
        self.prepare();
        Ok(())
    }

    /// Has the next segment made, once this one has shown that it will fill up.
    fn prepare(&mut self) {
        let spares = self.sparing || self.gave_way || self.sizes.ahead == 0;
        let taken = self.end.offset - self.resumed;
        if self.ahead.is_none() && !spares && taken >= self.sizes.ahead {
            let path = self.data.join(DIRECTORY).join(PREPARED);
            let length = self.sizes.segment + LAST_LINES;
            self.ahead = Ahead::start(&self.disk, path, length, &self.ready);
        }
    }

    /// Fills the file durably with zeros up to a step past `length`. Steps grow with the file, so
    /// that a small store stays small.
    fn preallocate(&mut self, length: u64) -> Result<(), WriteError> {
        let least = PREALLOCATE_MIN.min(self.sizes.preallocate);
        let step = match self.sparing {
            true => 1,
            false => self.allocated.clamp(least, self.sizes.preallocate),
        };
        let target = length + step;
        let zeros = vec![0; 64 << 10];
        while self.allocated < target {
            let count = (target - self.allocated).min(zeros.len() as u64);
            let chunk = &zeros[..usize::try_from(count).expect("a chunk fits into memory")];
            let written = self.file.write_at(self.allocated, chunk);
            written.map_err(at("extend", &self.name))?;
            self.allocated += count;
        }
        // Until then a power cut may leave garbage there, which behind a part of a batch could not
        // be told from a damaged batch with another behind it.
        self.file.sync_data().map_err(at(SYNC, &self.name))
    }
}

/// Creates a segment with its header, in a prepared file if there is one; the name is durable before
/// anything is written below it. It gets its name last, so a segment without a whole header is never
/// the trace of a crash.
pub(crate) fn begin(
    disk: &dyn Disk,
    data: &Path,
    header: Header,
    prepared: Option<Box<dyn DiskFile>>,
) -> Result<Begun, WriteError> {
    let journal = data.join(DIRECTORY);
    let name = display_name(header.first);
    let (temporary, file) = match prepared {
        Some(file) => (journal.join(PREPARED), file),
        None => {
            let temporary = journal.join(TEMPORARY);
            let file = match disk.create_new(&temporary) {
                // What a full disk interrupted.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    disk.remove(&temporary).map_err(at("remove", &name))?;
                    disk.create_new(&temporary)
                }
                created => created,
            };
            (temporary, file.map_err(at(CREATE, &name))?)
        }
    };
    let line = header.encode();
    file.write_at(0, &line).map_err(at("write to", &name))?;
    file.sync_all().map_err(at(SYNC, &name))?;
    disk.rename(&temporary, &segment_path(data, header.first))
        .map_err(at("name", &name))?;
    if !seeded::has(disk, Bug::SkipDirectorySync) {
        disk.sync_dir(&journal).map_err(at(SYNC, DIRECTORY))?;
    }
    Ok(Begun {
        file: Arc::from(file),
        header,
        start: Mark {
            offset: line.len() as u64,
            last: Seq(header.first.0 - 1),
            chain: header.previous,
        },
    })
}
