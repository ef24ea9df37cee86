//! The disks that a transaction touches: declared roots, and the blobs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Blobs, Digest, TreePath};
use crate::env::{Content, Found, Tree, Trees};
use crate::transaction::description::FILE_BYTES_MAX;
use crate::{FileId, FileIdError};

/// The working trees that transactions may change, by name. What is not declared cannot be reached.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    by_name: BTreeMap<FileId, Root>,
}

#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) path: String,
    /// Where the data directory lies in it, if it does.
    pub(super) reserved: Option<TreePath>,
}

/// Why a root cannot be declared.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// Its name breaks the grammar.
    #[error("`{name}` is no name of a root: {source}")]
    Name {
        /// What came.
        name: String,
        /// Why not.
        source: FileIdError,
    },
    /// Another root has the name.
    #[error("the root `{0}` is declared twice")]
    Twice(FileId),
    /// It is not a directory that can be named.
    #[error("the root `{name}` at `{}` cannot be used: {reason}", path.display())]
    Path {
        /// The root.
        name: FileId,
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Roots {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares the directory `path`, absolute and without links, as `name`. What lies in `data`
    /// stays out of reach, wherever that is.
    ///
    /// # Errors
    /// See [`RootsError`].
    pub fn declare(&mut self, name: &str, path: &Path, data: &Path) -> Result<(), RootsError> {
        let id = FileId::new(name).map_err(|source| RootsError::Name {
            name: name.to_owned(),
            source,
        })?;
        let unusable = |reason: &str| RootsError::Path {
            name: id.clone(),
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let Some(text) = path.to_str() else {
            return Err(unusable("its path is not Unicode"));
        };
        if path.starts_with(data) {
            return Err(unusable("it lies in the data directory"));
        }
        let reserved = match data.strip_prefix(path) {
            // A directory whose name no change can have needs no rule of its own.
            Ok(below) => below.to_str().and_then(|below| TreePath::new(below).ok()),
            Err(_) => None,
        };
        let root = Root {
            path: text.to_owned(),
            reserved,
        };
        if self.by_name.insert(id.clone(), root).is_some() {
            return Err(RootsError::Twice(id));
        }
        Ok(())
    }

    /// Their names and where they lie.
    pub fn iter(&self) -> impl Iterator<Item = (&FileId, &str)> {
        let roots = self.by_name.iter();
        roots.map(|(name, root)| (name, root.path.as_str()))
    }

    /// The name of the only one, for changes that name none.
    #[must_use]
    pub fn only(&self) -> Option<&FileId> {
        let mut names = self.by_name.keys();
        names.next().filter(|_| names.next().is_none())
    }

    pub(super) fn get(&self, name: &FileId) -> Option<&Root> {
        self.by_name.get(name)
    }
}

/// Does to disks what a transaction needs, one phase at a time. See the module.
#[derive(Clone)]
pub struct Workspace {
    trees: Arc<dyn Trees>,
    blobs: Blobs,
}

/// What a name stands for, as far as a transaction cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    File(Digest),
    /// A directory, a link, or more than a transaction ever writes.
    Other,
}

impl Workspace {
    /// Works on these disks.
    #[must_use]
    pub fn new(trees: Arc<dyn Trees>, blobs: Blobs) -> Self {
        Self { trees, blobs }
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub(super) fn open(&self, root: &str) -> io::Result<Box<dyn Tree>> {
        self.trees.open_tree(Path::new(root))
    }
}

/// As [`Tree::look`], where a missing directory means that nothing is there.
pub(super) fn look(tree: &dyn Tree, path: &TreePath) -> io::Result<Option<Found>> {
    match tree.look(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked,
    }
}

/// What a name stands for now.
pub(super) fn there(tree: &dyn Tree, path: &TreePath) -> io::Result<There> {
    match look(tree, path)? {
        None => Ok(There::Nothing),
        Some(Found::File) => match tree.read(path, FILE_BYTES_MAX) {
            Ok(Content { bytes, .. }) => Ok(There::File(Digest::of(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(There::Other),
            Err(error) => Err(error),
        },
        Some(Found::Directory | Found::Other) => Ok(There::Other),
    }
}
