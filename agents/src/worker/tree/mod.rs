//! A child and everything it started, ended as one.
//!
//! On Unix the child leads a process group of its own; elsewhere it lives in a job object. A process
//! that left the group (`setsid`) is out of reach. The child is collected only after the group was
//! killed: an ended but uncollected leader keeps its number from being given to strangers.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::Tree;
#[cfg(windows)]
pub(super) use windows::Tree;

use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// The three pipes of a child.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// What becomes of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It ended; the rest of its group may still be there.
    Ended,
    /// It was stopped by a signal and does nothing; only Unix knows this.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no such state on this system"))]
    Stopped,
    /// It goes on after a stop.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no such state on this system"))]
    Continued,
}
