//! Bugs that are built in on request: who proves that the tests would find them proves the tests.
//!
//! A bug belongs to a disk, so that every test has its own and nothing is global. Without the
//! feature `seeded-bugs` no disk has one and every question is answered at compile time; a release
//! build refuses the feature.

use crate::env::Disk;

#[cfg(all(feature = "seeded-bugs", not(debug_assertions)))]
compile_error!("the feature `seeded-bugs` breaks every promise: it is for tests only");

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A batch is reported durable without `fdatasync`.
    SkipSync,
    /// The name of a new segment is not made durable.
    SkipDirectorySync,
    /// Whoever waits is told before the batch is synced.
    AnswerBeforeSync,
    /// A read shows records before they are durable.
    ReadBeforeSync,
    /// The open segment is gone on with after an unclean stop, whatever the disk really got of it.
    ForgetTailRewrite,
    /// A sync that failed is tried again.
    RetryFailedSync,
    /// Damage before the last batch is taken for an unfinished one.
    CutAcknowledged,
    /// Compaction takes away the segments that only the newest snapshot can do without.
    DropNeededSegment,
    /// A restore begins in the epoch that was, with the sequence that was kept.
    RestoreLowers,
}

/// Whether whoever works on `disk` shall have this bug.
#[cfg(feature = "seeded-bugs")]
pub(crate) fn has(disk: &dyn Disk, bug: Bug) -> bool {
    disk.bug() == Some(bug)
}

/// Never: this is no build for tests of tests.
#[cfg(not(feature = "seeded-bugs"))]
pub(crate) fn has(_disk: &dyn Disk, _bug: Bug) -> bool {
    false
}
