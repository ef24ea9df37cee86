//! What a transaction is to do, before anybody has looked at a disk.
//!
//! Pure data, made by a reader, by the engine or by a revert. [`Transaction::check`] finds what is
//! wrong with it whatever the disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Digest, TreePath};
use crate::{FileId, Version};

/// The most changes of one transaction.
pub const CHANGES_MAX: usize = 1000;

/// The most bytes of one file, before or after.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Several changes, of which all happen or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// In the order in which they were given.
    pub changes: Vec<Change>,
    /// The named locks under which it is made; each must still be held when it is decided.
    pub under: Vec<UnderLock>,
    /// Why, for those who look at it later.
    pub reason: Option<String>,
}

/// A lock that the caller says it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderLock {
    /// The lock.
    pub lock: FileId,
    /// Its fencing token.
    pub token: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of a file in a working tree.
    File(FileChange),
    /// Of a shared document.
    Document(DocumentChange),
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The working tree.
    pub root: FileId,
    /// The file in it.
    pub path: TreePath,
    /// What happens.
    pub op: FileOp,
    /// What must be there for it.
    pub expect: Expect,
}

/// The operations on files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOp {
    /// The file holds this afterwards, whether it existed or not.
    Write {
        /// All of it.
        content: Vec<u8>,
        /// Permission bits; without them an existing file keeps its own.
        mode: Option<u32>,
    },
    /// A unified diff is applied.
    Patch(String),
    /// The file goes.
    Delete,
    /// The file gets another name, which must be free.
    Move(TreePath),
    /// A directory comes to be.
    MakeDir,
    /// A directory goes if it is empty. Only a revert does this.
    RemoveDir,
}

/// What a change relies on. The content is compared again when the transaction is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Anything,
    /// Nothing of that name.
    Absent,
    /// A file.
    Present,
    /// A file with this content.
    Content(Digest),
}

/// What happens to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentChange {
    /// The document.
    pub name: FileId,
    /// Its new content, a JSON text on one line; `None` deletes it.
    pub content: Option<Arc<str>>,
    /// What it must be for that.
    pub expect: DocumentExpect,
}

/// What a change of a document relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentExpect {
    /// Whatever it is.
    Anything,
    /// It was never written, or is deleted.
    Absent,
    /// It exists.
    Present,
    /// It has exactly this version; 0 was never written.
    Version(Version),
}

/// What is wrong with a transaction as such.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("change {}: {message}", .change + 1)]
pub struct Fault {
    /// Which change, from 0.
    pub change: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Transaction {
    /// Everything that is wrong with it, whatever the disk holds; empty if nothing is.
    #[must_use]
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.changes.is_empty() || self.changes.len() > CHANGES_MAX {
            faults.push(Fault {
                change: 0,
                message: format!("a transaction has 1 to {CHANGES_MAX} changes"),
            });
        }
        let mut names = Names::default();
        for (index, change) in self.changes.iter().enumerate() {
            if let Err(message) = names.take(index, change) {
                let change = index;
                faults.push(Fault { change, message });
            }
        }
        faults
    }
}

/// The names that changes have taken: each name once, each directory in one spelling.
#[derive(Default)]
struct Names {
    /// By root and folded path: the spelling, the change, and whether it is a file.
    paths: BTreeMap<(FileId, String), Taken>,
    documents: BTreeMap<FileId, usize>,
}

#[derive(Clone)]
struct Taken {
    path: TreePath,
    change: usize,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The change is about this file.
    File,
    /// The change makes this directory.
    MadeDir,
    /// Something below it is changed.
    Above,
}

impl Names {
    fn take(&mut self, index: usize, change: &Change) -> Result<(), String> {
        match change {
            Change::Document(document) => {
                match self.documents.insert(document.name.clone(), index) {
                    None => Ok(()),
                    Some(first) => Err(twice(document.name.as_str(), first)),
                }
            }
            Change::File(file) => {
                let role = match file.op {
                    FileOp::MakeDir | FileOp::RemoveDir => Role::MadeDir,
                    _ => Role::File,
                };
                self.take_path(index, &file.root, &file.path, role)?;
                if let FileOp::Move(to) = &file.op {
                    self.take_path(index, &file.root, to, Role::File)?;
                }
                Ok(())
            }
        }
    }

    fn take_path(
        &mut self,
        change: usize,
        root: &FileId,
        path: &TreePath,
        role: Role,
    ) -> Result<(), String> {
        let mut above = path.parent();
        while let Some(directory) = above {
            self.note(change, root, &directory, Role::Above)?;
            above = directory.parent();
        }
        self.note(change, root, path, role)
    }

    fn note(
        &mut self,
        change: usize,
        root: &FileId,
        path: &TreePath,
        role: Role,
    ) -> Result<(), String> {
        let key = (root.clone(), path.folded());
        let Some(taken) = self.paths.get_mut(&key) else {
            let path = path.clone();
            self.paths.insert(key, Taken { path, change, role });
            return Ok(());
        };
        if taken.path != *path {
            return Err(format!(
                "`{path}` and `{}` of change {} differ by case alone: one file on many systems",
                taken.path,
                taken.change + 1
            ));
        }
        match (taken.role, role) {
            (Role::Above, Role::Above) | (Role::MadeDir, Role::Above) => Ok(()),
            (Role::Above, Role::MadeDir) => {
                taken.role = Role::MadeDir;
                taken.change = change;
                Ok(())
            }
            (Role::File, Role::Above) | (Role::Above, Role::File) => Err(format!(
                "`{path}` is a file in one change and a directory in another (change {})",
                taken.change + 1
            )),
            (Role::File | Role::MadeDir, Role::File | Role::MadeDir) => {
                Err(twice(path.as_str(), taken.change))
            }
        }
    }
}

fn twice(name: &str, first: usize) -> String {
    format!(
        "`{name}` is changed by change {} already: a transaction changes each thing once",
        first + 1
    )
}

#[cfg(test)]
mod tests {
    use super::{Change, Expect, FileChange, FileOp, Transaction};
    use crate::transaction::TreePath;
    use crate::{FileId, transaction::DocumentChange, transaction::DocumentExpect};

    fn file(root: &str, path: &str, op: FileOp) -> Change {
        Change::File(FileChange {
            root: FileId::new(root).expect("a root"),
            path: TreePath::new(path).expect("a path"),
            op,
            expect: Expect::Anything,
        })
    }

    fn faults(changes: Vec<Change>) -> Vec<String> {
        let transaction = Transaction {
            changes,
            ..Transaction::default()
        };
        let faults = transaction.check();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_thing_is_changed_once_and_spelt_one_way() {
        let delete = || FileOp::Delete;
        let to = |path| FileOp::Move(TreePath::new(path).expect("a path"));
        assert_eq!(
            faults(vec![
                file("a", "src/x", delete()),
                file("b", "src/x", delete()),
                file("a", "src/y", to("lib/y")),
                file("a", "lib", FileOp::MakeDir),
            ]),
            Vec::<String>::new()
        );
        let twice = faults(vec![file("a", "x", delete()), file("a", "y", to("x"))]);
        assert!(twice[0].contains("change 1 already"), "{twice:?}");
        let case = faults(vec![
            file("a", "Src/x", delete()),
            file("a", "src/y", delete()),
        ]);
        assert!(case[0].contains("case alone"), "{case:?}");
        let both = faults(vec![
            file("a", "x", delete()),
            file("a", "x/y", FileOp::MakeDir),
        ]);
        assert!(both[0].contains("a file in one change"), "{both:?}");
        let document = || {
            Change::Document(DocumentChange {
                name: FileId::new("plan").expect("a name"),
                content: None,
                expect: DocumentExpect::Anything,
            })
        };
        assert_eq!(faults(vec![document(), document()]).len(), 1);
        assert_eq!(faults(Vec::new()).len(), 1);
    }
}
