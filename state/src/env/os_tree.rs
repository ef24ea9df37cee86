//! Trees by directory handles: the real ones on Unix.
//!
//! Every call walks from the root's handle, one part at a time, and opens no link; so a directory
//! that is swapped for a link between two calls, or in the middle of one, leads nowhere. Like `os`,
//! this file is a door to the system and nothing else.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with,
    statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::OsDisk;
use super::tree::{Content, Found, Tree, Trees};
use crate::transaction::TreePath;

struct OsTree {
    root: OwnedFd,
}

impl Trees for OsDisk {
    fn open_tree(&self, root: &Path) -> io::Result<Box<dyn Tree>> {
        let root = retry_on_intr(|| rustix::fs::open(root, DIRECTORY, Mode::empty()))?;
        Ok(Box::new(OsTree { root }))
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl OsTree {
    /// A handle on a directory below the root.
    fn directory(&self, path: Option<&TreePath>) -> io::Result<OwnedFd> {
        let mut directory = retry_on_intr(|| openat(&self.root, ".", DIRECTORY, Mode::empty()))?;
        for part in path.iter().flat_map(|path| path.parts()) {
            directory = retry_on_intr(|| openat(&directory, part, DIRECTORY, Mode::empty()))?;
        }
        Ok(directory)
    }

    fn parent(&self, path: &TreePath) -> io::Result<OwnedFd> {
        self.directory(path.parent().as_ref())
    }
}

/// Not every file system can rename with conditions.
fn cannot(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
}

impl Tree for OsTree {
    fn look(&self, path: &TreePath) -> io::Result<Option<Found>> {
        let parent = self.parent(path)?;
        match retry_on_intr(|| statat(&parent, path.name(), AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(found) => Ok(Some(match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => Found::File,
                FileType::Directory => Found::Directory,
                _ => Found::Other,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, path: &TreePath, limit: u64) -> io::Result<Content> {
        let parent = self.parent(path)?;
        // Opening a pipe must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(retry_on_intr(|| {
            openat(&parent, path.name(), flags, Mode::empty())
        })?);
        let metadata = file.metadata()?;
        let refused = |kind, why| Err(io::Error::new(kind, why));
        if !metadata.is_file() {
            return refused(io::ErrorKind::InvalidInput, "it is not a regular file");
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return refused(
                io::ErrorKind::PermissionDenied,
                "it belongs to another user",
            );
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return refused(io::ErrorKind::InvalidData, "the file is too large");
        }
        Ok(Content {
            bytes,
            mode: Some(metadata.permissions().mode() & 0o777),
        })
    }

    fn names(&self, directory: Option<&TreePath>) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.directory(directory)?)? {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
        let parent = self.parent(path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let ours = Mode::from_raw_mode(0o666);
        let mut file = File::from(retry_on_intr(|| openat(&parent, path.name(), flags, ours))?);
        file.write_all(bytes)?;
        if let Some(mode) = mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
        }
        file.sync_all()
    }

    fn rename_new(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        let (source, target) = (self.parent(from)?, self.parent(to)?);
        let (from, to) = (from.name(), to.name());
        match retry_on_intr(|| renameat_with(&source, from, &target, to, RenameFlags::NOREPLACE)) {
            Err(error) if cannot(error) => {}
            renamed => return Ok(renamed?),
        }
        // Not at once, but as near as such a file system allows.
        match retry_on_intr(|| statat(&target, to, AtFlags::SYMLINK_NOFOLLOW)) {
            Err(Errno::NOENT) => Ok(retry_on_intr(|| renameat(&source, from, &target, to))?),
            Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(error) => Err(error.into()),
        }
    }

    fn exchange(&self, one: &TreePath, other: &TreePath) -> io::Result<()> {
        let (first, second) = (self.parent(one)?, self.parent(other)?);
        let (one, other) = (one.name(), other.name());
        match retry_on_intr(|| renameat_with(&first, one, &second, other, RenameFlags::EXCHANGE)) {
            Err(error) if cannot(error) => Err(io::Error::from(io::ErrorKind::Unsupported)),
            exchanged => Ok(exchanged?),
        }
    }

    fn replace(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        let (source, target) = (self.parent(from)?, self.parent(to)?);
        Ok(retry_on_intr(|| {
            renameat(&source, from.name(), &target, to.name())
        })?)
    }

    fn remove(&self, path: &TreePath) -> io::Result<()> {
        let parent = self.parent(path)?;
        Ok(retry_on_intr(|| {
            unlinkat(&parent, path.name(), AtFlags::empty())
        })?)
    }

    fn make_dir(&self, path: &TreePath) -> io::Result<()> {
        let parent = self.parent(path)?;
        Ok(retry_on_intr(|| {
            mkdirat(&parent, path.name(), Mode::from_raw_mode(0o777))
        })?)
    }

    fn remove_dir(&self, path: &TreePath) -> io::Result<()> {
        let parent = self.parent(path)?;
        Ok(retry_on_intr(|| {
            unlinkat(&parent, path.name(), AtFlags::REMOVEDIR)
        })?)
    }

    fn sync_dir(&self, directory: Option<&TreePath>) -> io::Result<()> {
        File::from(self.directory(directory)?).sync_all()
    }
}
