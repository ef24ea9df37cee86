//! What goes wrong on a simulated disk, and when.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// What a disk can be asked to do. The order means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Creating a file.
    Create,
    /// Opening one.
    Open,
    /// Reading from one, its length included.
    Read,
    /// Writing to one.
    Write,
    /// Cutting or extending one.
    Resize,
    /// Making its content durable.
    Sync,
    /// Making names durable.
    SyncDir,
    /// Giving a file another name.
    Rename,
    /// Taking a name away.
    Remove,
    /// Creating a directory.
    MakeDir,
    /// Reading a directory.
    ReadDir,
    /// Locking a file.
    Lock,
}

impl Kind {
    /// Whether it may leave the disk other than it was. Only these have a number.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Open | Self::Read | Self::ReadDir => false,
            Self::Create
            | Self::Write
            | Self::Resize
            | Self::Sync
            | Self::SyncDir
            | Self::Rename
            | Self::Remove
            | Self::MakeDir
            | Self::Lock => true,
        }
    }
}

/// How one operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no effect and gives this error; later ones work.
    Error(io::ErrorKind),
    /// It is done, and this error is reported all the same.
    DoneButFailed(io::ErrorKind),
    /// A write gets this many of its bytes into the cache and then gives this error; anything else
    /// has no effect.
    Short {
        /// How far a write comes.
        written: usize,
        /// The error after it.
        error: io::ErrorKind,
    },
    /// The power goes: a write gets this many of its bytes into the cache, anything else has no
    /// effect, and nothing works afterwards.
    PowerOff {
        /// How far a write comes.
        written: usize,
    },
}

/// How often in a row an operation of some kind goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// So many times, then it works again.
    Times(u64),
    /// Until [`super::SimDisk::heal`].
    Forever,
}

/// One operation that was asked for, whether it worked or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number, from 1.
    pub number: u64,
    /// What it was.
    pub kind: Kind,
    /// The file or directory; of an open file the name it had when it was opened.
    pub path: PathBuf,
}

/// What is going to go wrong.
#[derive(Debug, Default)]
pub(super) struct Plan {
    by_number: BTreeMap<u64, Fault>,
    by_kind: Vec<Streak>,
}

/// Faults of one kind of operation, after so many that still work.
#[derive(Debug)]
struct Streak {
    kind: Kind,
    spared: u64,
    left: Option<u64>,
    fault: Fault,
}

impl Plan {
    pub(super) fn at(&mut self, number: u64, fault: Fault) {
        self.by_number.insert(number, fault);
    }

    pub(super) fn add(&mut self, kind: Kind, nth: u64, lasting: Lasting, fault: Fault) {
        self.by_kind.push(Streak {
            kind,
            spared: nth.saturating_sub(1),
            left: match lasting {
                Lasting::Times(times) => Some(times),
                Lasting::Forever => None,
            },
            fault,
        });
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How an operation goes wrong, if it does; `number` if it has one.
    pub(super) fn take(&mut self, kind: Kind, number: Option<u64>) -> Option<Fault> {
        let mut fault = number.and_then(|number| self.by_number.get(&number).copied());
        for streak in self.by_kind.iter_mut().filter(|s| s.kind == kind) {
            if streak.spared > 0 {
                streak.spared -= 1;
                continue;
            }
            match &mut streak.left {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            fault = fault.or(Some(streak.fault));
        }
        fault
    }
}
