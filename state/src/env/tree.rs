//! The files below one root as a port: what a working tree lets a transaction do.
//!
//! Nothing outside the root can be reached: no link is followed on the way, and none is opened. A
//! handle is good for many calls, and between two of them everything may have changed: whoever uses
//! this compares content, not memory. Durability is as for [`super::Disk`]: content by its file's
//! sync, names by their directory's.

use std::io;
use std::path::Path;

use crate::transaction::TreePath;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, a device, a pipe.
    Other,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its permission bits, where the system has them.
    pub mode: Option<u32>,
}

/// Opens roots.
pub trait Trees: Send + Sync {
    /// The files below `root`, an existing directory.
    ///
    /// # Errors
    /// The system's own.
    fn open_tree(&self, root: &Path) -> io::Result<Box<dyn Tree>>;
}

/// The files below one root.
///
/// # Errors
/// Every method gives the system's own error; where a directory on the way is missing, `NotFound`,
/// and where it is none, `NotADirectory` or what the system says about links.
pub trait Tree: Send + Sync {
    /// What stands at `path`, which is not followed if it is a link.
    fn look(&self, path: &TreePath) -> io::Result<Option<Found>>;
    /// A regular file of at most `limit` bytes; `InvalidData` if it is longer.
    fn read(&self, path: &TreePath, limit: u64) -> io::Result<Content>;
    /// The names in a directory; `None` is the root.
    fn names(&self, directory: Option<&TreePath>) -> io::Result<Vec<String>>;
    /// Creates a file that must not exist, fills it and syncs it. Without a mode it gets what the
    /// system gives new files.
    fn create(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<()>;
    /// Gives what stands at `from` the name `to`, which must be free: `AlreadyExists`.
    fn rename_new(&self, from: &TreePath, to: &TreePath) -> io::Result<()>;
    /// Exchanges two names at once; `Unsupported` where the system cannot.
    fn exchange(&self, one: &TreePath, other: &TreePath) -> io::Result<()>;
    /// Puts the file `from` in the place of the file `to`.
    fn replace(&self, from: &TreePath, to: &TreePath) -> io::Result<()>;
    /// Removes a file or a link.
    fn remove(&self, path: &TreePath) -> io::Result<()>;
    /// Creates a directory that must not exist.
    fn make_dir(&self, path: &TreePath) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &TreePath) -> io::Result<()>;
    /// Makes the names in a directory durable; `None` is the root.
    fn sync_dir(&self, directory: Option<&TreePath>) -> io::Result<()>;
}
