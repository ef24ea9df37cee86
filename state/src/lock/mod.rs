//! Locks: one writer for a data directory, named ones for everybody ([`NamedLock`]), and turns at what is changed by
//! comparing versions ([`TurnQueue`]).
//!
//! A directory's lock is the operating system's and dies with its holder; the file is never deleted. A
//! neighbour file tells who holds it, for messages only: nothing is decided by it.

mod named;
mod turn;

use std::io;
use std::path::Path;

use crate::env::{Disk, DiskLock, read_all, replace_file};
use crate::journal::writer::is_full;

pub use named::{
    Asked, LOCK_WAITERS_MAX, LockEvent, LockHolder, LockRequest, NamedLock, StaleLock, lock_stream,
};
pub use turn::{NotYourTurn, TURN_WAITERS_MAX, Turn, TurnAsked, TurnQueue, TurnRequest};

const LOCK: &str = "lock";
const HOLDER: &str = "lock.holder";
const HOLDER_TEMPORARY: &str = "lock.holder.tmp";
const HOLDER_BYTES_MAX: u64 = 64;

/// The held lock of a data directory; dropping it releases.
pub struct DirLock(Box<dyn DiskLock>);

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("it is in use by {}", holder(*.pid))]
    Held {
        /// That process, as it said itself.
        pid: Option<u32>,
    },
    /// The system does not let us.
    #[error("cannot lock it: {0}")]
    Io(#[source] io::Error),
}

/// How messages call the process that has a directory.
pub(crate) fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// Who has the directory, as it said itself; the lock counts, so that nothing depends on it.
fn noted_holder(disk: &dyn Disk, data: &Path) -> Option<u32> {
    let bytes = read_all(disk, &data.join(HOLDER), HOLDER_BYTES_MAX).ok()?;
    String::from_utf8(bytes).ok()?.trim().parse().ok()
}

impl DirLock {
    /// Locks the data directory without waiting.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(disk: &dyn Disk, data: &Path) -> Result<Self, LockError> {
        let Some(lock) = disk.try_lock(&data.join(LOCK)).map_err(LockError::Io)? else {
            let pid = noted_holder(disk, data);
            return Err(LockError::Held { pid });
        };
        let lock = Self(lock);
        // Between opening and locking the file may have been replaced under the same name.
        if !lock.still_ours().map_err(LockError::Io)? {
            return Err(LockError::Held { pid: None });
        }
        let pid = format!("{}\n", std::process::id());
        let (path, temporary) = (data.join(HOLDER), data.join(HOLDER_TEMPORARY));
        match replace_file(disk, &path, &temporary, pid.as_bytes(), false) {
            // Words for messages are not worth a start.
            Err(error) if is_full(&error) => {}
            noted => noted.map_err(LockError::Io)?,
        }
        Ok(lock)
    }

    /// Locks the data directory without writing, for somebody who only reads: nobody who writes comes in
    /// meanwhile. `None` where the system gives no lock, as on a disk that is mounted read-only.
    ///
    /// # Errors
    /// Another process has it.
    pub fn acquire_to_read(disk: &dyn Disk, data: &Path) -> Result<Option<Self>, LockError> {
        match disk.try_lock(&data.join(LOCK)) {
            Ok(Some(lock)) => Ok(Some(Self(lock))),
            Ok(None) => Err(LockError::Held {
                pid: noted_holder(disk, data),
            }),
            Err(error) => {
                tracing::warn!(%error, "the directory cannot be locked: somebody may change it meanwhile");
                Ok(None)
            }
        }
    }

    /// Whether the lock file is still the one that was locked. If not, somebody else may believe
    /// to be the only writer too: stop.
    ///
    /// # Errors
    /// The system's.
    pub fn still_ours(&self) -> io::Result<bool> {
        self.0.still_ours()
    }
}
