//! The warden: what outlives a worker by just long enough to kill what the worker started.
//!
//! A worker that is killed with `kill -9` can end nothing any more. On Unix it therefore starts one more process
//! and holds the only writing end of a pipe to it. Through the pipe it names the process groups of its
//! commands; when the pipe closes, however the worker ended, the warden kills the groups that are left, and
//! ends. It needs no signal and no polling, and it knows nothing of tasks. On Windows the system does the same for a
//! job object, so nothing is named there and no process started.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::Warden;
#[cfg(unix)]
pub use unix::keep_watch;
#[cfg(windows)]
pub(super) use windows::Warden;
#[cfg(windows)]
pub use windows::keep_watch;
