//! Working trees on a simulated disk: the same names, the same content, the same faults.
//!
//! Besides the operations of a transaction there are the two of a stranger, who changes a file or
//! takes it away without asking anybody; what a stranger does is durable at once.

use std::io;
use std::path::{Path, PathBuf};

use super::super::Disk as _;
use super::super::tree::{Content, Found, Tree, Trees};
use super::survive::NameChange;
use super::{Kind, Name, SimDisk};
use crate::transaction::TreePath;

struct SimTree {
    disk: SimDisk,
    root: PathBuf,
}

impl Trees for SimDisk {
    fn open_tree(&self, root: &Path) -> io::Result<Box<dyn Tree>> {
        let state = self.state();
        state.alive()?;
        state.directory(root)?;
        drop(state);
        Ok(Box::new(SimTree {
            disk: self.clone(),
            root: root.to_owned(),
        }))
    }
}

impl SimDisk {
    /// A stranger writes a file, and the directories above it; none of them need exist.
    ///
    /// # Errors
    /// Something else of one of the names.
    pub fn put(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let above: Vec<_> = path.ancestors().skip(1).collect();
        for directory in above.into_iter().rev() {
            if !state.names.contains_key(directory) {
                let change = NameChange::Put(directory.to_owned(), Name::Directory);
                state.rename_entry(change);
                state.sync_names(directory.parent());
            }
        }
        let id = match state.names.get(path) {
            Some(Name::File(id)) => *id,
            Some(Name::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            None => {
                let id = state.new_file(path)?;
                state.sync_names(path.parent());
                id
            }
        };
        let inode = state.inode(id);
        inode.live = content.to_vec();
        inode.durable = content.to_vec();
        inode.unsynced.clear();
        Ok(())
    }

    /// Every file below a directory, with its content.
    #[must_use]
    pub fn files_below(&self, directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state();
        let below = state.names.iter().filter_map(|(path, name)| {
            let relative = path.strip_prefix(directory).ok()?;
            let Name::File(id) = name else { return None };
            let content = state.inodes.get(id)?.live.clone();
            Some((relative.to_owned(), content))
        });
        below.collect()
    }
}

impl SimTree {
    fn path(&self, path: &TreePath) -> PathBuf {
        self.root.join(path.as_str())
    }

    fn directory(&self, path: Option<&TreePath>) -> PathBuf {
        path.map_or_else(|| self.root.clone(), |path| self.path(path))
    }

    /// What stands at the name, for operations that move it.
    fn name(&self, path: &Path) -> io::Result<Name> {
        let state = self.disk.state();
        let name = state.names.get(path).copied();
        name.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Tree for SimTree {
    fn look(&self, path: &TreePath) -> io::Result<Option<Found>> {
        let path = self.path(path);
        let state = self.disk.state();
        state.alive()?;
        if let Some(parent) = path.parent() {
            state.directory(parent)?;
        }
        Ok(state.names.get(&path).map(|name| match name {
            Name::File(_) => Found::File,
            Name::Directory => Found::Directory,
        }))
    }

    fn read(&self, path: &TreePath, limit: u64) -> io::Result<Content> {
        let bytes = super::super::read_all(&self.disk, &self.path(path), limit)?;
        Ok(Content { bytes, mode: None })
    }

    fn names(&self, directory: Option<&TreePath>) -> io::Result<Vec<String>> {
        self.disk.read_dir(&self.directory(directory))
    }

    fn create(&self, path: &TreePath, bytes: &[u8], _mode: Option<u32>) -> io::Result<()> {
        let file = self.disk.create_new(&self.path(path))?;
        file.write_at(0, bytes)?;
        file.sync_all()
    }

    fn rename_new(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let name = self.name(&from)?;
        let mut state = self.disk.enter(Kind::Rename, &from);
        let then = state.begin_whole(Kind::Rename, &from)?;
        if let Some(parent) = to.parent() {
            state.directory(parent)?;
        }
        if state.names.contains_key(&to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_entry(NameChange::Moved(from, to, name));
        then.map_or(Ok(()), Err)
    }

    fn exchange(&self, one: &TreePath, other: &TreePath) -> io::Result<()> {
        let (one, other) = (self.path(one), self.path(other));
        let (first, second) = (self.name(&one)?, self.name(&other)?);
        let mut state = self.disk.enter(Kind::Rename, &one);
        let then = state.begin_whole(Kind::Rename, &one)?;
        state.rename_entry(NameChange::Exchanged((one, second), (other, first)));
        then.map_or(Ok(()), Err)
    }

    fn replace(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to))
    }

    fn remove(&self, path: &TreePath) -> io::Result<()> {
        self.disk.remove(&self.path(path))
    }

    fn make_dir(&self, path: &TreePath) -> io::Result<()> {
        self.disk.make_dir(&self.path(path))
    }

    fn remove_dir(&self, path: &TreePath) -> io::Result<()> {
        let path = self.path(path);
        let mut state = self.disk.enter(Kind::Remove, &path);
        let then = state.begin_whole(Kind::Remove, &path)?;
        state.directory(&path)?;
        let inside = state.names.keys().any(|name| name.parent() == Some(&*path));
        if inside {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.rename_entry(NameChange::Gone(path));
        then.map_or(Ok(()), Err)
    }

    fn sync_dir(&self, directory: Option<&TreePath>) -> io::Result<()> {
        self.disk.sync_dir(&self.directory(directory))
    }
}
