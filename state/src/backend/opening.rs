//! Opening a store in a directory: to work with it, or only to read.
//!
//! Opening locks the directory, takes in the newest snapshot, recovers the journal behind it and starts the
//! thread that writes it. Opening to read does the same with its hands in its pockets: nothing is created, cut or
//! written anew, so that it works on a disk that is mounted read-only, too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::committer::Committer;
use super::file::FileStore;
use super::index::{Based, Index};
use super::linker::Linker;
use super::order::Order;
use super::reserve::Reserve;
use super::shared::Shared;
use crate::env::{Access, Disk, OsClock, ReadOnlyDisk, replace_file};
use crate::journal::record::Malformed;
use crate::journal::recovery::{RecoverError, Recovered, TornTail, recover};
use crate::journal::walk::{Found, Tail, WalkError, walk};
use crate::journal::writer::{Sizes, WriteError};
use crate::journal::{Corruption, DIRECTORY, RELAXED, TEMPORARY, behind};
use crate::lock::{DirLock, LockError, holder};
use crate::snapshot::archives::Archives;
use crate::snapshot::base::{self, Anchor, BaseError, DamagedSnapshot};
use crate::snapshot::fingerprints;
use crate::snapshot::prune::sweep;
use crate::snapshot::reader::PackError;
use crate::{Durability, Head, Seq, StreamName};

/// Why a store that is only read takes nothing.
const READ_ONLY: &str = "it is opened to be read only";

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
        let unusable = |reason: &str| unusable(dir, reason);
        ensure_dir(&*disk, dir).map_err(unusable("cannot create it"))?;
        disk.check_private(dir)
            .map_err(unusable("it is not private"))?;
        let lock = DirLock::acquire(&*disk, dir).map_err(|error| lock_error(dir, error))?;
        make_journal(&*disk, dir).map_err(unusable("cannot create its journal"))?;

        sweep(&*disk, dir).map_err(unusable("cannot remove an unfinished snapshot"))?;
        let (newest, archives) = find_base(&disk, dir)?;
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
        let (loading, recovered) = loaded.map_err(|error| match error {
            LoadError::Snapshot(corruption) => corruption.into(),
            LoadError::Recover(RecoverError::Walk(error)) => walk_error(dir, error),
            LoadError::Recover(RecoverError::Write(WriteError { verb, file, source })) => {
                unusable(&format!("cannot {verb} `{file}`"))(source)
            }
        })?;
        let Loading {
            mut order,
            mut index,
            ..
        } = loading;
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
        let next_segment = recovered.writer.readiness();
        let committer = Committer {
            shared: Arc::clone(&shared),
            writer: recovered.writer,
            linker: Linker::default(),
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
            lock: Some(lock),
            read_only: false,
            disk,
            dir: dir.to_owned(),
            epoch: opened.epoch,
            archives,
            snapshotting: Mutex::new(()),
            durability: options.durability,
            next_segment,
        };
        Ok((store, opened))
    }

    /// Opens the store in `dir` to read what is durable in it. Nothing is written, now or later: appends are refused
    /// as on a full disk, and what a crash left of a batch is passed over.
    ///
    /// # Errors
    /// See [`OpenError`]. A directory without a journal is not usable.
    pub fn open_to_read(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Opened), OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(ReadOnlyDisk::over(disk));
        disk.check_private(dir)
            .map_err(unusable(dir, "it is not private"))?;
        let lock = DirLock::acquire_to_read(&*disk, dir).map_err(|error| lock_error(dir, error))?;
        let (newest, archives) = find_base(&disk, dir)?;
        let mut loading = Loading::begin(&newest, &archives)?;
        let anchor = loading.anchor;
        let walked = walk(&*disk, dir, anchor, &mut |found| loading.take(found));
        let walked = walked.map_err(|error| walk_error(dir, error))?;
        if !walked.goes_past(newest.reached) {
            return Err(behind(walked.seq, newest.reached).into());
        }
        let Some(last) = walked.last else {
            let missing = io::ErrorKind::NotFound.into();
            return Err(unusable(dir, "it holds no journal")(missing));
        };
        if let Tail::Torn { reason, .. } = last.tail {
            tracing::warn!(
                reason,
                "a torn batch at the end, which nobody was told about, is passed over"
            );
        }
        let Loading {
            mut order, index, ..
        } = loading;
        order.restored();
        let opened = Opened {
            head: index.head().clone(),
            epoch: last.header.epoch,
            clean: last.tail == Tail::Sealed,
            torn: None,
            snapshot: newest.base.as_ref().map(|base| base.anchor.seq),
            damaged_snapshots: newest.damaged,
        };
        let store = Self {
            shared: Arc::new(Shared::new(order, index, Some(Arc::from(READ_ONLY)))),
            thread: Mutex::new(None),
            lock,
            read_only: true,
            disk,
            dir: dir.to_owned(),
            epoch: opened.epoch,
            archives,
            snapshotting: Mutex::new(()),
            durability: Durability::Sync,
            next_segment: Arc::default(),
        };
        Ok((store, opened))
    }
}

fn unusable(dir: &Path, reason: &str) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let (dir, reason) = (dir.to_owned(), reason.to_owned());
    move |source| OpenError::NotUsable {
        dir,
        reason,
        source,
    }
}

fn lock_error(dir: &Path, error: LockError) -> OpenError {
    match error {
        LockError::Held { pid } => OpenError::Held {
            dir: dir.to_owned(),
            pid,
        },
        LockError::Io(source) => unusable(dir, "cannot lock it")(source),
    }
}

fn walk_error(dir: &Path, error: WalkError) -> OpenError {
    match error {
        WalkError::Corrupt(corruption) => corruption.into(),
        WalkError::Newer(file, format) => OpenError::Newer { file, format },
        WalkError::Io(file, source) => unusable(dir, &format!("cannot read `{file}`"))(source),
    }
}

/// The newest snapshot that is as written, and the archives that belong to it.
fn find_base(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(base::Found, Arc<Archives>), OpenError> {
    let newest = base::find(&**disk, dir).map_err(|error| match error {
        BaseError::Io(file, source) => unusable(dir, &format!("cannot read `{file}`"))(source),
        BaseError::Newer(file, format) => OpenError::Newer { file, format },
    })?;
    let archives = match &newest.base {
        Some(base) => Archives::load(Arc::clone(disk), dir, base.pack.header()),
        None => Archives::none(Arc::clone(disk), dir),
    };
    Ok((newest, Arc::new(archives)))
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

/// Why a store could not be taken in.
enum LoadError {
    Recover(RecoverError),
    Snapshot(Corruption),
}

/// Order and index while a store is taken in.
pub(crate) struct Loading {
    pub(crate) order: Order,
    pub(crate) index: Index,
    pub(crate) anchor: Anchor,
}

impl Loading {
    /// Takes in the newest snapshot.
    pub(crate) fn begin(
        newest: &base::Found,
        archives: &Arc<Archives>,
    ) -> Result<Self, Corruption> {
        let base = newest.base.as_ref();
        let anchor = base.map_or(Anchor::START, |base| base.anchor);
        let mut order = Order::new();
        let mut index = Index::new(anchor.chain.head(anchor.seq));
        order.set_archives(Arc::clone(archives));
        if let Some(base) = base {
            start_from(base, &mut order, &mut index).map_err(|error| Corruption {
                file: base.pack.name().to_owned(),
                offset: 0,
                last_good: anchor.seq,
                reason: error.to_string(),
            })?;
        }
        Ok(Self {
            order,
            index,
            anchor,
        })
    }

    /// Takes in what follows in the journal.
    pub(crate) fn take(&mut self, found: Found<'_>) -> Result<(), Malformed> {
        match found {
            Found::Segment(file, header, start) => {
                self.index
                    .begin_segment(Arc::clone(file), header.first, start);
            }
            Found::Batch { start, .. } => self.index.mark(start),
            Found::Record(record) => {
                let stream = self.order.restore(record.line)?;
                self.index.add(stream, record.offset, record.text);
            }
            Found::End(end) => self.index.advance(end),
        }
        Ok(())
    }
}

/// Takes in the newest snapshot, then recovers the journal and takes in what follows it.
fn load(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    sizes: Sizes,
    newest: &base::Found,
    archives: &Arc<Archives>,
) -> Result<(Loading, Recovered), LoadError> {
    let mut loading = Loading::begin(newest, archives).map_err(LoadError::Snapshot)?;
    let anchor = loading.anchor;
    let recovered = recover(disk, dir, sizes, anchor, newest.reached, &mut |found| {
        loading.take(found)
    });
    let recovered = recovered.map_err(LoadError::Recover)?;
    Ok((loading, recovered))
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
