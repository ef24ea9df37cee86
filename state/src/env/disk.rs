//! Files and directories as a port.
//!
//! Small enough that a simulation can hold every operation against its rules: what is written is
//! durable after the file's sync, a name is durable after its directory's. No maps, no rings, no
//! async. Paths are the caller's business; the port neither joins nor cleans them.

use std::io;
use std::path::Path;

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// A file system. New files are private to their owner (0600), new directories too (0700).
///
/// # Errors
/// Every method gives the system's own error; interrupted calls are repeated inside.
pub trait Disk: Send + Sync {
    /// Creates and opens a file that must not exist.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a regular file that must exist; a link is refused.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Puts `from` in the place of `to`; whoever opens `to` sees the old file or the new one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted. Names that are not Unicode are left out.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Creates one directory that must not exist.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable. Windows has no such call: there it does nothing, and
    /// a name is as durable as the system's own log makes it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Refuses a directory that other users may write to.
    fn check_private(&self, path: &Path) -> io::Result<()>;
    /// Locks a file, created if need be, against other processes; `None` if somebody holds it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// The bug that whoever works on this disk shall have.
    #[cfg(feature = "seeded-bugs")]
    fn bug(&self) -> Option<crate::seeded::Bug> {
        None
    }
}

/// An open file. Positions are bytes from its start.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` as far as the file goes and says how far that is.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The system's; some of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Makes the content durable, and the length as far as reading needs it.
    ///
    /// # Errors
    /// The system's. After one nothing is known about what was written since the last success.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes content and all attributes durable.
    ///
    /// # Errors
    /// As [`Self::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// A held lock; dropping it releases, and so does the end of the process, however it ends.
pub trait DiskLock: Send + Sync {
    /// Whether the locked file is still the one that its path names. Where the system gives files
    /// no identity (Windows, where a locked file cannot be replaced), always.
    ///
    /// # Errors
    /// The system's.
    fn still_ours(&self) -> io::Result<bool>;
}

/// The whole content of a file.
///
/// # Errors
/// The system's; `InvalidData` if it is longer than `limit` bytes.
pub fn read_all(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let size = file.size()?;
    let length = usize::try_from(size)
        .ok()
        .filter(|_| size <= limit)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file is too large"))?;
    let mut bytes = vec![0; length];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Puts `bytes` in the place of `path` at once, by way of `temporary` in the same directory.
/// With `durable`, content and name are synced before it returns.
///
/// # Errors
/// The system's; `path` then holds what it held, or the new content.
pub fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    durable: bool,
) -> io::Result<()> {
    let file = match disk.create_new(temporary) {
        // What an interrupted replacement left behind.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(temporary)?;
            disk.create_new(temporary)?
        }
        created => created?,
    };
    file.write_at(0, bytes)?;
    if durable {
        file.sync_all()?;
    }
    drop(file);
    disk.rename(temporary, path)?;
    match path.parent() {
        Some(directory) if durable => disk.sync_dir(directory),
        _ => Ok(()),
    }
}
