//! The embedded default: a store in a directory of one machine.
//!
//! Opening locks the directory, recovers the journal and starts the thread that writes it; see
//! [`super::committer`]. Records stay on disk: memory holds where they lie. A store that failed
//! stays failed until it is opened again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::committer::Committer;
use super::index::{Based, Index};
use super::order::{self, Order};
use super::reserve::Reserve;
use super::shared::{OnFailure, Shared};
use crate::env::{Access, Disk, OsClock, replace_file};
use crate::journal::frame::Chain;
use crate::journal::recovery::{RecoverError, Recovered, TornTail, recover};
use crate::journal::walk::{Found, WalkError};
use crate::journal::writer::{Sizes, WriteError};
use crate::journal::{Corruption, DIRECTORY, RELAXED, TEMPORARY};
use crate::lock::{DirLock, LockError, holder};
use crate::snapshot::archives::{Archives, Standing};
use crate::snapshot::base::{self, Anchor, BaseError, DamagedSnapshot};
use crate::snapshot::fingerprints;
use crate::snapshot::fold::{Fold, Taken};
use crate::snapshot::prune::sweep;
use crate::snapshot::reader::{Pack, PackError};
use crate::snapshot::{Keeping, Projection, SnapshotError};
use crate::{
    AppendError, Appended, Durability, Durable, Entry, Head, ReadError, Record, Seq, Store,
    StreamName, Timestamp, Unknown, Version,
};

/// How a file store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// The sizes of its files.
    pub sizes: Sizes,
    /// How long nothing must be appended before the journal is sealed.
    pub seal_after: Duration,
    /// What durable means.
    pub durability: Durability,
    /// How many bytes are kept for the moment when the disk is full.
    pub reserve: usize,
    /// How often a full disk is tried again.
    pub refill_after: Duration,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            sizes: Sizes::default(),
            seal_after: Duration::from_secs(1),
            durability: Durability::Sync,
            reserve: 1 << 20,
            refill_after: Duration::from_secs(1),
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The last record.
    pub head: Head,
    /// Which life of the store this is.
    pub epoch: u64,
    /// Whether the process before stopped in order, or there was none.
    pub clean: bool,
    /// What was cut: bytes of a batch that nobody was told about.
    pub torn: Option<TornTail>,
    /// The snapshot that it started from.
    pub snapshot: Option<Seq>,
    /// Newer snapshots that are not as written and were passed over.
    pub damaged_snapshots: Vec<DamagedSnapshot>,
}

/// Why a store could not be opened. Each variant is one exit code.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used (74).
    #[error("the data directory `{}` is not usable: {reason}: {source}", dir.display())]
    NotUsable {
        /// The directory.
        dir: PathBuf,
        /// What was tried.
        reason: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has it (75).
    #[error("the data directory `{}` is in use by {}", dir.display(), holder(*.pid))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The other process, as it said itself.
        pid: Option<u32>,
    },
    /// The journal is not what was written (76).
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A newer program wrote it (78).
    #[error("`{file}` has format {format}, which needs a newer program")]
    Newer {
        /// The file, relative to the data directory.
        file: String,
        /// Its format.
        format: u64,
    },
}

/// A store in a directory. Dropping it closes it.
pub struct FileStore {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    lock: DirLock,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    epoch: u64,
    archives: Arc<Archives>,
    /// Held while a snapshot is taken.
    snapshotting: Mutex<()>,
    durability: Durability,
}

impl FileStore {
    /// Opens the store in `dir`, which is created if it does not exist; its parent must.
    ///
    /// # Errors
    /// See [`OpenError`]. Corruption and a newer format leave everything as it is.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: FileOptions,
    ) -> Result<(Self, Opened), OpenError> {
        let unusable = |reason: &str| {
            let reason = reason.to_owned();
            move |source| OpenError::NotUsable {
                dir: dir.to_owned(),
                reason,
                source,
            }
        };
        ensure_dir(&*disk, dir).map_err(unusable("cannot create it"))?;
        disk.check_private(dir)
            .map_err(unusable("it is not private"))?;
        let lock = DirLock::acquire(&*disk, dir).map_err(|error| match error {
            LockError::Held { pid } => OpenError::Held {
                dir: dir.to_owned(),
                pid,
            },
            LockError::Io(source) => unusable("cannot lock it")(source),
        })?;
        make_journal(&*disk, dir).map_err(unusable("cannot create its journal"))?;

        sweep(&*disk, dir).map_err(unusable("cannot remove an unfinished snapshot"))?;
        let newest = base::find(&*disk, dir).map_err(|error| match error {
            BaseError::Io(file, source) => unusable(&format!("cannot read `{file}`"))(source),
            BaseError::Newer(file, format) => OpenError::Newer { file, format },
        })?;
        let archives = match &newest.base {
            Some(base) => Archives::load(Arc::clone(&disk), dir, base.pack.header()),
            None => Archives::none(Arc::clone(&disk), dir),
        };
        let archives = Arc::new(archives);
        let mut reserve = Reserve::new(&disk, dir, options.reserve);
        let loaded = match load(&disk, dir, options.sizes, &newest, &archives) {
            // The copy of the last segment needs room: that is what the reserve is for.
            Err(LoadError::Recover(RecoverError::Write(error)))
                if error.is_full() && reserve.give() =>
            {
                load(&disk, dir, options.sizes, &newest, &archives)
            }
            loaded => loaded,
        };
        let (mut order, mut index, recovered) = loaded.map_err(|error| match error {
            LoadError::Snapshot(corruption) => corruption.into(),
            LoadError::Recover(RecoverError::Walk(walk)) => match walk {
                WalkError::Corrupt(corruption) => corruption.into(),
                WalkError::Newer(file, format) => OpenError::Newer { file, format },
                WalkError::Io(file, source) => unusable(&format!("cannot read `{file}`"))(source),
            },
            LoadError::Recover(RecoverError::Write(WriteError { verb, file, source })) => {
                unusable(&format!("cannot {verb} `{file}`"))(source)
            }
        })?;
        index.replace_file(recovered.file);
        order.restored();
        let opened = Opened {
            head: index.head().clone(),
            epoch: recovered.header.epoch,
            clean: recovered.clean,
            torn: recovered.torn,
            snapshot: newest.base.as_ref().map(|base| base.anchor.seq),
            damaged_snapshots: newest.damaged,
        };
        promise(&*disk, dir, options.durability).map_err(unusable("cannot note its mode"))?;
        let full: Option<Arc<str>> = match reserve.refill() {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "no room for the reserve: only reads are answered");
                Some(Arc::from(format!("cannot reserve room: {error}")))
            }
        };
        let shared = Arc::new(Shared::new(order, index, full.clone()));
        let committer = Committer {
            shared: Arc::clone(&shared),
            writer: recovered.writer,
            reserve,
            durability: options.durability,
            seal_after: options.seal_after,
            clock: OsClock::new(),
            sync_due: None,
            refill_after: options.refill_after,
            refill_due: Duration::ZERO,
            full: full.unwrap_or_default(),
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(unusable("cannot start the journal's thread"))?;
        let store = Self {
            shared,
            thread: Mutex::new(Some(thread)),
            lock,
            disk,
            dir: dir.to_owned(),
            epoch: opened.epoch,
            archives,
            snapshotting: Mutex::new(()),
            durability: options.durability,
        };
        Ok((store, opened))
    }

    /// Why the store stopped, if it failed. The process should then end with exit code 70.
    #[must_use]
    pub fn failed(&self) -> Option<Unknown> {
        self.shared.failed()
    }

    /// Calls `then` when the store fails; at once if it has.
    pub fn when_failed(&self, then: OnFailure) {
        self.shared.when_failed(then);
    }

    /// Takes a snapshot of everything that is durable, archives closed streams, and takes away what
    /// nothing needs any more. Appends go on meanwhile. `None` if nothing was appended since the
    /// newest snapshot. Blocks: call it from a thread of its own.
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
            data: &self.dir,
            epoch: self.epoch,
            shared: &self.shared,
            archives: &self.archives,
        };
        fold.take(projection, keeping, now)
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
        self.lock.still_ours()
    }
}

/// Takes in what a snapshot holds.
fn start_from(base: &base::Base, order: &mut Order, index: &mut Index) -> Result<(), PackError> {
    index.set_base(Arc::clone(&base.pack));
    for entry in base.entries.iter() {
        let entry = entry?;
        let stream = order.restore_stream(StreamName::new(&entry.stream), entry.version);
        let based = Based {
            pack: Arc::clone(&base.pack),
            span: entry.span(),
            version: entry.version,
        };
        index.add_based(stream, based);
    }
    let header = base.pack.header();
    order.restore_point(base.anchor.seq, header.at, fingerprints(&header.forgotten));
    Ok(())
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

/// Why a store could not be taken in.
enum LoadError {
    Recover(RecoverError),
    Snapshot(Corruption),
}

/// Takes in the newest snapshot, then recovers the journal and takes in what follows it.
fn load(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    sizes: Sizes,
    newest: &base::Found,
    archives: &Arc<Archives>,
) -> Result<(Order, Index, Recovered), LoadError> {
    let anchor = newest
        .base
        .as_ref()
        .map_or(Anchor::START, |base| base.anchor);
    let mut order = Order::new();
    let mut index = Index::new(anchor.chain.head(anchor.seq));
    order.set_archives(Arc::clone(archives));
    if let Some(base) = &newest.base {
        start_from(base, &mut order, &mut index).map_err(|error| {
            LoadError::Snapshot(Corruption {
                file: base.pack.name().to_owned(),
                offset: 0,
                last_good: anchor.seq,
                reason: error.to_string(),
            })
        })?;
    }
    let recovered = recover(disk, dir, sizes, anchor, newest.reached, &mut |found| {
        match found {
            Found::Segment(file, header, start) => {
                index.begin_segment(Arc::clone(file), header.first, start);
            }
            Found::Batch { start, .. } => index.mark(start),
            Found::Record(record) => {
                let stream = order.restore(record.line)?;
                index.add(stream, record.offset, record.text);
            }
            Found::End(end) => index.advance(end),
        }
        Ok(())
    });
    let recovered = recovered.map_err(LoadError::Recover)?;
    Ok((order, index, recovered))
}

/// Notes durably that batches will not be synced one by one, or that they will be again; what
/// recovery may cut depends on it.
fn promise(disk: &dyn Disk, dir: &Path, durability: Durability) -> io::Result<()> {
    let journal = dir.join(DIRECTORY);
    let note = journal.join(RELAXED);
    let noted = disk.open(&note, Access::Read).is_ok();
    match durability {
        Durability::Sync if noted => {
            disk.remove(&note)?;
            disk.sync_dir(&journal)
        }
        Durability::Sync => Ok(()),
        Durability::Interval(_) | Durability::None => {
            let mode = format!("{}\n", durability.name());
            replace_file(disk, &note, &journal.join(TEMPORARY), mode.as_bytes(), true)
        }
    }
}

/// Creates a directory unless it exists.
fn ensure_dir(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.make_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Creates the journal's directory unless it exists. Its name and that of the data directory are
/// then durable: a process that made them may have died before it synced either.
fn make_journal(disk: &dyn Disk, data: &Path) -> io::Result<()> {
    let journal = data.join(DIRECTORY);
    let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    if disk.read_dir(&journal).is_err_and(missing) {
        match data.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => disk.sync_dir(parent)?,
            _ => disk.sync_dir(Path::new("."))?,
        }
    }
    ensure_dir(disk, &journal)?;
    disk.sync_dir(data)
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
