//! A child and everything it started, ended as one.
//!
//! On Unix the child leads a process group of its own; elsewhere it lives in a job object. A process
//! that left the group (`setsid`) is out of reach. The child is collected only after the group was
//! killed: an ended but uncollected leader keeps its number from being given to strangers. A child
//! may stay in our own group, because a terminal lets no other group read; then only itself is ended.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::Tree;
#[cfg(windows)]
pub use windows::Tree;

use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// The three pipes of a child.
#[derive(Debug)]
pub struct Pipes {
    /// What it reads.
    pub stdin: ChildStdin,
    /// What it answers.
    pub stdout: ChildStdout,
    /// What it says.
    pub stderr: ChildStderr,
}

/// What becomes of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It ended; the rest of its group may still be there.
    Ended,
    /// It was stopped by a signal and does nothing; only Unix knows this.
    Stopped,
    /// It goes on after a stop.
    Continued,
}
