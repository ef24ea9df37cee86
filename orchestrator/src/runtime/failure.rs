//! What ends a server that runs: the store, the lock, or a defect.

use phisync_state::Unknown;

/// Why a running server cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFailure {
    /// The journal cannot be written any more.
    #[error(transparent)]
    Store(Unknown),
    /// Somebody put another file in the place of the lock: another server may have started.
    #[error("the lock file of the data directory is not the one that this server locked")]
    LockLost,
    /// The thread that decides is gone. What it had not appended never happened.
    #[error("a thread of the server panicked: this is a defect of phisync")]
    Panicked,
}
