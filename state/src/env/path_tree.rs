//! Trees by paths: for systems on which a directory's handle opens nothing.
//!
//! Every part of a path is looked at and must be no link before the path is used, so what lies
//! outside is reached only by somebody who swaps a directory in between: on such a system that hole
//! stays, and `docs/transactions.md` names it. There is no exchange of names either. Like `os`,
//! this file is a door to the system and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

#[cfg(not(unix))]
use super::tree::Trees;
use super::tree::{Content, Found, Tree};
use super::{Disk as _, OsDisk};
use crate::transaction::TreePath;

pub(super) struct PathTree {
    root: PathBuf,
}

#[cfg(not(unix))]
impl Trees for OsDisk {
    fn open_tree(&self, root: &Path) -> io::Result<Box<dyn Tree>> {
        Ok(Box::new(PathTree::open(root)?))
    }
}

impl PathTree {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if !fs::symlink_metadata(&root)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    fn directory(&self, path: Option<&TreePath>) -> io::Result<PathBuf> {
        let mut directory = self.root.clone();
        for part in path.iter().flat_map(|path| path.parts()) {
            directory.push(part);
            if !fs::symlink_metadata(&directory)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        Ok(directory)
    }

    fn path(&self, path: &TreePath) -> io::Result<PathBuf> {
        Ok(self.directory(path.parent().as_ref())?.join(path.name()))
    }
}

impl Tree for PathTree {
    fn look(&self, path: &TreePath) -> io::Result<Option<Found>> {
        match fs::symlink_metadata(self.path(path)?) {
            Ok(found) if found.is_file() => Ok(Some(Found::File)),
            Ok(found) if found.is_dir() => Ok(Some(Found::Directory)),
            Ok(_) => Ok(Some(Found::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &TreePath, limit: u64) -> io::Result<Content> {
        let path = self.path(path)?;
        if !fs::symlink_metadata(&path)?.is_file() {
            let why = "it is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut bytes = Vec::new();
        let file = OpenOptions::new().read(true).open(path)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let why = "the file is too large";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Content { bytes, mode: None })
    }

    fn names(&self, directory: Option<&TreePath>) -> io::Result<Vec<String>> {
        OsDisk.read_dir(&self.directory(directory)?)
    }

    fn create(&self, path: &TreePath, bytes: &[u8], _mode: Option<u32>) -> io::Result<()> {
        let path = self.path(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename_new(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        if self.look(to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.replace(from, to)
    }

    fn exchange(&self, _one: &TreePath, _other: &TreePath) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn replace(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        OsDisk.rename(&self.path(from)?, &self.path(to)?)
    }

    fn remove(&self, path: &TreePath) -> io::Result<()> {
        OsDisk.remove(&self.path(path)?)
    }

    fn make_dir(&self, path: &TreePath) -> io::Result<()> {
        fs::create_dir(self.path(path)?)
    }

    fn remove_dir(&self, path: &TreePath) -> io::Result<()> {
        fs::remove_dir(self.path(path)?)
    }

    fn sync_dir(&self, directory: Option<&TreePath>) -> io::Result<()> {
        OsDisk.sync_dir(&self.directory(directory)?)
    }
}
