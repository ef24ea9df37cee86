//! A disk that nothing is written to, whoever asks.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Access, Disk, DiskFile, DiskLock};

/// Another disk, to look at: what would change it is refused as the system refuses it on a file
/// system that is mounted read-only.
#[derive(Clone)]
pub struct ReadOnlyDisk(Arc<dyn Disk>);

impl ReadOnlyDisk {
    /// Over this one.
    #[must_use]
    pub fn over(disk: Arc<dyn Disk>) -> Self {
        Self(disk)
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnlyDisk {
    fn create_new(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        refused()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        match access {
            Access::Read => self.0.open(path, access),
            Access::Write => refused(),
        }
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.open(path, Access::Read)?;
        refused()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.read_dir(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match self.0.read_dir(path) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => refused(),
        }
    }

    /// There is nothing that is not durable.
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn check_private(&self, path: &Path) -> io::Result<()> {
        self.0.check_private(path)
    }

    /// Locks a file that is there, as far as the system lets us.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.0.open(path, Access::Read)?;
        self.0.try_lock(path)
    }

    #[cfg(feature = "seeded-bugs")]
    fn bug(&self) -> Option<crate::seeded::Bug> {
        self.0.bug()
    }
}
