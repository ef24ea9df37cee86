//! A disk in memory that forgets like a real one.
//!
//! Content is durable after its file's sync, names after their directory's sync; a reboot keeps
//! all, none or a part of the rest, as the disk's [`Profile`] allows. Every operation that changes
//! something has a number, from 1, at which it can fail or the power can go; after that all
//! operations fail. Operations can also fail by their kind, once or for ever, be held up until a
//! test lets them go, or find the disk full. What a failed sync should have made durable never will
//! be by another, though it can be read: so does Linux. A sector that was synced is never damaged by a write
//! beside it: that much is asked of the hardware.

mod fault;
mod port;
mod survive;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

pub use fault::{Fault, Kind, Lasting, Operation};
pub use survive::{Profile, Survive};

use fault::Plan;
use survive::{Change, Inode, Name, NameChange, Survival};

#[derive(Debug, Default)]
struct State {
    profile: Profile,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, Name>,
    durable_names: BTreeMap<PathBuf, Name>,
    unsynced_names: Vec<(u64, NameChange)>,
    /// The locked files.
    locks: BTreeSet<u64>,
    plan: Plan,
    operations: u64,
    history: Vec<Operation>,
    capacity: Option<u64>,
    held: BTreeSet<Kind>,
    /// Files on which operations of a kind are held up.
    held_files: BTreeSet<(Kind, PathBuf)>,
    /// Operations that wait to be let go.
    waiting: usize,
    /// Whether something went wrong already.
    struck: bool,
    off: bool,
    #[cfg(feature = "seeded-bugs")]
    bug: Option<crate::seeded::Bug>,
    /// Rung when one of the three above changes.
    changed: Arc<Condvar>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Arc<Condvar>,
}

/// A simulated disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

impl SimDisk {
    /// An empty disk with an empty root directory that promises the least.
    #[must_use]
    pub fn new() -> Self {
        Self::with_profile(Profile::Strict)
    }

    /// An empty disk that keeps what this profile promises, as do its reboots.
    #[must_use]
    pub fn with_profile(profile: Profile) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Name::Directory)]);
        Self::of(State {
            profile,
            durable_names: root.clone(),
            names: root,
            ..State::default()
        })
    }

    fn of(state: State) -> Self {
        let changed = Arc::clone(&state.changed);
        let state = Mutex::new(state);
        Self {
            shared: Arc::new(Shared { state, changed }),
        }
    }

    /// Whoever works on this disk, and on its reboots, has this bug.
    #[cfg(feature = "seeded-bugs")]
    pub fn seed_bug(&self, bug: crate::seeded::Bug) {
        self.state().bug = Some(bug);
    }

    /// Lets something go wrong at the operation with this number.
    pub fn plan(&self, operation: u64, fault: Fault) {
        self.state().plan.at(operation, fault);
    }

    /// Lets the `nth` operation of this kind from now on, counted from 1, go wrong, and as many
    /// after it as `lasting` says.
    pub fn fail(&self, kind: Kind, nth: u64, lasting: Lasting, fault: Fault) {
        self.state().plan.add(kind, nth, lasting, fault);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state().plan.clear();
    }

    /// Takes no more than so many bytes of content in all: what goes beyond fails as on a full
    /// disk, and a write comes as far as there is room. `None` takes everything again.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The bytes of content in all files that have a name.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Holds up every operation of this kind until [`Self::let_go`].
    pub fn hold(&self, kind: Kind) {
        self.state().held.insert(kind);
    }

    /// Holds up every operation of this kind on the file with this name until [`Self::let_go`].
    pub fn hold_file(&self, kind: Kind, path: &Path) {
        self.state().held_files.insert((kind, path.to_owned()));
    }

    /// Lets operations of this kind on this file through again.
    pub fn let_go_of(&self, kind: Kind, path: &Path) {
        self.state().held_files.remove(&(kind, path.to_owned()));
        self.shared.changed.notify_all();
    }

    /// Lets operations of all kinds through again.
    pub fn let_go(&self) {
        let mut state = self.state();
        state.held.clear();
        state.held_files.clear();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until an operation is held up; false if something has gone wrong instead, so that it
    /// may never come.
    #[must_use]
    pub fn wait_for_held(&self) -> bool {
        let state = self.state();
        let undecided = |state: &mut State| state.waiting == 0 && !state.struck && !state.off;
        self.wait_while(state, undecided).waiting > 0
    }

    /// How many operations have changed something or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// All of them, in order.
    #[must_use]
    pub fn history(&self) -> Vec<Operation> {
        self.state().history.clone()
    }

    /// The numbers of the operations whose change is not durable yet.
    #[must_use]
    pub fn unsynced(&self) -> Vec<u64> {
        let state = self.state();
        let contents = state.inodes.values().flat_map(|inode| &inode.unsynced);
        let contents = contents.map(|(operation, _)| *operation);
        let names = state.unsynced_names.iter().map(|(operation, _)| *operation);
        let operations: BTreeSet<u64> = contents.chain(names).collect();
        operations.into_iter().collect()
    }

    /// Whether the power is off, because it was planned or the disk was taken away.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The disk as the next boot finds it. This one is off from now on.
    #[must_use]
    pub fn reboot(&self, survive: Survive) -> Self {
        let old = self.switch_off();
        let mut survival = Survival::new(survive, old.profile);
        let names = survival.names(&old.durable_names, &old.unsynced_names);
        let inodes = old.inodes.iter().map(|(&id, inode)| {
            let content = survival.content(inode);
            let inode = Inode {
                live: content.clone(),
                durable: content,
                unsynced: Vec::new(),
            };
            (id, inode)
        });
        let inodes = inodes.collect();
        Self::of(State {
            inodes,
            durable_names: names.clone(),
            names,
            ..old.next()
        })
    }

    /// The disk as the next process finds it when this one dies and the power stays: everything is
    /// there, but what was not synced still is not. This one is off from now on.
    #[must_use]
    pub fn next_process(&self) -> Self {
        let old = self.switch_off();
        Self::of(State {
            inodes: old.inodes.clone(),
            names: old.names.clone(),
            durable_names: old.durable_names.clone(),
            unsynced_names: old.unsynced_names.clone(),
            ..old.next()
        })
    }

    /// Another disk with the same content; this one goes on.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let was_off = self.is_off();
        let copy = self.reboot(Survive::Everything);
        self.state().off = was_off;
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

    fn switch_off(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.off = true;
        self.shared.changed.notify_all();
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("nothing panics while the disk is locked")
    }

    fn wait_while<'s>(
        &self,
        state: MutexGuard<'s, State>,
        condition: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'s, State>
    where
        Self: 's,
    {
        self.shared
            .changed
            .wait_while(state, condition)
            .expect("nothing panics while the disk is locked")
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

/// How an operation goes.
struct Course {
    /// How far a write comes.
    upto: usize,
    /// What is reported after it, if not success.
    then: Option<io::Error>,
}

impl State {
    fn holds(&self, kind: Kind, path: &Path) -> bool {
        let on_file = || self.held_files.contains(&(kind, path.to_owned()));
        self.held.contains(&kind) || (!self.held_files.is_empty() && on_file())
    }

    /// What goes over to the next boot or process, whatever becomes of the content.
    fn next(&self) -> Self {
        Self {
            profile: self.profile,
            capacity: self.capacity,
            #[cfg(feature = "seeded-bugs")]
            bug: self.bug,
            ..Self::default()
        }
    }

    /// Counts an operation and says how it goes.
    fn begin(&mut self, kind: Kind, path: &Path) -> io::Result<Course> {
        self.alive()?;
        let number = kind.changes().then(|| {
            self.operations += 1;
            let (number, path) = (self.operations, path.to_owned());
            self.history.push(Operation { number, kind, path });
            number
        });
        let whole = |then| Course {
            upto: usize::MAX,
            then,
        };
        let Some(fault) = self.plan.take(kind, number) else {
            return Ok(whole(None));
        };
        self.struck = true;
        self.changed.notify_all();
        match fault {
            Fault::Error(error) => Err(error.into()),
            Fault::DoneButFailed(error) => Ok(whole(Some(error.into()))),
            Fault::Short { written, error } => Ok(Course {
                upto: written,
                then: Some(error.into()),
            }),
            Fault::PowerOff { written } => {
                self.off = true;
                Ok(Course {
                    upto: written,
                    then: Some(power_is_off()),
                })
            }
        }
    }

    /// As [`Self::begin`], for what happens or not: the error to report after it was done, if any.
    fn begin_whole(&mut self, kind: Kind, path: &Path) -> io::Result<Option<io::Error>> {
        match self.begin(kind, path)? {
            Course { then: None, .. } => Ok(None),
            Course { upto, then } if upto == usize::MAX && !self.off => Ok(then),
            Course { then, .. } => then.map_or(Ok(None), Err),
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

    fn used(&self) -> u64 {
        let named = self.names.values().filter_map(|name| match name {
            Name::File(id) => self.inodes.get(id),
            Name::Directory => None,
        });
        named.map(|inode| inode.live.len() as u64).sum()
    }

    /// How much longer content may get.
    fn room(&self) -> u64 {
        let capacity = self.capacity.unwrap_or(u64::MAX);
        capacity.saturating_sub(self.used())
    }

    fn change(&mut self, id: u64, change: Change) {
        let operation = self.operations;
        let inode = self.inode(id);
        change.apply(&mut inode.live);
        inode.unsynced.push((operation, change));
    }

    fn rename_entry(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push((self.operations, change));
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

    fn new_file(&mut self, path: &Path) -> io::Result<u64> {
        let id = self.inodes.keys().next_back().map_or(1, |last| last + 1);
        self.put_new(path, Name::File(id))?;
        self.inode(id);
        Ok(id)
    }

    /// Makes the names of a directory durable, or of all where one log holds them.
    fn sync_names(&mut self, of: Option<&Path>) {
        let changes = std::mem::take(&mut self.unsynced_names);
        for (operation, change) in changes {
            let all = self.profile == Profile::Ext4;
            if all || of.is_some_and(|path| change.directory() == Some(path)) {
                change.apply(&mut self.durable_names);
            } else {
                self.unsynced_names.push((operation, change));
            }
        }
    }
}
