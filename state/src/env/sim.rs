//! A disk in memory that forgets like a real one.
//!
//! Content is durable after its file's sync, names after their directory's sync; a reboot keeps
//! all, none or a random part of the rest. Every operation that changes something has a number,
//! from 1, at which it can fail or the power can go. After that all operations fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::{Access, Disk, DiskFile, DiskLock, Entropy, SeededEntropy};

/// What goes wrong at a numbered operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no effect and gives this error; later ones work.
    Error(io::ErrorKind),
    /// The power goes: a write gets this many of its bytes into the cache, anything else has no
    /// effect, and nothing works afterwards.
    PowerOff {
        /// How far a write comes.
        written: usize,
    },
}

/// What outlives a reboot of that which was never synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survive {
    /// All of it: only the process died.
    Everything,
    /// None of it.
    Nothing,
    /// Each write or not, or some of its 512-byte sectors; names up to a random change.
    Some {
        /// The same seed keeps the same.
        seed: u64,
    },
}

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    File(u64),
    Directory,
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(PathBuf, Name),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Name>) {
        match self {
            Self::Put(path, name) => {
                names.insert(path.clone(), *name);
            }
            Self::Gone(path) => {
                names.remove(path);
            }
            Self::Moved(from, to) => {
                if let Some(name) = names.remove(from) {
                    names.insert(to.clone(), name);
                }
            }
        }
    }

    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _) | Self::Gone(path) | Self::Moved(_, path) => path.parent(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, Name>,
    durable_names: BTreeMap<PathBuf, Name>,
    unsynced_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    faults: BTreeMap<u64, Fault>,
    operations: u64,
    off: bool,
}

/// A simulated disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk with an empty root directory.
    #[must_use]
    pub fn new() -> Self {
        let disk = Self::default();
        let mut state = disk.state();
        state.names.insert(PathBuf::from("/"), Name::Directory);
        state.durable_names = state.names.clone();
        drop(state);
        disk
    }

    /// Lets something go wrong at the operation with this number.
    pub fn plan(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// How many operations have changed something or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The disk as the next boot finds it. This one is off from now on.
    #[must_use]
    pub fn reboot(&self, survive: Survive) -> Self {
        let mut old = self.state();
        old.off = true;
        let mut entropy = SeededEntropy::new(match survive {
            Survive::Some { seed } => seed,
            Survive::Everything | Survive::Nothing => 0,
        });
        let kept_names = match survive {
            Survive::Everything => old.unsynced_names.len(),
            Survive::Nothing => 0,
            Survive::Some { .. } => below(&mut entropy, old.unsynced_names.len() + 1),
        };
        let mut names = old.durable_names.clone();
        for change in &old.unsynced_names[..kept_names] {
            change.apply(&mut names);
        }
        // A name below a directory that was never made durable is gone with it.
        let directories = names.clone();
        names.retain(|path, _| {
            let mut above = path.ancestors().skip(1);
            above.all(|parent| directories.get(parent) == Some(&Name::Directory))
        });
        let inodes = old.inodes.iter().map(|(&id, inode)| {
            let content = match survive {
                Survive::Everything => inode.live.clone(),
                Survive::Nothing => inode.durable.clone(),
                Survive::Some { .. } => some_of(inode, &mut entropy),
            };
            let inode = Inode {
                live: content.clone(),
                durable: content,
                unsynced: Vec::new(),
            };
            (id, inode)
        });
        let state = State {
            inodes: inodes.collect(),
            durable_names: names.clone(),
            names,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The disk as the next process finds it when this one dies and the power stays: everything is
    /// there, but what was not synced still is not. This one is off from now on.
    #[must_use]
    pub fn next_process(&self) -> Self {
        let mut old = self.state();
        old.off = true;
        let state = State {
            inodes: old.inodes.clone(),
            names: old.names.clone(),
            durable_names: old.durable_names.clone(),
            unsynced_names: old.unsynced_names.clone(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Another disk with the same content; this one goes on.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = self.reboot(Survive::Everything);
        self.state().off = false;
        copy
    }

    /// Changes a file's content behind everybody's back, as bad hardware does.
    ///
    /// # Panics
    /// There is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.file(path).expect("the file to damage exists");
        let inode = state.inode(id);
        change(&mut inode.live);
        inode.durable = inode.live.clone();
        inode.unsynced.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while the disk is locked")
    }
}

fn below(entropy: &mut SeededEntropy, bound: usize) -> usize {
    usize::try_from(entropy.next_u64() % bound as u64).expect("a remainder is below its divisor")
}

/// The durable content and a random part of what was written since.
fn some_of(inode: &Inode, entropy: &mut SeededEntropy) -> Vec<u8> {
    let mut content = inode.durable.clone();
    for change in &inode.unsynced {
        match (below(entropy, 3), change) {
            (0, _) => {}
            (1, Change::Write(offset, bytes)) => {
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    if below(entropy, 2) == 0 {
                        write(&mut content, offset + (index * SECTOR) as u64, sector);
                    }
                }
            }
            (_, change) => change.apply(&mut content),
        }
    }
    content
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => write(content, *offset, bytes),
            Self::SetLen(length) => content.resize(index(*length), 0),
        }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits into memory")
}

fn write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = index(offset);
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    /// Counts an operation; `Ok(Some(n))` is a write that stops after `n` bytes.
    fn begin(&mut self) -> io::Result<Option<usize>> {
        self.alive()?;
        self.operations += 1;
        match self.faults.get(&self.operations) {
            None => Ok(None),
            Some(Fault::Error(kind)) => Err(io::Error::from(*kind)),
            Some(Fault::PowerOff { written }) => {
                self.off = true;
                Ok(Some(*written))
            }
        }
    }

    /// As [`Self::begin`], for what happens or not.
    fn begin_whole(&mut self) -> io::Result<()> {
        match self.begin()? {
            None => Ok(()),
            Some(_) => Err(power_is_off()),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.off {
            Err(power_is_off())
        } else {
            Ok(())
        }
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Name::File(id)) => Ok(*id),
            Some(Name::Directory) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn directory(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Name::Directory) => Ok(()),
            Some(Name::File(_)) => Err(io::Error::from(io::ErrorKind::NotADirectory)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn inode(&mut self, id: u64) -> &mut Inode {
        self.inodes.entry(id).or_default()
    }

    fn rename_entry(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn put_new(&mut self, path: &Path, name: Name) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        if self.names.contains_key(path) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.rename_entry(NameChange::Put(path.to_owned(), name));
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.begin_whole()?;
        let id = state.inodes.keys().next_back().map_or(1, |last| last + 1);
        state.put_new(path, Name::File(id))?;
        state.inode(id);
        Ok(Box::new(SimFile {
            disk: self.clone(),
            id,
        }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        state.alive()?;
        let id = state.file(path)?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            id,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.file(from)?;
        state.rename_entry(NameChange::Moved(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.file(path)?;
        state.rename_entry(NameChange::Gone(path.to_owned()));
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.alive()?;
        state.directory(path)?;
        let children = state
            .names
            .keys()
            .filter(|child| child.parent() == Some(path));
        let names = children.filter_map(|child| child.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.put_new(path, Name::Directory)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.directory(path)?;
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            if change.directory() == Some(path) {
                change.apply(&mut state.durable_names);
            } else {
                state.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    fn check_private(&self, path: &Path) -> io::Result<()> {
        let state = self.state();
        state.alive()?;
        state.directory(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.state();
        state.alive()?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock {
            state: Arc::downgrade(&self.state),
            path: path.to_owned(),
        })))
    }
}

struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl SimFile {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin_whole()?;
        let inode = state.inode(self.id);
        inode.durable = inode.live.clone();
        inode.unsynced.clear();
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.inode(self.id).live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.alive()?;
        let content = &state.inode(self.id).live;
        let rest = content.get(index(offset)..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let stops = state.begin()?;
        let written = &bytes[..stops.unwrap_or(bytes.len()).min(bytes.len())];
        let inode = state.inode(self.id);
        let change = Change::Write(offset, written.to_vec());
        change.apply(&mut inode.live);
        inode.unsynced.push(change);
        match stops {
            None => Ok(()),
            Some(_) => Err(power_is_off()),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin_whole()?;
        let inode = state.inode(self.id);
        let change = Change::SetLen(length);
        change.apply(&mut inode.live);
        inode.unsynced.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

struct SimLock {
    state: Weak<Mutex<State>>,
    path: PathBuf,
}

impl DiskLock for SimLock {
    fn still_ours(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade()
            && let Ok(mut state) = state.lock()
        {
            state.locks.remove(&self.path);
        }
    }
}
