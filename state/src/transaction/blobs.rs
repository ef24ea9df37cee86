//! Content by its hash, in `blobs/`: the pre-images and the new contents of transactions.
//!
//! A blob's name is what it must hold, so reading one verifies it. Writing one twice is harmless.
//! Which blobs are still needed is the caller's knowledge.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Digest;
use super::description::FILE_BYTES_MAX;
use crate::env::{Disk, read_all};

/// The directory, below the data directory.
const DIRECTORY: &str = "blobs";

/// Stands for a blob that is being written.
const TEMPORARY: &str = ".tmp";

/// The blobs of one data directory.
#[derive(Clone)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// One writer at a time: two with the same content would share a temporary name.
    writing: Arc<Mutex<()>>,
}

impl Blobs {
    /// Opens them; the directory is created, durably, if it is not there.
    ///
    /// # Errors
    /// The system's.
    pub fn open(disk: Arc<dyn Disk>, data: &Path) -> io::Result<Self> {
        let directory = data.join(DIRECTORY);
        match disk.make_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Also if it was there: it may have been created just before a crash.
        disk.sync_dir(data)?;
        Ok(Self {
            disk,
            directory,
            writing: Arc::default(),
        })
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.as_str())
    }

    /// Keeps a content; durable after [`Self::sync`].
    ///
    /// # Errors
    /// The system's.
    pub fn put(&self, content: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(content);
        let _alone = self.alone();
        if self.get(&digest)?.is_some() {
            return Ok(digest);
        }
        let path = self.path(&digest);
        let temporary = self.directory.join(format!("{digest}{TEMPORARY}"));
        match self.disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.disk.create_new(&temporary)?;
        file.write_at(0, content)?;
        file.sync_all()?;
        drop(file);
        self.disk.rename(&temporary, &path)?;
        Ok(digest)
    }

    /// Makes the names of everything that was put durable.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.directory)
    }

    /// A content; `None` if it is not kept, or what is there is not it.
    ///
    /// # Errors
    /// The system's.
    pub fn get(&self, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        match read_all(&*self.disk, &self.path(digest), FILE_BYTES_MAX) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes every blob that is not in `needed`, and what interrupted writers left. Says how many
    /// went.
    ///
    /// # Errors
    /// The system's; some may have gone.
    pub fn collect(&self, needed: &BTreeSet<Digest>) -> io::Result<usize> {
        let _alone = self.alone();
        let mut gone = 0;
        for name in self.disk.read_dir(&self.directory)? {
            let unneeded = match name.strip_suffix(TEMPORARY) {
                Some(_) => true,
                // Whatever else lies here is not ours to remove.
                None => Digest::parse(&name).is_ok_and(|digest| !needed.contains(&digest)),
            };
            if unneeded {
                self.disk.remove(&self.directory.join(&name))?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}
