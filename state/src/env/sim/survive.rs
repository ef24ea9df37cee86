//! What a power cut leaves of that which was never synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::{Entropy as _, SeededEntropy};

const SECTOR: usize = 512;

/// What a file system promises about that which was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The least that POSIX allows: every write and every name on its own arrives, or not, or in
    /// part, or as zeros, or as garbage, in any order.
    #[default]
    Strict,
    /// As ext4 in its ordered mode: names arrive in their order and with any sync of anything, and
    /// no block shows what was never written to it.
    Ext4,
}

/// What outlives a reboot of that which was never synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survive {
    /// All of it: only the process died.
    Everything,
    /// None of it.
    Nothing,
    /// Each change or not, or a part of it, as the disk's [`Profile`] allows.
    Some {
        /// The same seed keeps the same.
        seed: u64,
    },
    /// Only the change that the operation with this number made.
    Only(u64),
    /// All but the change that the operation with this number made.
    AllBut(u64),
}

/// What becomes of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Dropped,
    /// Only its beginning arrived.
    Torn,
    /// Some of its sectors arrived.
    Sectors,
    /// The file got longer, and the bytes did not arrive.
    Zeroed,
    /// The bytes are others.
    Garbled,
}

/// Decides the fate of one change after the other.
pub(super) struct Survival {
    survive: Survive,
    profile: Profile,
    entropy: SeededEntropy,
}

impl Survival {
    pub(super) fn new(survive: Survive, profile: Profile) -> Self {
        let seed = match survive {
            Survive::Some { seed } => seed,
            Survive::Everything | Survive::Nothing | Survive::Only(_) | Survive::AllBut(_) => 0,
        };
        Self {
            survive,
            profile,
            entropy: SeededEntropy::new(seed),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.entropy.next_u64() % bound as u64)
            .expect("a remainder is below its divisor")
    }

    fn fate(&mut self, operation: u64) -> Fate {
        let kept = match self.survive {
            Survive::Everything => true,
            Survive::Nothing => false,
            Survive::Only(only) => only == operation,
            Survive::AllBut(lost) => lost != operation,
            Survive::Some { .. } => {
                let fates = [
                    Fate::Dropped,
                    Fate::Kept,
                    Fate::Sectors,
                    Fate::Torn,
                    Fate::Zeroed,
                    Fate::Garbled,
                ];
                let possible = match self.profile {
                    Profile::Strict => fates.len(),
                    Profile::Ext4 => 3,
                };
                return fates[self.below(possible)];
            }
        };
        if kept { Fate::Kept } else { Fate::Dropped }
    }

    /// The content of a file after the reboot.
    pub(super) fn content(&mut self, inode: &Inode) -> Vec<u8> {
        let mut content = inode.durable.clone();
        for (operation, change) in &inode.unsynced {
            let fate = self.fate(*operation);
            self.arrive(&mut content, change, fate);
        }
        content
    }

    fn arrive(&mut self, content: &mut Vec<u8>, change: &Change, fate: Fate) {
        let (offset, bytes) = match (fate, change) {
            (Fate::Dropped, _) => return,
            (Fate::Kept, change) => return change.apply(content),
            // A length is one number: it arrives or not.
            (Fate::Sectors | Fate::Torn, Change::SetLen(_)) => return change.apply(content),
            (Fate::Zeroed | Fate::Garbled, Change::SetLen(_)) => return,
            (_, Change::Write(offset, bytes)) => (*offset, bytes),
        };
        match fate {
            Fate::Dropped | Fate::Kept => {}
            Fate::Torn => {
                let arrived = self.below(bytes.len() + 1);
                write(content, offset, &bytes[..arrived]);
            }
            Fate::Sectors => {
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    if self.below(2) == 0 {
                        write(content, offset + (index * SECTOR) as u64, sector);
                    }
                }
            }
            Fate::Zeroed => {
                // What was there before stays; only new room shows zeros.
                let end = index(offset) + bytes.len();
                content.resize(content.len().max(end), 0);
            }
            Fate::Garbled => {
                let noise = bytes.iter().map(|byte| byte ^ self.noise());
                let noise: Vec<u8> = noise.collect();
                write(content, offset, &noise);
            }
        }
    }

    fn noise(&mut self) -> u8 {
        self.entropy.next_u64().to_le_bytes()[0]
    }

    /// The names after the reboot.
    pub(super) fn names(
        &mut self,
        durable: &BTreeMap<PathBuf, Name>,
        unsynced: &[(u64, NameChange)],
    ) -> BTreeMap<PathBuf, Name> {
        let mut names = durable.clone();
        let arrived = match (self.survive, self.profile) {
            // One log for all names: they arrive up to some moment.
            (Survive::Some { .. }, Profile::Ext4) => self.below(unsynced.len() + 1),
            _ => unsynced.len(),
        };
        for (operation, change) in &unsynced[..arrived] {
            let kept = match (self.survive, self.profile) {
                (Survive::Some { .. }, Profile::Strict) => self.below(2) == 0,
                (Survive::Some { .. }, Profile::Ext4) => true,
                _ => self.fate(*operation) == Fate::Kept,
            };
            if kept {
                change.apply(&mut names);
            }
        }
        // A name below a directory that was never made durable is gone with it.
        let directories = names.clone();
        names.retain(|path, _| {
            let mut above = path.ancestors().skip(1);
            above.all(|parent| directories.get(parent) == Some(&Name::Directory))
        });
        names
    }
}

/// A change of a file's content.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Change {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => write(content, *offset, bytes),
            Self::SetLen(length) => content.resize(index(*length), 0),
        }
    }
}

pub(super) fn index(offset: u64) -> usize {
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

/// A file's content: what everybody reads, what a sync made sure of, and the way between.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// With the numbers of the operations.
    pub(super) unsynced: Vec<(u64, Change)>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    File(u64),
    Directory,
}

/// A change of names. Each can arrive without the ones before it.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Put(PathBuf, Name),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf, Name),
    /// Two names and what each stands for afterwards: at once, as renaming is.
    Exchanged((PathBuf, Name), (PathBuf, Name)),
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, Name>) {
        match self {
            Self::Put(path, name) => {
                names.insert(path.clone(), *name);
            }
            Self::Gone(path) => {
                names.remove(path);
            }
            Self::Moved(from, to, name) => {
                names.remove(from);
                names.insert(to.clone(), *name);
            }
            Self::Exchanged(one, other) => {
                names.extend([one.clone(), other.clone()]);
            }
        }
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _)
            | Self::Gone(path)
            | Self::Moved(_, path, _)
            | Self::Exchanged(_, (path, _)) => path.parent(),
        }
    }
}
