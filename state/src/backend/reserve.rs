//! Room kept for the moment when the disk is full.
//!
//! A file of zeros in the data directory. When the journal finds no room the file goes, so that what
//! was taken can still be written and told; from then on nothing is taken until there is room for
//! the file again. It is no promise: a file system that packs zeros keeps nothing for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Disk, replace_file};

const FILE: &str = "reserve";
const TEMPORARY: &str = "reserve.tmp";

/// The file, there or not.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    temporary: PathBuf,
    bytes: usize,
    there: bool,
}

impl Reserve {
    /// Of so many bytes in this directory; none at all for 0. It is there if it was left there.
    pub(crate) fn new(disk: &Arc<dyn Disk>, data: &Path, bytes: usize) -> Self {
        let path = data.join(FILE);
        let size = disk.open(&path, Access::Read).and_then(|file| file.size());
        Self {
            disk: Arc::clone(disk),
            path,
            temporary: data.join(TEMPORARY),
            bytes,
            there: bytes == 0 || size.is_ok_and(|size| size == bytes as u64),
        }
    }

    /// Whether the room was given away and has not come back.
    pub(crate) fn is_spent(&self) -> bool {
        !self.there
    }

    /// Gives the room away; false if there was none to give.
    pub(crate) fn give(&mut self) -> bool {
        if self.bytes == 0 || !self.there {
            return false;
        }
        self.there = false;
        self.disk.remove(&self.path).is_ok()
    }

    /// Takes the room again.
    ///
    /// # Errors
    /// The system's: most likely there is none yet.
    pub(crate) fn refill(&mut self) -> io::Result<()> {
        if self.there {
            return Ok(());
        }
        let zeros = vec![0; self.bytes];
        let (path, temporary) = (&self.path, &self.temporary);
        let filled = replace_file(&*self.disk, path, temporary, &zeros, false);
        if filled.is_err() {
            // The part that was written is room too, and somebody may need it.
            drop(self.disk.remove(&self.temporary));
        }
        self.there = filled.is_ok();
        filled
    }
}
