//! The first look: what is there, whether it is what was expected, and what follows.
//!
//! Reads and nothing else. What it finds may be outdated a moment later; the vote at the end of
//! staging compares again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::description::FILE_BYTES_MAX;
use super::path::OWN_PREFIX;
use super::plan::TOTAL_BYTES_MAX;
use super::workspace::{Root, look};
use super::{
    Act, Change, Digest, Expect, FileChange, FileOp, Image, Patch, Place, Plan, PrepareError,
    Roots, Step, Transaction, TransactionId, TreePath, Workspace,
};
use crate::FileId;
use crate::env::{Content, Found, Tree};

impl Workspace {
    /// Looks at everything that the transaction is about. `id` names its stages.
    ///
    /// # Errors
    /// See [`PrepareError`]; nothing was changed.
    pub fn survey(
        &self,
        id: &TransactionId,
        transaction: &Transaction,
        roots: &Roots,
    ) -> Result<Plan, PrepareError> {
        let faults = transaction.check();
        if !faults.is_empty() {
            return Err(PrepareError::Faulty(faults));
        }
        let mut surveyor = Surveyor::new(self, id, transaction, roots);
        let mut documents = Vec::new();
        for change in &transaction.changes {
            match change {
                Change::File(file) => surveyor.file(file)?,
                Change::Document(document) => documents.push(document.clone()),
            }
        }
        let mut steps = surveyor.steps;
        // Directories first, from the top; then files; then empty directories, from the bottom.
        steps.sort_by_key(|step| {
            let depth = step.place.path.parts().count();
            match step.act {
                Act::MakeDir { .. } => (0, depth),
                Act::Put { .. } | Act::Remove { .. } | Act::Same { .. } => (1, 0),
                Act::RemoveDir {} => (2, usize::MAX - depth),
            }
        });
        Ok(Plan {
            steps,
            roots: surveyor.used,
            documents,
            under: transaction.under.clone(),
            contents: surveyor.contents,
            reason: transaction.reason.clone(),
        })
    }
}

struct Surveyor<'s> {
    workspace: &'s Workspace,
    id: &'s TransactionId,
    roots: &'s Roots,
    trees: BTreeMap<FileId, Box<dyn Tree>>,
    /// Directories that the transaction itself makes.
    made: BTreeSet<(FileId, TreePath)>,
    used: BTreeMap<FileId, String>,
    steps: Vec<Step>,
    contents: BTreeMap<Digest, Vec<u8>>,
    total: usize,
}

impl<'s> Surveyor<'s> {
    fn new(
        workspace: &'s Workspace,
        id: &'s TransactionId,
        transaction: &Transaction,
        roots: &'s Roots,
    ) -> Self {
        let made = transaction
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::File(file) if file.op == FileOp::MakeDir => {
                    Some((file.root.clone(), file.path.clone()))
                }
                _ => None,
            });
        Self {
            workspace,
            id,
            roots,
            trees: BTreeMap::new(),
            made: made.collect(),
            used: BTreeMap::new(),
            steps: Vec::new(),
            contents: BTreeMap::new(),
            total: 0,
        }
    }

    fn file(&mut self, change: &FileChange) -> Result<(), PrepareError> {
        let root = self.root(&change.root)?.clone();
        if !self.trees.contains_key(&change.root) {
            let tree = self.workspace.open(&root.path);
            let tree = tree.map_err(|source| PrepareError::Io {
                verb: "open the root",
                what: root.path.clone(),
                source,
            })?;
            self.trees.insert(change.root.clone(), tree);
            self.used.insert(change.root.clone(), root.path.clone());
        }
        self.reachable(change, &change.path, &root)?;
        if let FileOp::Move(to) = &change.op {
            self.reachable(change, to, &root)?;
        }
        match &change.op {
            FileOp::MakeDir => self.make_dir(change),
            FileOp::RemoveDir => {
                self.step(change, &change.path, Act::RemoveDir {});
                Ok(())
            }
            FileOp::Write { content, mode } => {
                let before = self.before(change)?;
                let mode = mode.or(before.as_ref().and_then(|before| before.mode));
                self.put(change, &change.path, before, content.clone(), mode)
            }
            FileOp::Patch(text) => {
                let before = self.existing(change)?;
                let misfit = |source| PrepareError::Patch {
                    root: change.root.clone(),
                    path: change.path.clone(),
                    source,
                };
                let patch = Patch::parse(text).map_err(misfit)?;
                let after = patch.apply(&before.bytes).map_err(misfit)?;
                let mode = before.mode;
                self.put(change, &change.path, Some(before), after, mode)
            }
            FileOp::Delete => {
                let before = self.existing(change)?;
                self.remove(change, before)
            }
            FileOp::Move(to) => {
                let before = self.existing(change)?;
                if let Some(found) = self.look(change, to)? {
                    return Err(conflict(change, to, kind_word(found), "nothing"));
                }
                let (content, mode) = (before.bytes.clone(), before.mode);
                self.remove(change, before)?;
                self.put(change, to, None, content, mode)
            }
        }
    }

    fn root(&self, name: &FileId) -> Result<&'s Root, PrepareError> {
        let root = self.roots.get(name);
        root.ok_or_else(|| PrepareError::NoRoot(name.clone()))
    }

    fn tree(&self, change: &FileChange) -> &dyn Tree {
        let tree = self.trees.get(&change.root);
        &**tree.expect("a change's tree is opened before it is looked at")
    }

    fn look(&self, change: &FileChange, path: &TreePath) -> Result<Option<Found>, PrepareError> {
        look(self.tree(change), path).map_err(io_error("look at", change, path))
    }

    /// Whether every directory on the way exists or will, and the name means one file everywhere.
    fn reachable(
        &self,
        change: &FileChange,
        path: &TreePath,
        root: &Root,
    ) -> Result<(), PrepareError> {
        let target = |why: String| PrepareError::Target {
            root: change.root.clone(),
            path: path.clone(),
            why,
        };
        let folded = format!("{}/", path.folded());
        if let Some(reserved) = &root.reserved
            && folded.starts_with(&format!("{}/", reserved.folded()))
        {
            return Err(target(
                "it lies in the data directory of phisync".to_owned(),
            ));
        }
        let mut above: Vec<TreePath> = Vec::new();
        while let Some(directory) = above.last().unwrap_or(path).parent() {
            above.push(directory);
        }
        for directory in above.iter().rev() {
            match self.look(change, directory)? {
                Some(Found::Directory) => {}
                None if self
                    .made
                    .contains(&(change.root.clone(), directory.clone())) =>
                {
                    return Ok(());
                }
                None => {
                    return Err(target(format!(
                        "there is no directory `{directory}`; make it in the same transaction \
                         with `op: mkdir`"
                    )));
                }
                Some(Found::File | Found::Other) => {
                    return Err(target(format!(
                        "`{directory}` is not a directory; links are not followed"
                    )));
                }
            }
        }
        if self.look(change, path)?.is_some() {
            return Ok(());
        }
        let parent = path.parent();
        let names = self.tree(change).names(parent.as_ref());
        let names = names.map_err(io_error("read the directory of", change, path))?;
        let folded = path.name().to_lowercase();
        match names.iter().find(|name| name.to_lowercase() == folded) {
            None => Ok(()),
            Some(other) => Err(target(format!(
                "`{other}` is there and differs by case alone: one file on many systems"
            ))),
        }
    }

    /// The file that is there now, if it is as the change expects.
    fn before(&mut self, change: &FileChange) -> Result<Option<Content>, PrepareError> {
        let path = &change.path;
        let before = match self.look(change, path)? {
            None => None,
            Some(Found::File) => {
                let read = self.tree(change).read(path, FILE_BYTES_MAX);
                Some(read.map_err(io_error("read", change, path))?)
            }
            Some(found @ (Found::Directory | Found::Other)) => {
                return Err(PrepareError::Target {
                    root: change.root.clone(),
                    path: path.clone(),
                    why: format!(
                        "{} is there, and only regular files are changed",
                        kind_word(found)
                    ),
                });
            }
        };
        match (&change.expect, &before) {
            (Expect::Anything, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => {}
            (Expect::Absent, Some(_)) => return Err(conflict(change, path, "a file", "nothing")),
            (Expect::Present, None) => return Err(conflict(change, path, "nothing", "a file")),
            (Expect::Content(expected), None) => {
                let expected = format!("a file with the hash {expected}");
                return Err(conflict(change, path, "nothing", &expected));
            }
            (Expect::Content(expected), Some(before)) => {
                let found = Digest::of(&before.bytes);
                if found != *expected {
                    let found = format!("a file with the hash {found}");
                    return Err(conflict(change, path, &found, &expected.to_string()));
                }
            }
        }
        Ok(before)
    }

    fn existing(&mut self, change: &FileChange) -> Result<Content, PrepareError> {
        let before = self.before(change)?;
        before.ok_or_else(|| conflict(change, &change.path, "nothing", "a file"))
    }

    fn make_dir(&mut self, change: &FileChange) -> Result<(), PrepareError> {
        let path = &change.path;
        let found = self.look(change, path)?;
        let existed = match (found, &change.expect) {
            (None, Expect::Anything | Expect::Absent) => false,
            (Some(Found::Directory), Expect::Anything | Expect::Present) => true,
            (None, _) => return Err(conflict(change, path, "nothing", "a directory")),
            (Some(found), _) => return Err(conflict(change, path, kind_word(found), "nothing")),
        };
        self.step(change, path, Act::MakeDir { existed });
        Ok(())
    }

    fn put(
        &mut self,
        change: &FileChange,
        path: &TreePath,
        before: Option<Content>,
        content: Vec<u8>,
        mode: Option<u32>,
    ) -> Result<(), PrepareError> {
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(PrepareError::TooLarge);
        }
        let before = before.map(|before| self.keep(before.bytes, before.mode));
        let before = before.transpose()?;
        let after = self.keep(content, mode)?;
        let act = if before.as_ref() == Some(&after) {
            Act::Same { after }
        } else {
            let stage = self.stage(change, path)?;
            Act::Put {
                before,
                after,
                stage,
            }
        };
        self.step(change, path, act);
        Ok(())
    }

    fn remove(&mut self, change: &FileChange, before: Content) -> Result<(), PrepareError> {
        let before = self.keep(before.bytes, before.mode)?;
        let stage = self.stage(change, &change.path)?;
        self.step(change, &change.path, Act::Remove { before, stage });
        Ok(())
    }

    fn step(&mut self, change: &FileChange, path: &TreePath, act: Act) {
        let place = Place {
            root: change.root.clone(),
            path: path.clone(),
        };
        self.steps.push(Step { place, act });
    }

    fn keep(&mut self, bytes: Vec<u8>, mode: Option<u32>) -> Result<Image, PrepareError> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_BYTES_MAX {
            return Err(PrepareError::TooLarge);
        }
        let image = Image {
            sha256: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            mode,
        };
        self.contents.insert(image.sha256.clone(), bytes);
        Ok(image)
    }

    /// A name of ours in the nearest directory that exists.
    fn stage(&self, change: &FileChange, path: &TreePath) -> Result<TreePath, PrepareError> {
        let mut directory = path.parent();
        while let Some(above) = &directory {
            if self.look(change, above)?.is_some() {
                break;
            }
            directory = above.parent();
        }
        let name = format!("{OWN_PREFIX}{}-{}.tmp", self.id, self.steps.len());
        Ok(TreePath::inside(directory.as_ref(), &name))
    }
}

fn kind_word(found: Found) -> &'static str {
    match found {
        Found::File => "a file",
        Found::Directory => "a directory",
        Found::Other => "a link or a device",
    }
}

fn conflict(change: &FileChange, path: &TreePath, found: &str, expected: &str) -> PrepareError {
    PrepareError::Conflict {
        root: change.root.clone(),
        path: path.clone(),
        found: format!("{found} is there"),
        expected: expected.to_owned(),
    }
}

fn io_error(
    verb: &'static str,
    change: &FileChange,
    path: &TreePath,
) -> impl Fn(io::Error) -> PrepareError {
    let what = format!("{path}` in `{}", change.root);
    move |source| PrepareError::Io {
        verb,
        what: what.clone(),
        source,
    }
}
